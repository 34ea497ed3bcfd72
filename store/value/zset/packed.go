package zset

import (
	"encoding/binary"

	"github.com/lockstepkv/lockstep/store/value/block"
)

// A packed set is a sequence of records in order of (score, member):
//
//	record = uvarint(len(member)) member score

// packedRecord is where a record lies in its block.
type packedRecord struct {
	start, end int
	member     []byte
	score      float64
}

// readRecord returns the record at start.
func readRecord(buf []byte, start int) packedRecord {
	n, at := block.Length(buf, start)
	score, length := readScore(buf[at+n:])
	return packedRecord{start: start, end: at + n + length, member: buf[at : at+n : at+n], score: score}
}

// eachPacked calls fn for every record until it returns false.
func eachPacked(buf []byte, fn func(r packedRecord) bool) {
	for at := 0; at < len(buf); {
		r := readRecord(buf, at)
		if !fn(r) {
			return
		}
		at = r.end
	}
}

// find returns the record of member, and how many are before it.
func find(buf, member []byte) (r packedRecord, rank int, ok bool) {
	for at := 0; at < len(buf); rank++ {
		n, name := block.Length(buf, at)
		if n == len(member) && string(buf[name:name+n]) == string(member) {
			return readRecord(buf, at), rank, true
		}
		_, length := readScore(buf[name+n:])
		at = name + n + length
	}
	return r, rank, false
}

// place returns where a record of member and score belongs.
func place(buf, member []byte, score float64) (at int) {
	at = len(buf)
	eachPacked(buf, func(r packedRecord) bool {
		if r.score < score || r.score == score && string(r.member) < string(member) {
			return true
		}
		at = r.start
		return false
	})
	return at
}

// starts returns where the records begin.
func (c *contents) starts() []int {
	list := make([]int, 0, c.n)
	eachPacked(c.buf, func(r packedRecord) bool {
		list = append(list, r.start)
		return true
	})
	return list
}

// setPacked puts a record where it belongs. member is not there.
func (z *ZSet) setPacked(member []byte, score float64, copyBlock bool) {
	var head [binary.MaxVarintLen64]byte
	var tail [maxScoreBytes]byte
	length := binary.AppendUvarint(head[:0], uint64(len(member)))
	encoded := appendScore(tail[:0], score)
	at := place(z.buf, member, score)
	hole := z.splice(at, at, len(length)+len(member)+len(encoded), copyBlock)
	hole = hole[copy(hole, length):]
	copy(hole[copy(hole, member):], encoded)
}

// splice makes room of n bytes in place of buf[from:to], and returns it. With
// copyBlock the old block stays as it is.
func (z *ZSet) splice(from, to, n int, copyBlock bool) (hole []byte) {
	z.buf, hole = block.Splice(z.buf, from, to, n, copyBlock)
	return hole
}
