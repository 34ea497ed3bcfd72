// Package block has what values that are one block of bytes have in common.
package block

import (
	"encoding/binary"
	"slices"
)

// Wasteful reports whether a block that has become shorter has so much more room than it needs
// that it gives memory back: more than a new one has, and no more than what is accounted for it
// can answer for.
func Wasteful(size, room int) bool { return room > size+size/5+slack }

const slack = 16

// New returns n bytes with room for more behind them: what is asked for and what the
// allocator gives anyway.
func New(n, more int) []byte {
	if n == 0 {
		return nil
	}
	return slices.Grow([]byte(nil), n+more)[:n]
}

// Splice makes room of n bytes, hole, in place of buf[from:to]. next is the block from then
// on. With copied the old one stays as it is.
func Splice(buf []byte, from, to, n int, copied bool) (next, hole []byte) {
	size := len(buf) - (to - from) + n
	if !copied && size <= cap(buf) && (size >= len(buf) || !Wasteful(size, cap(buf))) {
		rest := buf[to:]
		next = buf[:max(size, len(buf))]
		copy(next[from+n:], rest)
		next = next[:size]
		return next, next[from : from+n]
	}
	next = New(size, size/16)
	copy(next, buf[:from])
	copy(next[from+n:], buf[to:])
	return next, next[from : from+n]
}

// Length reads a uvarint that is a length.
func Length(buf []byte, at int) (n, next int) {
	if b := buf[at]; b < 0x80 {
		return int(b), at + 1
	}
	v, w := binary.Uvarint(buf[at:])
	return int(v), at + w
}
