package hash

import (
	"encoding/binary"

	"github.com/lockstepkv/lockstep/store/value/block"
)

// A packed hash is a sequence of records in the order in which the fields came:
//
//	record = uvarint(len(field)) field uvarint(len(value)) value

// packedRecord is where a record lies in its block.
type packedRecord struct{ start, length, value, end int } // length: of the value's length

// readRecord returns the record at start and its name.
func readRecord(buf []byte, start int) (r packedRecord, field []byte) {
	n, at := block.Length(buf, start)
	r.start, r.length = start, at+n
	field = buf[at:r.length:r.length]
	n, r.value = block.Length(buf, r.length)
	r.end = r.value + n
	return r, field
}

// packedBytes is what a name or value of n bytes takes at most.
func packedBytes(n int) int { return n + 3 }

// find returns the record of field.
func find(buf, field []byte) (r packedRecord, ok bool) {
	for at := 0; at < len(buf); {
		n, name := block.Length(buf, at)
		if n == len(field) && string(buf[name:name+n]) == string(field) {
			r, _ = readRecord(buf, at)
			return r, true
		}
		n, value := block.Length(buf, name+n)
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
func (h *Hash) splice(from, to, n int, copyBlock bool) (hole []byte) {
	h.buf, hole = block.Splice(h.buf, from, to, n, copyBlock)
	return hole
}
