package fsm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/hashicorp/raft"
	"pgregory.net/rapid"

	"github.com/lockstepkv/lockstep/fsm/commandset"
	"github.com/lockstepkv/lockstep/snapshot/rdb"
	"github.com/lockstepkv/lockstep/store"
)

// history is a log of which replicas apply what they please.
type history []*raft.Log

func (h *history) add(t *rapid.T, stamp *int64) {
	*stamp += rapid.Int64Range(0, 40).Draw(t, "step")
	// Other entries of Raft stand between the commands.
	index := uint64(rapid.IntRange(1, 30).Draw(t, "gap"))
	if len(*h) > 0 {
		index += (*h)[len(*h)-1].Index
	}
	data := entryOf(*stamp, batch("n1", 1, index, index-1, rapid.SliceOfN(rapid.SampledFrom(testCommands), 0, 4).Draw(t, "cmds")...))
	*h = append(*h, &raft.Log{Type: raft.LogCommand, Index: index, Term: 1, Data: data})
}

func (h history) entry(index uint64) (*raft.Log, error) {
	for _, l := range h {
		if l.Index == index {
			return l, nil
		}
	}
	return &raft.Log{Type: raft.LogNoop, Index: index}, nil
}

// Replicas that were restored at different moments have equal notes wherever they have
// notes of one index.
func TestNotesAreOfTheSameMoments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := newTestFSM(), newTestFSM()
		var log history
		stamp, compared := int64(1000), 0
		for range rapid.IntRange(1, 60).Draw(t, "entries") {
			log.add(t, &stamp)
			a.Apply(log[len(log)-1])
			b.Apply(log[len(log)-1])
			if rapid.IntRange(0, 19).Draw(t, "restore") == 0 {
				var buf bytes.Buffer
				if _, err := b.WriteState(&buf); err != nil {
					t.Fatal(err)
				}
				if err := b.RestoreFrom(&buf); err != nil {
					t.Fatal(err)
				}
				if n := b.Notes(0); len(n) != 0 {
					t.Fatalf("%d notes of another state", len(n))
				}
			}
			all := a.Notes(0)
			for _, n := range b.Notes(0) {
				if !slices.Contains(all, n) {
					t.Fatalf("%+v is not among %+v", n, all)
				}
				compared++
			}
		}
		if last := log[len(log)-1].Index; last > 200 && len(a.Notes(0)) == 0 {
			t.Fatalf("no notes up to index %d", last)
		}
		if n := a.Notes(128); len(n) > 0 && n[0].Index <= 128 {
			t.Fatalf("asked for notes above 128, got %d", n[0].Index)
		}
	})
}

func TestNotesAreBounded(t *testing.T) {
	f := newTestFSM()
	for i := uint64(1); i <= notesKept+44; i++ {
		f.Apply(&raft.Log{Type: raft.LogCommand, Index: i * NoteEvery, Term: 1, Data: entryOf(int64(i))})
	}
	n := f.Notes(0)
	if len(n) != notesKept || n[0].Index != 45*NoteEvery || n[notesKept-1].Index != (notesKept+44)*NoteEvery {
		t.Fatalf("%d notes, from %d to %d", len(n), n[0].Index, n[len(n)-1].Index)
	}
}

// A state that has gone wrong becomes like the others by Rebuild, whichever of the two
// is ahead, and goes on like them.
func TestRebuild(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		good, bad := newTestFSM(), newTestFSM()
		var log history
		stamp := int64(1000)
		for range rapid.IntRange(1, 200).Draw(t, "entries") {
			log.add(t, &stamp)
		}
		ahead, behind := good, bad
		if rapid.Bool().Draw(t, "the wrong one is ahead") {
			ahead, behind = bad, good
		}
		met := rapid.IntRange(0, len(log)).Draw(t, "met")
		for i, l := range log {
			ahead.Apply(l)
			if i < met {
				behind.Apply(l)
			}
		}
		bad.store.Put([]byte("never"), []byte("logged"), 0, false)
		var state bytes.Buffer
		if _, err := good.WriteState(&state); err != nil {
			t.Fatal(err)
		}
		if err := bad.Rebuild(&state, log.entry); err != nil {
			t.Fatal(err)
		}
		all := len(log)
		for range rapid.IntRange(0, 5).Draw(t, "more") {
			log.add(t, &stamp)
		}
		// Raft goes on where each of them was, also if the state is further already.
		for _, l := range log[all:] {
			ahead.Apply(l)
		}
		for _, l := range log[met:] {
			behind.Apply(l)
		}
		if x, y := good.Digest(), bad.Digest(); x != y || good.store.Sum() != bad.store.Sum() || good.stateSum() != bad.stateSum() {
			t.Fatalf("rebuilt to %+v, want %+v", y, x)
		}
	})
}

