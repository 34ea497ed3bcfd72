package bits

import (
	"crypto/subtle"
	"encoding/binary"
	"math/bits"
)

// Get returns the bit at an offset, 0 or 1.
func Get(b []byte, offset int64) int {
	i := offset >> 3
	if i >= int64(len(b)) {
		return 0
	}
	return int(b[i]>>(7-offset&7)) & 1
}

// Set sets the bit at an offset within b to 0 or 1.
func Set(b []byte, offset int64, bit int) {
	mask := byte(1) << (7 - offset&7)
	if bit == 0 {
		b[offset>>3] &^= mask
	} else {
		b[offset>>3] |= mask
	}
}

// ends are the masks of the bits from an offset on within its byte, and of those up to one.
func ends(first, last int64) (head, tail byte) {
	return 0xff >> (first & 7), 0xff << (7 - last&7)
}

// Count returns how many of the bits from first to last, both within b, are set.
func Count(b []byte, first, last int64) int64 {
	if first > last {
		return 0
	}
	head, tail := ends(first, last)
	b = b[first>>3 : last>>3+1]
	n := -int64(bits.OnesCount8(b[0]&^head) + bits.OnesCount8(b[len(b)-1]&^tail))
	for ; len(b) >= 32; b = b[32:] {
		n += int64(bits.OnesCount64(binary.LittleEndian.Uint64(b)) + bits.OnesCount64(binary.LittleEndian.Uint64(b[8:])) +
			bits.OnesCount64(binary.LittleEndian.Uint64(b[16:])) + bits.OnesCount64(binary.LittleEndian.Uint64(b[24:])))
	}
	for _, c := range b {
		n += int64(bits.OnesCount8(c))
	}
	return n
}

// Find returns the offset of the first bit with that value, 0 or 1, from first to last, both
// within b, or -1.
func Find(b []byte, bit int, first, last int64) int64 {
	if first > last {
		return -1
	}
	var flip byte // makes what is looked for a one
	if bit == 0 {
		flip = 0xff
	}
	head, tail := ends(first, last)
	i, end := first>>3, last>>3
	for ; i <= end; i++ {
		c := b[i] ^ flip
		if i == first>>3 {
			c &= head
		}
		if i == end {
			c &= tail
		}
		if c != 0 {
			return i<<3 + int64(bits.LeadingZeros8(c))
		}
		i = skip(b, i, end, flip)
	}
	return -1
}

// skip goes from i on, in steps of eight bytes that lie between it and end, over those that
// hold nothing but flip.
func skip(b []byte, i, end int64, flip byte) int64 {
	for ; i+8 < end; i += 8 {
		if w := binary.LittleEndian.Uint64(b[i+1:]); w != uint64(flip)*0x0101010101010101 {
			break
		}
	}
	return i
}

// Op is a bitwise operation.
type Op uint8

// The operations. Not takes one string.
const (
	And Op = iota
	Or
	Xor
	Not
)

// Combine sets dst, which is as long as the longest of sources, to what op makes of them. It
// must not overlap them. There is one at least.
func Combine(dst []byte, op Op, sources [][]byte) {
	clear(dst[copy(dst, sources[0]):])
	switch op {
	case Not:
		not(dst)
	case Xor:
		for _, s := range sources[1:] {
			subtle.XORBytes(dst, dst, s)
		}
	case Or:
		for _, s := range sources[1:] {
			or(dst, s)
		}
	case And:
		for _, s := range sources[1:] {
			and(dst, s)
			clear(dst[len(s):])
		}
	}
}

func not(dst []byte) {
	for ; len(dst) >= 8; dst = dst[8:] {
		binary.LittleEndian.PutUint64(dst, ^binary.LittleEndian.Uint64(dst))
	}
	for i := range dst {
		dst[i] = ^dst[i]
	}
}

func or(dst, s []byte) {
	for ; len(s) >= 8; dst, s = dst[8:], s[8:] {
		binary.LittleEndian.PutUint64(dst, binary.LittleEndian.Uint64(dst)|binary.LittleEndian.Uint64(s))
	}
	for i, c := range s {
		dst[i] |= c
	}
}

func and(dst, s []byte) {
	for ; len(s) >= 8; dst, s = dst[8:], s[8:] {
		binary.LittleEndian.PutUint64(dst, binary.LittleEndian.Uint64(dst)&binary.LittleEndian.Uint64(s))
	}
	for i, c := range s {
		dst[i] &= c
	}
}
