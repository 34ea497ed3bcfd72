package list

import (
	"bytes"
	"encoding/binary"
	"slices"
)

const (
	// inlineMax is the length up to which elements lie in their leaf.
	inlineMax = 500
	// A record begins and ends with the length of its element; see leaf.
	wide      = 254
	elsewhere = 255

	// leafMax is the weight that a leaf may have; that of one with a single record is
	// whatever it is.
	leafMax = 3 << 10
	// leafMin is the weight below which a leaf looks for another to join, joinMax
	// the most that the two may have.
	leafMin = leafMax / 3
	joinMax = leafMax * 3 / 4

	longBytes = 24 + 8 // the weight of an entry of leaf.long
)

// leaf holds elements in order in one block without pointers. So does the packed
// form, where every element is inline.
//
//	record = length of the element, element, length of the element
//
// The length is a byte, or 254 with two bytes more, on the inner side. An element
// longer than inlineMax is in long: 255 twice, and between 2 bytes of index into
// that. So records can be read in both directions.
type leaf struct {
	gen  uint64 // tree.gen when this leaf was made or last found to be the tree's alone
	n    int
	buf  []byte
	long [][]byte // nil where nothing is
}

// recordBytes is the length of a record of an element of n bytes.
func recordBytes(n, inline int) int {
	switch {
	case n > inline:
		return 4
	case n >= wide:
		return n + 6
	}
	return n + 2
}

// packedBytes is recordBytes in the packed form.
func packedBytes(n int) int { return recordBytes(n, n) }

// weight is what a copy of the leaf takes, and what its size is measured by.
func (l *leaf) weight() int { return len(l.buf) + longBytes*len(l.long) }

// added is the weight that another element would add.
func added(n int) int {
	if n > inlineMax {
		return 4 + longBytes
	}
	return recordBytes(n, inlineMax)
}

func (l *leaf) clone(gen uint64) *leaf {
	c := &leaf{gen: gen, n: l.n, buf: block(len(l.buf), room(len(l.buf))/2)}
	copy(c.buf, l.buf)
	c.long = append(c.long, l.long...)
	return c
}

// next returns the element of the record at a place, and where the next one begins.
func (l *leaf) next(at int) (e []byte, after int) {
	switch n := int(l.buf[at]); n {
	default:
		after = at + n + 2
		return l.buf[at+1 : after-1 : after-1], after
	case wide:
		n = int(binary.LittleEndian.Uint16(l.buf[at+1:]))
		after = at + n + 6
		return l.buf[at+3 : after-3 : after-3], after
	case elsewhere:
		return l.long[l.index(at)], at + 4
	}
}

func (l *leaf) index(at int) int { return int(binary.LittleEndian.Uint16(l.buf[at+1:])) }

// after returns where the record behind the one at a place begins.
func (l *leaf) after(at int) int {
	switch n := int(l.buf[at]); n {
	default:
		return at + n + 2
	case wide:
		return at + int(binary.LittleEndian.Uint16(l.buf[at+1:])) + 6
	case elsewhere:
		return at + 4
	}
}

// before returns where the record that ends at a place begins.
func (l *leaf) before(end int) int {
	switch n := int(l.buf[end-1]); n {
	default:
		return end - n - 2
	case wide:
		return end - int(binary.LittleEndian.Uint16(l.buf[end-3:])) - 6
	case elsewhere:
		return end - 4
	}
}

// seek returns where record i begins; that of n is the end of the block.
func (l *leaf) seek(i int) int {
	if i > l.n/2 {
		at := len(l.buf)
		for range l.n - i {
			at = l.before(at)
		}
		return at
	}
	at := 0
	for range i {
		at = l.after(at)
	}
	return at
}

// sumsOnly leaves out what a run has beside its sum and power.
const sumsOnly = 1

// run sums up records i to j.
func (l *leaf) run(i, j, what int) run {
	r := nothing
	at := 0
	if i < j {
		at = l.seek(i)
	}
	for range j - i {
		var e []byte
		e, at = l.next(at)
		r.sum = add(r.sum, mul(r.pow, hashOf(e)))
		r.pow = mul(r.pow, base)
		if what != sumsOnly {
			r.bytes += elementBytes(len(e))
			r.lp += ListpackBytes(e)
		}
	}
	r.n = j - i
	return r
}

// insert puts an element at a place, outside of the block if it is longer than
// inline. more is the room to leave behind the block if it must move.
func (l *leaf) insert(at int, e []byte, inline, more int) {
	size := recordBytes(len(e), inline)
	end := len(l.buf)
	l.extend(size, more)
	copy(l.buf[at+size:], l.buf[at:end])
	l.n++
	l.write(at, e, inline)
}

// write makes the record at a place one of e.
func (l *leaf) write(at int, e []byte, inline int) {
	b := l.buf[at : at+recordBytes(len(e), inline)]
	end := len(b)
	switch {
	case len(e) > inline:
		b[0], b[3] = elsewhere, elsewhere
		binary.LittleEndian.PutUint16(b[1:], l.keep(bytes.Clone(e)))
	case len(e) >= wide:
		b[0], b[end-1] = wide, wide
		binary.LittleEndian.PutUint16(b[1:], uint16(len(e)))
		copy(b[3:], e)
		binary.LittleEndian.PutUint16(b[end-3:], uint16(len(e)))
	default:
		b[0], b[end-1] = byte(len(e)), byte(len(e))
		copy(b[1:], e)
	}
}

