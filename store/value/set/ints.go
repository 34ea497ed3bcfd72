package set

import (
	"encoding/binary"
	"math"
	"strconv"
)

// Integers are in ascending order, each of as many bytes as the widest that was ever there
// needs.
const (
	leastWidth = 2
	// maxDigits is the length of the longest integer as text.
	maxDigits = 20
)

// parseInt reads the one form that an integer of 64 bits has.
func parseInt(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > maxDigits {
		return 0, false
	}
	if c := b[0]; c != '-' && (c < '0' || c > '9') {
		return 0, false
	}
	v, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return 0, false
	}
	var text [maxDigits]byte
	return v, string(strconv.AppendInt(text[:0], v, 10)) == string(b)
}

// widthOf is how many bytes v needs.
func widthOf(v int64) uint8 {
	switch {
	case v == int64(int16(v)):
		return 2
	case v == int64(int32(v)):
		return 4
	}
	return 8
}

func (c *contents) int(i int) int64 { return readInt(c.buf[i*int(c.width):], c.width) }

func readInt(b []byte, width uint8) int64 {
	switch width {
	case 2:
		return int64(int16(binary.LittleEndian.Uint16(b)))
	case 4:
		return int64(int32(binary.LittleEndian.Uint32(b)))
	}
	return int64(binary.LittleEndian.Uint64(b))
}

func writeInt(b []byte, width uint8, v int64) {
	switch width {
	case 2:
		binary.LittleEndian.PutUint16(b, uint16(v))
	case 4:
		binary.LittleEndian.PutUint32(b, uint32(v))
	default:
		binary.LittleEndian.PutUint64(b, uint64(v))
	}
}

// searchInt returns where v is or would be.
func (c *contents) searchInt(v int64) (i int, found bool) {
	low, high := 0, c.Len()
	for low < high {
		if mid := int(uint(low+high) / 2); c.int(mid) < v {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low, low < c.Len() && c.int(low) == v
}

// eachInt calls fn for every integer as text until it returns false.
func (c *contents) eachInt(fn func(member []byte) bool) bool {
	var text [maxDigits]byte
	for i := range c.Len() {
		if !fn(strconv.AppendInt(text[:0], c.int(i), 10)) {
			return false
		}
	}
	return true
}

// longestInt is the length of the longest integer as text.
func (c *contents) longestInt() int {
	if c.n == 0 {
		return 0
	}
	var text [maxDigits]byte
	return max(len(strconv.AppendInt(text[:0], c.int(0), 10)), len(strconv.AppendInt(text[:0], c.int(c.Len()-1), 10)))
}

// addInt adds an integer to a set of such. Too many make the set large.
func (s *Set) addInt(v int64, lim Limits) bool {
	i, found := s.searchInt(v)
	if found {
		return false
	}
	if w := widthOf(v); w > s.width {
		s.widen(w)
	}
	w := int(s.width)
	writeInt(s.splice(i*w, i*w, w), s.width, v)
	var text [maxDigits]byte
	s.count(strconv.AppendInt(text[:0], v, 10), 1)
	if s.Len() > lim.ints() {
		s.Grow()
	}
	return true
}

func (s *Set) removeInt(v int64) bool {
	i, found := s.searchInt(v)
	if found {
		w := int(s.width)
		s.splice(i*w, (i+1)*w, 0)
	}
	return found
}

// widen makes all integers wider.
func (s *Set) widen(width uint8) {
	wide := make([]byte, s.Len()*int(width), (s.Len()+1)*int(width))
	for i := range s.Len() {
		writeInt(wide[i*int(width):], width, s.int(i))
	}
	s.buf, s.width = wide, width
	s.head.Fresh()
}

// IntWidth is how many bytes each integer has: 2, 4 or 8, or 0 in another form.
func (c *contents) IntWidth() int { return int(c.width) }

// AppendInts appends the integers as they are in memory: little endian, ascending.
func (c *contents) AppendInts(dst []byte) []byte {
	if c.width == 0 {
		panic("set: no integers")
	}
	return append(dst, c.buf...)
}

// OfInts returns a set of integers of width bytes each, as AppendInts gives them, or nil
// when that is none or they are too many.
func OfInts(width int, ints []byte) *Set {
	if width != 2 && width != 4 && width != 8 || len(ints)%width != 0 || len(ints)/width > maxInts {
		return nil
	}
	s := &Set{contents: contents{width: uint8(width)}}
	last := int64(math.MinInt64)
	var text [maxDigits]byte
	for at := 0; at < len(ints); at += width {
		v := readInt(ints[at:], s.width)
		if at > 0 && v <= last {
			return nil
		}
		last = v
		s.count(strconv.AppendInt(text[:0], v, 10), 1)
	}
	s.buf = append([]byte(nil), ints...)
	return s
}
