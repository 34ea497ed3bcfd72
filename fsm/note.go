package fsm

import (
	"encoding/binary"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// Replicas compare themselves. None of them can wait for the others to come to the
// same index, so each notes what its state comes to at certain indexes, which are
// the same everywhere, and the notes are compared later.

const (
	// NoteEvery is the distance of the indexes at which a state is noted.
	NoteEvery = 16
	// notesKept is how many notes are kept: those of the last 8192 indexes, if none is asked
	// for in between.
	notesKept = 512
	// NoteFormat numbers what notes are made of. Those of another number must not be
	// compared.
	NoteFormat = 2
)

// Note is what a state came to when every command below Index was applied, and none
// from it on. There is one at every multiple of NoteEvery, and at entries that ask for it.
type Note struct {
	Index uint64
	Data  uint64 // see store.Sum
	State uint64 // over clock, settings, sessions, idempotency records, locks; see stateSum
}

// notes are the newest notes, oldest first from next on when the ring is full.
type notes struct {
	ring []Note
	next int
	due  bool // something has changed since the newest one
}

func (n *notes) add(note Note) {
	n.due = false
	if len(n.ring) < notesKept {
		n.ring = append(n.ring, note)
		return
	}
	n.ring[n.next] = note
	n.next = (n.next + 1) % notesKept
}

// newest is the index of the newest note, 0 if there is none.
func (n *notes) newest() uint64 {
	if len(n.ring) == 0 {
		return 0
	}
	return n.ring[(n.next+len(n.ring)-1)%len(n.ring)].Index
}

// since returns the notes of indexes above after, by index.
func (n *notes) since(after uint64) []Note {
	var out []Note
	for i := range n.ring {
		if note := n.ring[(n.next+i)%len(n.ring)]; note.Index > after {
			out = append(out, note)
		}
	}
	return out
}

// note notes the state before the command at index is applied, if it is the first
// one from a multiple of NoteEvery on.
func (f *FSM) note(index uint64) {
	boundary := index - index%NoteEvery
	if boundary == 0 || f.index >= boundary {
		return
	}
	f.notes.add(Note{Index: boundary, Data: f.store.Sum(), State: f.stateSum()})
}

// noteIfAsked notes the state before an entry that has a batch without commands, or says
// TakeNote: whoever proposes one wants the replicas to be compared there.
func (f *FSM) noteIfAsked(e *Entry) {
	asked := slices.ContainsFunc(e.Settings, func(s SettingChange) bool { return s.Setting == TakeNote }) ||
		slices.ContainsFunc(e.Batches, func(b Batch) bool { return b.Units == 0 })
	if asked && f.notes.newest() < f.index {
		f.notes.add(Note{Index: f.index, Data: f.store.Sum(), State: f.stateSum()})
	}
}

// changes reports whether an entry says that anything changes. What is over by its time
// may change beside.
func (e *Entry) changes() bool {
	return len(e.Evictions) > 0 ||
		slices.ContainsFunc(e.Settings, func(s SettingChange) bool { return s.Setting != TakeNote && s.Setting != Audit }) ||
		slices.ContainsFunc(e.Batches, func(b Batch) bool { return b.Units > 0 })
}

// sums are those of the data and of the locks.
func (f *FSM) sums() [2]uint64 { return [2]uint64{f.store.Sum(), f.locks.Sum()} }

// Unnoted reports whether something has changed since the newest note, and that one's
// index, 0 if there is none. An entry that asks for a note and does nothing else is no
// change.
func (f *FSM) Unnoted() (newest uint64, due bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.notes.newest(), f.notes.due
}

// Notes returns the notes of indexes above after that this state has, by index. A
// state that was restored begins anew.
func (f *FSM) Notes(after uint64) []Note {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.notes.since(after)
}

// stateSum hashes what is known of the state without a walk: everything of a fixed size,
// and the running sums of the rest.
func (f *FSM) stateSum() uint64 {
	sessions := uint64(0)
	for node, s := range f.sessions {
		sessions += mix(xxhash.Sum64String(node), s.boot, s.acked, uint64(len(s.replies)))
	}
	sum := mix(
		f.index, f.term, f.leading, uint64(f.clock), uint64(f.mono), f.lease,
		uint64(f.once.keepMillis), uint64(f.once.budget), uint64(f.once.bytes), f.once.sum,
		f.locks.Sum(), sessions,
		uint64(f.store.Len()), uint64(f.store.Used()), f.store.Revision(),
		f.partial.term, f.partial.id, f.partial.total, f.partial.come(),
	)
	if f.refused.count > 0 { // as before there were any, otherwise
		sum = mix(sum, f.refused.count, f.refused.sum)
	}
	return sum
}

// mix hashes numbers.
func mix(values ...uint64) uint64 {
	var b [24 * 8]byte
	for i, v := range values {
		binary.LittleEndian.PutUint64(b[8*i:], v)
	}
	return xxhash.Sum64(b[:8*len(values)])
}
