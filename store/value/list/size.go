package list

// What a list costs beside its bytes, in the accounting of Size. DESIGN.md shows
// where the figures come from.
const (
	// packedOverhead is charged for a packed list, largeOverhead for a large one.
	packedOverhead = 80
	largeOverhead  = 512
	// longOverhead is charged for an element that has an allocation of its own.
	longOverhead = 80
)

// Size returns the accounted bytes: in the packed form of the block, in the large
// one of the lengths of all elements with what each of them costs.
func (c *contents) Size() int64 {
	if c.tree != nil {
		return largeOverhead + c.tree.all.bytes
	}
	return packedOverhead + int64(len(c.buf)+len(c.buf)/16)
}

// elementBytes is what an element adds to Size in the large form.
func elementBytes(n int) int64 {
	if n > inlineMax {
		return int64(n) + longOverhead
	}
	r := int64(recordBytes(n, inlineMax))
	return r + r/16 // a leaf has an end, and what points to it
}

// Limits say how far a list is packed. They come from the caller with each change,
// since all replicas must have the same.
type Limits struct {
	Bytes    int // what a packed list takes as a listpack of Redis
	Elements int // 0: any number
}

// maxPackedBlock is what a packed list stays below whatever Limits say, so that a
// copy of its block and a search in it have a bound.
const maxPackedBlock = 64 << 10

// LimitsOf returns the limits that a value of Redis's list-max-listpack-size means:
// a number of elements, or -1 to -5 for 4 KiB to 64 KiB.
func LimitsOf(fill int) Limits {
	switch {
	case fill > 0:
		return Limits{Bytes: 8 << 10, Elements: fill}
	case fill == 0:
		return Limits{Bytes: 8 << 10, Elements: 1}
	}
	return Limits{Bytes: 2 << 10 << min(-fill, 5)}
}

// DefaultLimits are those of Redis: 8 KiB.
func DefaultLimits() Limits { return LimitsOf(-2) }

// Reserve says that so many elements, of so many bytes, are about to come, and gives
// the list its large form if it is too much for the packed one.
func (l *List) Reserve(lim Limits, elements, bytes int) {
	if l.tree != nil {
		return
	}
	if EmptyListpack+int(l.lp)+bytes > lim.Bytes || lim.Elements > 0 && int(l.n)+elements > lim.Elements {
		l.Grow()
	}
}

// Shrink says that elements went or became shorter. A large list of less than half
// of the limits gets its packed form, such that a list around the limit is not
// rebuilt again and again.
func (l *List) Shrink(lim Limits) {
	if l.tree == nil {
		return
	}
	// Redis takes elements alone as the limit when there is one.
	tooMany := lim.Elements > 0 && l.Len() > lim.Elements/2
	tooLong := EmptyListpack+l.tree.all.lp > int64(lim.Bytes/2)
	if !tooMany && !tooLong {
		l.pack()
	}
}

// Fit gives the list the form that it would have if its elements came all at once.
func (l *List) Fit(lim Limits) {
	n, lp := l.Len(), int64(l.lp)
	if l.tree != nil {
		lp = l.tree.all.lp
	}
	switch fits := EmptyListpack+lp <= int64(lim.Bytes) && (lim.Elements == 0 || n <= lim.Elements); {
	case !fits:
		l.Grow()
	case l.tree != nil:
		l.pack()
	}
}

// Grow gives the list its large form.
func (l *List) Grow() {
	if l.tree != nil {
		return
	}
	t := newTree()
	l.Forward(0, func(e []byte) bool {
		t.insert(t.all.n, e)
		return true
	})
	l.contents = contents{tree: t}
	l.clearFlags(seen | lent)
}

// pack gives the list its packed form, unless its elements are too much for it.
func (l *List) pack() {
	size := 0
	l.Forward(0, func(e []byte) bool {
		size += packedBytes(len(e))
		return size <= maxPackedBlock
	})
	if size > maxPackedBlock {
		return
	}
	b := leaf{buf: block(size, 0)[:0]}
	l.Forward(0, func(e []byte) bool {
		b.insert(len(b.buf), e, maxPackedBlock, 0)
		return true
	})
	all := l.tree.all
	l.tree = nil
	l.clearFlags(seen | lent)
	l.keepBlock(b, all.sum, all.lp)
}

// EmptyListpack is what a listpack of Redis has beside its elements.
const EmptyListpack = 7

// ListpackBytes is what an element takes in a listpack of Redis, of which the head and
// the end take EmptyListpack.
func ListpackBytes(e []byte) int64 {
	n := int64(len(e))
	switch {
	case integerBytes(e) != 0:
		n = integerBytes(e)
	case n < 1<<6:
		n++
	case n < 1<<12:
		n += 2
	default:
		n += 5
	}
	return n + backLength(n)
}

// backLength is what the length of so many bytes takes behind them: 7 bits in each byte.
// It stops one short of what two bytes and more could hold.
func backLength(n int64) int64 {
	switch {
	case n < 1<<7:
		return 1
	case n < 1<<14-1:
		return 2
	case n < 1<<21-1:
		return 3
	case n < 1<<28-1:
		return 4
	}
	return 5
}

// integerBytes is what a listpack takes for an element that is a decimal number, 0
// for any other.
func integerBytes(e []byte) int64 {
	v, ok := Integer(e)
	switch {
	case !ok:
		return 0
	case v >= 0 && v < 1<<7:
		return 1
	case v >= -1<<12 && v < 1<<12:
		return 2
	case v >= -1<<15 && v < 1<<15:
		return 3
	case v >= -1<<23 && v < 1<<23:
		return 4
	case v >= -1<<31 && v < 1<<31:
		return 5
	}
	return 9
}

// Integer reports whether Redis keeps e as a number: decimal, of 64 bits, and as a
// number is written.
func Integer(e []byte) (v int64, ok bool) {
	digits := e
	if len(e) > 0 && e[0] == '-' {
		digits = e[1:]
	}
	if len(digits) == 0 || len(digits) > 19 || digits[0] == '0' && len(e) > 1 {
		return 0, false
	}
	var u uint64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		u = u*10 + uint64(c-'0')
	}
	if len(digits) < len(e) {
		return -int64(u), u <= 1<<63
	}
	return int64(u), u < 1<<63
}