func TestRebuildThatFailsChangesNothing(t *testing.T) {
	good, bad := newTestFSM(), newTestFSM()
	var log history
	for i := uint64(1); i <= 3; i++ {
		log = append(log, &raft.Log{Type: raft.LogCommand, Index: i, Term: 1, Data: entryOf(int64(i), batch("n1", 1, i, i-1, fmt.Sprintf("SET k%d v", i)))})
	}
	good.Apply(log[0])
	for _, l := range log {
		bad.Apply(l)
	}
	before := bad.Digest()
	var state bytes.Buffer
	if _, err := good.WriteState(&state); err != nil {
		t.Fatal(err)
	}
	gone := errors.New("compacted")
	if err := bad.Rebuild(bytes.NewReader(state.Bytes()), func(uint64) (*raft.Log, error) { return nil, gone }); !errors.Is(err, gone) {
		t.Errorf("without the log: %v", err)
	}
	if err := bad.Rebuild(bytes.NewReader(state.Bytes()[:state.Len()-3]), log.entry); err == nil {
		t.Error("a state that is cut off was taken")
	}
	if err := bad.Rebuild(readerFunc(func(p []byte) (int, error) { return 0, io.ErrUnexpectedEOF }), log.entry); err == nil {
		t.Error("no state was taken")
	}
	if after := bad.Digest(); after != before {
		t.Errorf("%+v became %+v", before, after)
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// A state whose data have changed by themselves is written neither for a replica nor as a
// backup.
func TestUnsoundDataAreNotWritten(t *testing.T) {
	told := 0
	f := New(Options{Table: commandset.New(), OnUnsound: func(string) { told++ }})
	f.Apply(&raft.Log{Type: raft.LogCommand, Index: 1, Term: 1, Data: entryOf(1, batch("n1", 1, 1, 0, "SET key value"))})
	f.store.Get([]byte("key")).Bytes()[0] ^= 1
	if _, err := f.WriteState(io.Discard); !errors.Is(err, rdb.ErrUnsound) {
		t.Errorf("the state: %v", err)
	}
	if _, err := writeBackup(f, io.Discard); !errors.Is(err, rdb.ErrUnsound) || told != 2 {
		t.Errorf("a backup: %v; told %d times", err, told)
	}
}

// A state that is not verified is not written for a replica.
func TestVerifyKeepsAStateBack(t *testing.T) {
	no := errors.New("not now")
	f := New(Options{Table: commandset.New(), Verify: func(index uint64) error {
		if index != 5 {
			t.Errorf("asked about index %d", index)
		}
		return no
	}})
	f.Apply(&raft.Log{Type: raft.LogCommand, Index: 5, Term: 1, Data: entryOf(1)})
	if _, err := f.WriteState(io.Discard); !errors.Is(err, no) {
		t.Error(err)
	}
}

// Whoever proposes nothing at all gets a note.
func TestEmptyBatchesAreNoted(t *testing.T) {
	f := newTestFSM()
	for i, b := range []Batch{batch("n1", 1, 1, 0, "SET a 1"), batch("n1", 1, 2, 1), batch("n1", 1, 3, 2, "SET a 2"), batch("n1", 1, 4, 3)} {
		index := uint64(i + 1)
		if i == 3 {
			index = NoteEvery // where there is one anyway
		}
		f.Apply(&raft.Log{Type: raft.LogCommand, Index: index, Term: 1, Data: entryOf(1, b)})
	}
	if n := f.Notes(0); len(n) != 2 || n[0].Index != 2 || n[1].Index != NoteEvery {
		t.Errorf("%+v", n)
	}
}

// A note is due after a change, until one is made. An entry that only asks for one makes it,
// in whatever company, and is no change itself.
func TestNotesAreDueAfterChanges(t *testing.T) {
	f := newTestFSM()
	index := uint64(0)
	apply := func(e Entry, noted, due bool) {
		t.Helper()
		index++
		e.StampMillis = int64(index)
		if index == 6 {
			e.StampMillis = 5000 // the key's time is up
		}
		f.Apply(&raft.Log{Type: raft.LogCommand, Index: index, Term: 1, Data: e.AppendTo(nil)})
		if newest, d := f.Unnoted(); (newest == index) != noted || d != due {
			t.Errorf("entry %d: the newest note is %d, due %v; want %v, %v", index, newest, d, noted, due)
		}
	}
	ask := []SettingChange{{Setting: TakeNote}}
	apply(Entry{}, false, false)
	apply(Entry{Batches: []Batch{batch("n1", 1, 1, 0, "SET a 1 PX 1000")}}, false, true)
	apply(Entry{}, false, true)
	apply(Entry{Settings: ask}, true, false)
	apply(Entry{Settings: ask}, true, false)
	apply(Entry{Settings: ask}, true, true)
	apply(Entry{Batches: []Batch{batch("n1", 1, 2, 1)}}, true, false)
	apply(Entry{Settings: ask, Batches: []Batch{batch("n1", 1, 3, 2, "SET a 2")}}, true, true)
	apply(Entry{Settings: append(ask, SettingChange{Setting: Audit})}, true, false)
	apply(Entry{Settings: []SettingChange{{Setting: SettingLeaseMillis, Value: 7}}}, false, true)
}

// Memory that changes between the running sum and the file shows when the file is read.
func TestRestoreComparesTheSum(t *testing.T) {
	f := newTestFSM()
	f.Apply(&raft.Log{Type: raft.LogCommand, Index: 1, Term: 1, Data: entryOf(1, batch("n1", 1, 1, 0, "SET key value"))})
	z, _ := f.freeze()
	defer z.Release()
	var state bytes.Buffer
	err := z.write(&state, rdb.Aux{Key: stateAux, Value: slices.Concat(z.state...)}, rdb.Aux{Key: sumAux, Value: []byte("abc")})
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	other := New(Options{Table: commandset.New(), OnUnsound: func(string) { told++ }})
	if err := other.RestoreFrom(bytes.NewReader(state.Bytes())); err != nil || told != 1 {
		t.Fatalf("%v, told %d times", err, told)
	}
	if err := f.Rebuild(bytes.NewReader(state.Bytes()), history{}.entry); err == nil {
		t.Fatal("rebuilt from a damaged state")
	}
}

func TestAuditsAreOfTheEntry(t *testing.T) {
	var digests []uint64
	f := New(Options{Table: commandset.New(), OnAudit: func(index uint64, data *store.Snapshot) {
		if index != 2 {
			t.Errorf("audit of index %d", index)
		}
		digests = append(digests, data.Digest())
		data.Release()
	}})
	f.Apply(&raft.Log{Type: raft.LogCommand, Index: 1, Term: 1, Data: entryOf(1, batch("n1", 1, 1, 0, "SET a 1"))})
	before := f.Digest().Sum
	e := Entry{StampMillis: 2, Settings: []SettingChange{{Setting: Audit}}, Batches: []Batch{batch("n1", 1, 2, 1, "SET a 2")}}
	f.Apply(&raft.Log{Type: raft.LogCommand, Index: 2, Term: 1, Data: e.AppendTo(nil)})
	if len(digests) != 1 || digests[0] != before {
		t.Errorf("audited %x, the data before the entry's commands come to %x", digests, before)
	}
}
