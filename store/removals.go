package store

// removals remembers when keys were last removed, by slot. It lets WATCH tell a
// key that has been absent all along from one that came and went: the state
// looks the same, but a client that watched the key was to be told. Keys of one
// slot share a memory, so that it has a fixed size; a watcher may be told of the
// removal of another key, and tries again.
type removals struct {
	cleared uint64   // everything was removed at this revision; of states written before slots told that too
	bySlot  []uint64 // revision of the newest removal; nil until the first
}

func (r *removals) note(slot uint16, revision uint64) {
	if r.bySlot == nil {
		r.bySlot = make([]uint64, SlotCount)
	}
	r.bySlot[slot] = revision
}

// noteAll notes the removal of everything: keys tells how many each slot had. A
// slot that had none has lost none.
func (r *removals) noteAll(keys []uint32, revision uint64) {
	for slot, n := range keys {
		if n > 0 {
			r.note(uint16(slot), revision)
		}
	}
}

// RemovedSince reports whether key, or another one of its slot, was removed after
// the given revision.
func (s *Store) RemovedSince(key []byte, revision uint64) bool {
	if s.removals.cleared > revision {
		return true
	}
	return s.removals.bySlot != nil && s.removals.bySlot[Slot(key)] > revision
}

// RemovedAt returns the revision at which a key of the slot was last removed, 0 if none was.
func (s *Store) RemovedAt(slot uint16) uint64 {
	if int(slot) >= len(s.removals.bySlot) {
		return s.removals.cleared
	}
	return max(s.removals.cleared, s.removals.bySlot[slot])
}

// Removals calls fn for each slot that has lost a key, with the revision of the
// newest loss. At revision cleared everything was removed, if that is not 0.
func (s *Store) Removals(fn func(slot uint16, revision uint64)) (cleared uint64) {
	for slot, revision := range s.removals.bySlot {
		if revision != 0 {
			fn(uint16(slot), revision)
		}
	}
	return s.removals.cleared
}

// RestoreRemovals takes over what Removals of another store told: cleared first,
// then the slots.
func (s *Store) RestoreRemovals(cleared uint64) (slot func(slot uint16, revision uint64)) {
	s.removals = removals{cleared: cleared}
	return s.removals.note
}
