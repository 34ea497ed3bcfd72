package hash

import (
	"encoding/binary"
	"slices"
)

// A packed hash is a sequence of records in the order in which the fields came:
//
//	record = uvarint(len(field)) field uvarint(len(value)) value

// packedRecord is where a record lies in its block.
type packedRecord struct{ start, length, value, end int } // length: of the value's length

// readRecord returns the record at start and its name.
func readRecord(buf []byte, start int) (r packedRecord, field []byte) {
	n, at := readLength(buf, start)
	r.start, r.length = start, at+n
	field = buf[at:r.length:r.length]
	n, r.value = readLength(buf, r.length)
	r.end = r.value + n
	return r, field
}

func readLength(buf []byte, at int) (n, next int) {
	if b := buf[at]; b < 0x80 {
		return int(b), at + 1
	}
	v, w := binary.Uvarint(buf[at:])
	return int(v), at + w
}

// packedBytes is what a name or value of n bytes takes at most.
func packedBytes(n int) int { return n + 3 }

// find returns the record of field.
func find(buf, field []byte) (r packedRecord, ok bool) {
	for at := 0; at < len(buf); {
		n, name := readLength(buf, at)
		if n == len(field) && string(buf[name:name+n]) == string(field) {
			r, _ = readRecord(buf, at)
			return r, true
		}
		n, value := readLength(buf, name+n)
		at = value + n
	}
	return r, false
}

// eachPacked calls fn for every field until it returns false.
func eachPacked(buf []byte, fn func(field, value []byte) bool) bool {
	for at := 0; at < len(buf); {
		r, field := readRecord(buf, at)
		if !fn(field, buf[r.value:r.end:r.end]) {
			return false
		}
		at = r.end
	}
	return true
}

// setPacked returns the element sum that field had.
func (h *Hash) setPacked(field, value []byte, copyBlock bool) (was uint64, added bool) {
	r, found := find(h.buf, field)
	if found {
		was = elementSum(hashOf(field), h.buf[r.value:r.end])
	} else {
		r = packedRecord{start: len(h.buf), length: len(h.buf), end: len(h.buf)}
	}
	var head [2 * binary.MaxVarintLen64]byte
	vlen := binary.AppendUvarint(head[:0], uint64(len(value)))
	if found {
		at := h.splice(r.length, r.end, len(vlen)+len(value), copyBlock)
		copy(at[copy(at, vlen):], value)
		return was, false
	}
	flen := binary.AppendUvarint(head[binary.MaxVarintLen64:binary.MaxVarintLen64], uint64(len(field)))
	at := h.splice(r.start, r.end, len(flen)+len(field)+len(vlen)+len(value), copyBlock)
	at = at[copy(at, flen):]
	at = at[copy(at, field):]
	copy(at[copy(at, vlen):], value)
	return 0, true
}

// deletePacked removes a field that is there.
func (h *Hash) deletePacked(field []byte, copyBlock bool) {
	r, _ := find(h.buf, field)
	h.splice(r.start, r.end, 0, copyBlock)
}

// splice makes room of n bytes in place of buf[from:to], and returns it. With
// copyBlock the old block stays as it is.
func (h *Hash) splice(from, to, n int, copyBlock bool) []byte {
	size := len(h.buf) - (to - from) + n
	if !copyBlock && size <= cap(h.buf) && (size >= len(h.buf) || !wasteful(size, cap(h.buf))) {
		rest := h.buf[to:]
		h.buf = h.buf[:max(size, len(h.buf))]
		copy(h.buf[from+n:], rest)
		h.buf = h.buf[:size]
		return h.buf[from : from+n]
	}
	next := block(size, size/16)
	copy(next, h.buf[:from])
	copy(next[from+n:], h.buf[to:])
	h.buf = next
	return next[from : from+n]
}

// wasteful reports whether a block that has become shorter has so much more room than it needs
// that it gives memory back: more than a new one has, and no more than Size can answer for.
func wasteful(size, room int) bool { return room > size+size/5+shrinkSlack }

const shrinkSlack = 16

// block returns n bytes with room for more behind them: what is asked for and
// what the allocator gives anyway.
func block(n, more int) []byte {
	if n == 0 {
		return nil
	}
	return slices.Grow([]byte(nil), n+more)[:n]
}
