package fsm

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// Refusal is a log entry that the state machine could not read, and passed over. A replica
// cannot tell alone whether the bytes are damaged on its own disk only, or were damaged before
// they came to any. So the state has a mark of each: replicas that refused the same bytes are
// in the same state, and one that could read them is in another. shard/soundness finds out
// which of them is right, and lets nobody see the state before.
type Refusal struct {
	Index, Term uint64
	Sum         uint64 // hash of the bytes that could not be read
}

// refusals are those of a state.
type refusals struct {
	count  uint64
	sum    uint64 // over all of them
	newest []Refusal
}

// refusalsKept is how many are remembered one by one.
const refusalsKept = 64

func (r *refusals) add(refusal Refusal) {
	r.count++
	r.sum = mix(r.sum, refusal.Index, refusal.Term, refusal.Sum)
	if len(r.newest) == refusalsKept {
		r.newest = append(r.newest[:0], r.newest[1:]...)
	}
	r.newest = append(r.newest, refusal)
}

func (r *refusals) appendTo(b []byte) []byte {
	b = binary.AppendUvarint(b, r.count)
	b = binary.LittleEndian.AppendUint64(b, r.sum)
	b = binary.AppendUvarint(b, uint64(len(r.newest)))
	for _, one := range r.newest {
		b = binary.AppendUvarint(binary.AppendUvarint(b, one.Index), one.Term)
		b = binary.LittleEndian.AppendUint64(b, one.Sum)
	}
	return b
}

// refusalBytes is what a refusal takes at least.
const refusalBytes = 10

func (d *decoder) refusals() refusals {
	r := refusals{count: d.uvarint(), sum: d.uint64()}
	for n := d.count(refusalBytes); n > 0 && !d.failed; n-- {
		r.newest = append(r.newest, Refusal{Index: d.uvarint(), Term: d.uvarint(), Sum: d.uint64()})
	}
	if len(r.newest) > refusalsKept {
		d.fail()
	}
	return r
}

// unreadable is the error of an entry that cannot be read.
type unreadable struct {
	Refusal
	err error
}

func (u *unreadable) Error() string { return u.err.Error() }
func (u *unreadable) Unwrap() error { return u.err }

// unreadable says that data, which the entry that is being applied has come to, cannot be read.
func (f *FSM) unreadable(err error, data ...[]byte) error {
	sum := xxhash.New()
	for _, part := range data {
		_, _ = sum.Write(part) // never fails
	}
	return &unreadable{Refusal{Index: f.index, Term: f.term, Sum: sum.Sum64()}, err}
}

// decode reads an entry and everything in it, so that one that cannot be read has no effect.
func (f *FSM) decode(data []byte, lent [][]byte, e *Entry) error {
	if err := decodeEntry(data, lent, e); err != nil {
		return err
	}
	for i := range e.Batches {
		if err := e.Batches[i].check(&f.reader, &f.unit); err != nil {
			return err
		}
	}
	return nil
}

// refuse passes over an entry that applyLocked could not read. The lock is held.
func (f *FSM) refuse(err error) {
	u := err.(*unreadable)
	f.refused.add(u.Refusal)
	f.notes.due = true
	if f.opt.OnRefused != nil {
		f.opt.OnRefused(u.Refusal, u.err)
	}
}

// What a state has made of a log entry.
const (
	NotReached       = iota // it has not come so far
	RefusedSame             // it has refused it, and the bytes were the same
	RefusedOtherwise        // it has refused other bytes
	NotRefused              // it is beyond it
)

// Made tells what this state has made of the entry that another one has refused. One of which
// it remembers nothing any more counts as not refused.
func (f *FSM) Made(r Refusal) int {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.reachedLocked() < r.Index {
		return NotReached
	}
	for _, own := range f.refused.newest {
		switch {
		case own == r:
			return RefusedSame
		case own.Index == r.Index:
			return RefusedOtherwise
		}
	}
	return NotRefused
}
