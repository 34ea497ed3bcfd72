// Package wire has the primitives of Lockstep's own binary formats: unsigned numbers as
// varints (encoding/binary), and byte strings after their length. What is read may be damaged
// or hostile: a length is believed only as far as there are bytes.
package wire

import "encoding/binary"

// CutUvarint splits a number off the front of b. It is false where b does not begin with one.
func CutUvarint(b []byte) (v uint64, rest []byte, ok bool) {
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, false
	}
	return v, b[n:], true
}

// CutCount splits off the number of things that follow, each of them at least so many bytes
// long. It is false where there are not that many bytes, so that the number may be trusted when
// memory is made ready.
func CutCount(b []byte, least int) (n int, rest []byte, ok bool) {
	v, rest, ok := CutUvarint(b)
	if !ok || v > uint64(len(rest)/least) {
		return 0, nil, false
	}
	return int(v), rest, true
}

// CutBytes splits off bytes that follow their length. They share b.
func CutBytes(b []byte) (s, rest []byte, ok bool) {
	n, rest, ok := CutUvarint(b)
	if !ok || n > uint64(len(rest)) {
		return nil, nil, false
	}
	return rest[:n:n], rest[n:], true
}

// AppendUvarints appends numbers.
func AppendUvarints(dst []byte, list ...uint64) []byte {
	for _, v := range list {
		dst = binary.AppendUvarint(dst, v)
	}
	return dst
}

// AppendBytes appends s after its length.
func AppendBytes[S ~string | ~[]byte](dst []byte, s S) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}
