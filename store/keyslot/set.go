package keyslot

import "math/bits"

// None stands for the slot of something whose key is not known. It belongs to every slot:
// whoever takes a slot away takes it along, and leaves it.
const None = Count

// Set is a set of slots. The zero value is empty.
type Set struct {
	bits [Count / 64]uint64
	n    int
}

// All returns the set of all slots.
func All() *Set {
	s := new(Set)
	for i := range s.bits {
		s.bits[i] = 1<<64 - 1
	}
	s.n = Count
	return s
}

// Add puts a slot, which is below Count, into the set.
func (s *Set) Add(slot uint16) {
	word, bit := &s.bits[slot/64], uint64(1)<<(slot%64)
	if *word&bit == 0 {
		*word |= bit
		s.n++
	}
}

// Has reports whether a slot, which is below Count, is in the set.
func (s *Set) Has(slot uint16) bool { return s.bits[slot/64%uint16(len(s.bits))]>>(slot%64)&1 != 0 }

// Whole reports whether every slot is in the set. A nil set is whole.
func (s *Set) Whole() bool { return s == nil || s.n == Count }

// Len is how many slots are in the set.
func (s *Set) Len() int { return s.n }

// Ranges lists the set as inclusive [first, last] pairs in ascending order, as CLUSTER SLOTS
// and GET /v1/cluster show slots.
func (s *Set) Ranges() (ranges [][2]uint16) {
	for slot := s.next(0, 0); slot < Count; {
		end := s.next(slot, ^uint64(0))
		ranges = append(ranges, [2]uint16{uint16(slot), uint16(end - 1)})
		slot = s.next(end, 0)
	}
	return ranges
}

// next is the first slot from one on that is in the set, or of those that are not if flip is
// all ones; Count if there is none.
func (s *Set) next(slot int, flip uint64) int {
	for slot < Count {
		if word := (s.bits[slot/64] ^ flip) >> (slot % 64); word != 0 {
			return slot + bits.TrailingZeros64(word)
		}
		slot = (slot/64 + 1) * 64
	}
	return Count
}
