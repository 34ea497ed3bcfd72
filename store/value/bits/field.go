package bits

// Field is an integer within a string: the highest bit comes first.
type Field struct {
	Offset int64 // of its first bit
	Width  uint8 // in bits: 1 to 64, or to 63 without a sign
	Signed bool
}

// Bytes returns which bytes hold f: those from first up to, without, end.
func (f Field) Bytes() (first, end int64) {
	return f.Offset >> 3, (f.Offset+int64(f.Width)-1)>>3 + 1
}

// Get returns the value of f in b.
func (f Field) Get(b []byte) int64 {
	var v uint64
	first, end := f.Bytes()
	left := int64(f.Width) // bits to come
	for i := first; i < end; i++ {
		var c byte
		if i < int64(len(b)) {
			c = b[i]
		}
		from, n := f.part(i, left)
		v = v<<n | uint64(c<<from>>(8-n))
		left -= n
	}
	if f.Signed {
		return signed(v, f.Width)
	}
	return int64(v)
}

// part returns which bits of byte i are f's, when so many are left: how many come before
// them, and how many they are.
func (f Field) part(i, left int64) (from, n int64) {
	if i == f.Offset>>3 {
		from = f.Offset & 7
	}
	return from, min(8-from, left)
}

// Put sets f, which is within b, to the lowest bits of v.
func (f Field) Put(b []byte, v int64) {
	first, end := f.Bytes()
	left := int64(f.Width)
	for i := first; i < end; i++ {
		from, n := f.part(i, left)
		left -= n
		mask := byte(0xff) << (8 - n) >> from
		b[i] = b[i]&^mask | byte(uint64(v)>>left)<<(8-n)>>from
	}
}

// signed reads the lowest bits of v as a number with a sign.
func signed(v uint64, width uint8) int64 {
	shift := 64 - width
	return int64(v<<shift) >> shift
}

// Overflow is what becomes of a number that does not fit.
type Overflow uint8

// Wrap takes the lowest bits, Saturate the nearest that fits, Fail none.
const (
	Wrap Overflow = iota
	Saturate
	Fail
)

// Fit returns what a sum comes to in f, and whether it fitted. by is 0 where a number is to
// be stored as it is. The rest is for Fail.
//
// A negative number that is far too small for a signed field counts as too large: Redis
// computes the distance to the largest in 64 bits, which wraps.
func (f Field) Fit(value, by int64, over Overflow) (sum int64, fits bool) {
	sum = value + by
	above, below := f.exceeds(value, by)
	if !above && !below {
		return sum, true
	}
	most, least := f.bounds()
	switch {
	case over == Wrap && f.Signed:
		sum = signed(uint64(sum), f.Width)
	case over == Wrap:
		sum &= most
	case above:
		sum = most
	default:
		sum = least
	}
	return sum, false
}

// bounds returns the largest and the smallest number that f holds.
func (f Field) bounds() (most, least int64) {
	if !f.Signed {
		return int64(uint64(1)<<f.Width - 1), 0
	}
	most = int64(uint64(1)<<(f.Width-1) - 1)
	return most, -most - 1
}

// exceeds reports on which side value+by is out of bounds.
func (f Field) exceeds(value, by int64) (above, below bool) {
	most, least := f.bounds()
	up, down := most-value, least-value // they may wrap
	if !f.Signed {
		if uint64(value) > uint64(most) || by > 0 && by > up {
			return true, false
		}
		return false, by < 0 && by < down
	}
	if value > most || f.Width != 64 && by > up || value >= 0 && by > 0 && by > up {
		return true, false
	}
	return false, value < least || f.Width != 64 && by < down || value < 0 && by < 0 && by < down
}
