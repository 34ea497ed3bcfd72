package fsm

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/lockstepkv/lockstep/store/keyslot"
)

// Slots returns the slots that the shard owns by this state, nil for all. The set is not
// changed any more.
func (f *FSM) Slots() *keyslot.Set {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.slots
}

// appendOwned encodes the slots that a shard owns, nil for all.
//
//	owned = uvarint(ranges) (uvarint(first) uvarint(last))*
func appendOwned(b []byte, slots *keyslot.Set) []byte {
	ranges := [][2]uint16{{0, keyslot.Count - 1}}
	if !slots.Whole() {
		ranges = slots.Ranges()
	}
	b = binary.AppendUvarint(b, uint64(len(ranges)))
	for _, r := range ranges {
		b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(r[0])), uint64(r[1]))
	}
	return b
}

func (d *decoder) owned() *keyslot.Set {
	set := new(keyslot.Set)
	for n := d.count(2); n > 0 && !d.failed; n-- {
		first, last := d.uvarint(), d.uvarint()
		if first > last || last >= keyslot.Count {
			d.fail()
			break
		}
		for slot := first; slot <= last; slot++ {
			set.Add(uint16(slot))
		}
	}
	return set
}

// SlotSum sums up what the state machine keeps for the keys of a slot beside the keys
// themselves, and counts it: idempotency records, forgotten ids, fences that its keys have
// seen, the newest removal of a key. What belongs to no slot in particular belongs to all: it
// is from a state of a version that did not tell slots.
func (f *FSM) SlotSum(slot uint16) (sum uint64, items int) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	add := func(values ...uint64) {
		sum += mix(values...)
		items++
	}
	f.once.ofSlot(slot, func(r *onceRecord) { add(r.sum) }, func(hash uint64, g *grave) { add(hash, uint64(g.from)) })
	f.locks.FencesOf(slot, func(lock [16]byte, fence uint64, granted bool) {
		var here uint64
		if granted {
			here = 1
		}
		add(xxhash.Sum64(lock[:]), fence, here)
	})
	if revision := f.store.RemovedAt(slot); revision != 0 {
		add(revision)
	}
	return sum, items
}
