package rdb

import "encoding/binary"

// TrailerLen is the length of the checksum at the end of an RDB file.
const TrailerLen = 8

// TailSum sums a file as it passes by, except its last TrailerLen bytes, in which the
// file says what its sum is: so whoever copies a file can tell whether it is whole
// without reading it.
type TailSum struct {
	Sum  uint64 // of all but the tail
	Size int64  // of the whole file

	last byte // the last one that is in Sum
	tail [TrailerLen]byte
	kept int
}

// Add takes the next part of the file.
func (t *TailSum) Add(p []byte) {
	t.Size += int64(len(p))
	if len(p) >= TrailerLen {
		t.sum(t.tail[:t.kept])
		body := len(p) - TrailerLen
		t.sum(p[:body])
		t.kept = copy(t.tail[:], p[body:])
		return
	}
	if over := t.kept + len(p) - TrailerLen; over > 0 {
		t.sum(t.tail[:over])
		t.kept = copy(t.tail[:], t.tail[over:t.kept])
	}
	t.kept += copy(t.tail[t.kept:], p)
}

func (t *TailSum) sum(p []byte) {
	if len(p) > 0 {
		t.Sum = crc64Update(t.Sum, p)
		t.last = p[len(p)-1]
	}
}

// Check says whether the file ends with the EOF opcode and the sum of what
// stands before. The sum alone does not notice zeros behind it: this CRC starts
// at 0 and is not inverted, so it is its own continuation.
func (t *TailSum) Check() error {
	if t.Size < int64(headerLen+1+TrailerLen) {
		return Damaged("%d bytes are too few for an RDB file", t.Size)
	}
	if got := binary.LittleEndian.Uint64(t.tail[:]); got != t.Sum {
		return Damaged("checksum is %016x, the content's is %016x", got, t.Sum)
	}
	if t.last != opEOF {
		return Damaged("no end of file before the checksum")
	}
	return nil
}