// keep puts e into long, and returns where.
func (l *leaf) keep(e []byte) uint16 {
	for i := range l.long {
		if l.long[i] == nil {
			l.long[i] = e
			return uint16(i)
		}
	}
	l.long = append(l.long, e)
	return uint16(len(l.long) - 1)
}

// drop takes the element of the record at a place out of long, if it is there.
func (l *leaf) drop(at int) {
	if l.buf[at] != elsewhere {
		return
	}
	l.long[l.index(at)] = nil
	for n := len(l.long); n > 0 && l.long[n-1] == nil; n-- {
		l.long = l.long[:n-1]
	}
}

// replace gives the record at a place another element.
func (l *leaf) replace(at int, e []byte, inline, more int) {
	l.drop(at)
	end, after := len(l.buf), l.after(at)
	by := at + recordBytes(len(e), inline) - after
	if by > 0 {
		l.extend(by, more)
	}
	copy(l.buf[after+by:], l.buf[after:end])
	l.buf = l.buf[:end+by]
	l.write(at, e, inline)
	l.trim()
}

// cut takes out the n records between two places.
func (l *leaf) cut(from, to, n int) {
	if len(l.long) > 0 {
		for at := from; at < to; at = l.after(at) {
			l.drop(at)
		}
	}
	l.buf = append(l.buf[:from], l.buf[to:]...)
	l.n -= n
}

// count returns how many elements are equal to value.
func (l *leaf) count(value []byte) (n int) {
	for at := 0; at < len(l.buf); {
		var e []byte
		if e, at = l.next(at); bytes.Equal(e, value) {
			n++
		}
	}
	return n
}

// purge takes out most elements equal to value, but not the first ones.
func (l *leaf) purge(value []byte, skip, most int) {
	kept := 0
	for at := 0; at < len(l.buf); {
		e, after := l.next(at)
		if bytes.Equal(e, value) {
			if skip == 0 && most > 0 {
				most--
				l.n--
				l.drop(at)
				at = after
				continue
			}
			skip = max(skip-1, 0)
		}
		kept += copy(l.buf[kept:], l.buf[at:after])
		at = after
	}
	l.buf = l.buf[:kept]
}

// extend makes the block longer, with more room behind it if it must move.
func (l *leaf) extend(by, more int) {
	size := len(l.buf) + by
	if size <= cap(l.buf) {
		l.buf = l.buf[:size]
		return
	}
	next := block(size, more)
	copy(next, l.buf)
	l.buf = next
}

// room is what to leave behind a block in the tree for it to grow, up to what a leaf
// may have.
func room(size int) int { return max(0, min(size/8, leafMax-size)) }

// roomAtEnd is room of a leaf at an end of the list, where more is about to come.
func roomAtEnd(size int) int { return max(0, min(max(size, leafMax/4), leafMax-size)) }

// shrinkSlack is how much a block may have beyond twice what is needed.
const shrinkSlack = 64

// trim gives memory back when the block needs less than half of it.
func (l *leaf) trim() {
	if 2*len(l.buf)+shrinkSlack < cap(l.buf) {
		next := block(len(l.buf), room(len(l.buf)))
		copy(next, l.buf)
		l.buf = next
	}
}

// block returns n bytes with room for more behind them: what is asked for and
// what the allocator gives anyway.
func block(n, more int) []byte {
	if n == 0 {
		return nil
	}
	return slices.Grow([]byte(nil), n+more)[:n]
}

// span is some records of a leaf in a row.
type span struct {
	*leaf
	from, to int // places
	n        int
}

func (l *leaf) whole() span { return span{l, 0, len(l.buf), l.n} }

// join returns a leaf with all records of the spans.
func join(gen uint64, spans ...span) *leaf {
	l := &leaf{gen: gen}
	size := 0
	for _, s := range spans {
		l.n += s.n
		size += s.to - s.from
	}
	l.buf = block(size, room(size))
	at := 0
	for _, s := range spans {
		end := at + copy(l.buf[at:], s.buf[s.from:s.to])
		if len(s.long) > 0 {
			l.adopt(at, end, s.long)
		}
		at = end
	}
	return l
}

// adopt takes over what the records between two places have in long.
func (l *leaf) adopt(from, to int, long [][]byte) {
	for at := from; at < to; at = l.after(at) {
		if l.buf[at] == elsewhere {
			binary.LittleEndian.PutUint16(l.buf[at+1:], l.keep(long[l.index(at)]))
		}
	}
}

// middle returns the number of a record and its place, such that what is before it
// and what is not have about the same weight and one record at least.
func (l *leaf) middle() (i, at int) {
	half, sum := l.weight()/2, 0
	for i = 0; i < l.n-1; {
		after := l.after(at)
		sum += after - at
		if l.buf[at] == elsewhere {
			sum += longBytes
		}
		i, at = i+1, after
		if sum >= half {
			break
		}
	}
	return i, at
}
