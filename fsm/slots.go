package fsm

import "github.com/cespare/xxhash/v2"

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
