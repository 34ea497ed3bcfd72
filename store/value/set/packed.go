package set

import (
	"encoding/binary"

	"github.com/lockstepkv/lockstep/store/value/block"
)

// A packed set is a sequence of records in the order in which the members came:
//
//	record = uvarint(len(member)) member

// packedBytes is what a member of n bytes takes at most.
func packedBytes(n int) int { return n + 3 }

// find returns the record of member.
func find(buf, member []byte) (from, to int, ok bool) {
	for at := 0; at < len(buf); {
		n, begin := block.Length(buf, at)
		if n == len(member) && string(buf[begin:begin+n]) == string(member) {
			return at, begin + n, true
		}
		at = begin + n
	}
	return 0, 0, false
}

// eachPacked calls fn for every member until it returns false.
func eachPacked(buf []byte, fn func(member []byte) bool) bool {
	for at := 0; at < len(buf); {
		n, begin := block.Length(buf, at)
		at = begin + n
		if !fn(buf[begin:at:at]) {
			return false
		}
	}
	return true
}

// append puts a member behind all others.
func (s *Set) append(member []byte) {
	var head [binary.MaxVarintLen64]byte
	length := binary.AppendUvarint(head[:0], uint64(len(member)))
	hole := s.splice(len(s.buf), len(s.buf), len(length)+len(member))
	copy(hole[copy(hole, length):], member)
}

// splice makes room of n bytes in place of buf[from:to].
func (s *Set) splice(from, to, n int) (hole []byte) {
	copied := s.open()
	s.buf, hole = block.Splice(s.buf, from, to, n, copied)
	return hole
}

// toPacked makes members of integers.
func (s *Set) toPacked() {
	packed := new(Set)
	s.Each(func(member []byte) bool {
		packed.append(member)
		return true
	})
	s.buf, s.width = packed.buf, 0
	s.head.Fresh()
}
