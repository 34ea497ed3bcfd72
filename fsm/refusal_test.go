package fsm

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/hashicorp/raft"
	"pgregory.net/rapid"

	"github.com/lockstepkv/lockstep/fsm/commandset"
)

// An entry that cannot be read has no effect but its mark, also when only its last unit is bad,
// and every replica that meets the same bytes comes to the same state.
func TestUnreadableEntryIsPassedOver(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		good := entryOf(50, batch("n1", 1, 2, 1, "SET k changed", "INCR n"), batch("n2", 1, 1, 0, "DEL k"))
		cut := rapid.IntRange(0, len(good)-1).Draw(t, "bytes kept")
		bad := slices.Clone(good[:cut])
		if rapid.Bool().Draw(t, "last unit") {
			b := batch("n2", 1, 1, 0, "DEL k")
			b.Body[len(b.Body)-2] = 77 // the argument's length
			bad = entryOf(50, batch("n1", 1, 2, 1, "SET k changed", "INCR n"), b)
		}
		var told []Refusal
		one := &replica{f: New(Options{Table: commandset.New(), OnRefused: func(r Refusal, err error) {
			if err == nil {
				t.Error("refused without a reason")
			}
			told = append(told, r)
		}})}
		other, without := &replica{f: newTestFSM()}, &replica{f: newTestFSM()}
		for _, r := range []*replica{one, other, without} {
			r.apply(entryOf(10, batch("n1", 1, 1, 0, "SET k v", "INCR n")))
		}
		data := one.f.Digest().Sum
		out := one.f.Apply(&raft.Log{Type: raft.LogCommand, Index: 2, Term: 1, Data: bad})
		if err, ok := out.(error); !ok || err == nil {
			t.Fatalf("answered %v", out)
		}
		other.apply(bad)
		if len(told) != 1 || told[0].Index != 2 || told[0].Term != 1 {
			t.Fatalf("told %+v", told)
		}
		d := one.f.Digest()
		if d != other.f.Digest() || one.f.stateSum() != other.f.stateSum() {
			t.Error("two replicas that refused the same bytes differ")
		}
		if d.Sum != data || one.f.Stamp().Wall != 10 || one.f.Applied() != 2 {
			t.Errorf("it had an effect: %+v", d)
		}
		without.apply(entryOf(10))
		if without.f.stateSum() == one.f.stateSum() || without.f.Digest().State == d.State {
			t.Error("a replica that refused an entry looks like one that did not")
		}
		if one.f.Made(told[0]) != RefusedSame || without.f.Made(told[0]) != NotRefused {
			t.Error("Made")
		}
		// The batches in it were not applied, and can be proposed again.
		if got := one.applyAt(3, good); len(got) != 2 || got[0].Err != nil || got[0].Replies[1].Int != 2 {
			t.Errorf("the same batches in an entry that can be read: %+v", got)
		}
	})
}

func (r *replica) applyAt(index uint64, data []byte) []BatchResult {
	out, _ := r.f.Apply(&raft.Log{Type: raft.LogCommand, Index: index, Term: 1, Data: data}).([]BatchResult)
	return out
}

// The marks are part of the state, and bounded.
func TestRefusalsAreRestored(t *testing.T) {
	for _, n := range []int{0, 1, refusalsKept + 7} {
		r := &replica{f: newTestFSM()}
		r.apply(entryOf(10, batch("n1", 1, 1, 0, "SET k v")))
		for i := range n {
			r.apply([]byte{byte(i)})
		}
		var state bytes.Buffer
		if _, err := r.f.WriteState(&state); err != nil {
			t.Fatal(err)
		}
		back := newTestFSM()
		if err := back.RestoreFrom(&state); err != nil {
			t.Fatal(err)
		}
		if back.Digest() != r.f.Digest() || back.stateSum() != r.f.stateSum() || len(back.refused.newest) > refusalsKept {
			t.Errorf("%d refused: %+v came back as %+v", n, r.f.refused, back.refused)
		}
	}
}

func TestMadeOfAnEntry(t *testing.T) {
	r := &replica{f: newTestFSM()}
	r.apply(entryOf(10))
	r.apply([]byte("garbage"))
	own := r.f.refused.newest[0]
	for name, c := range map[string]struct {
		asked Refusal
		want  int
	}{
		"the same":       {own, RefusedSame},
		"other bytes":    {Refusal{2, 1, own.Sum + 1}, RefusedOtherwise},
		"what was read":  {Refusal{1, 1, 5}, NotRefused},
		"not yet there":  {Refusal{3, 1, 5}, NotReached},
		"of another one": {Refusal{2, 9, own.Sum}, RefusedOtherwise},
	} {
		if got := r.f.Made(c.asked); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// A replica that is rebuilt does not pass over what its own log cannot tell it: the other
// replica's state must be beyond it.
func TestRebuildRefusesWhatItCannotRead(t *testing.T) {
	good, bad := &replica{f: newTestFSM()}, &replica{f: newTestFSM()}
	first := entryOf(10, batch("n1", 1, 1, 0, "SET k v"))
	good.apply(first)
	bad.apply(first)
	bad.apply([]byte("damaged"))
	log := func(index uint64) (*raft.Log, error) {
		return &raft.Log{Type: raft.LogCommand, Index: index, Term: 1, Data: []byte("damaged")}, nil
	}
	rebuild := func() error {
		var state bytes.Buffer
		if _, err := good.f.WriteState(&state); err != nil {
			t.Fatal(err)
		}
		return bad.f.Rebuild(&state, log)
	}
	if err := rebuild(); !errors.Is(err, ErrMalformedEntry) {
		t.Fatalf("from a state before it: %v", err)
	}
	good.apply(entryOf(20, batch("n1", 1, 2, 1, "SET k w")))
	if err := rebuild(); err != nil || bad.f.Digest() != good.f.Digest() {
		t.Fatalf("from a state with it: %v", err)
	}
}
