package fsm

import (
	"bytes"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/snapshot/rdb"
)

// snapshotAt is what the store of snapshots hands out: a state, and the index that
// Raft gave it.
type snapshotAt struct {
	io.ReadCloser
	index uint64
}

func (s snapshotAt) SnapshotIndex() uint64 { return s.index }

// saved returns r's state as a snapshot to which Raft gave index.
func saved(t *testing.T, r *replica, index uint64) func() io.ReadCloser {
	t.Helper()
	var buf bytes.Buffer
	z, _ := r.f.freeze()
	defer z.Release()
	if err := z.write(&buf, rdb.Aux{Key: stateAux, Value: slices.Concat(z.state...)}); err != nil {
		t.Fatal(err)
	}
	return func() io.ReadCloser { return snapshotAt{io.NopCloser(bytes.NewReader(buf.Bytes())), index} }
}

// TestStateOfASnapshotHasReachedItsIndex: the snapshot of an idle shard may end
// with entries that never come to the state machine.
func TestStateOfASnapshotHasReachedItsIndex(t *testing.T) {
	r := &replica{f: newTestFSM()}
	r.apply(entryOf(1))
	r.apply(entryOf(2))
	if got := r.f.Reached(); got != 2 {
		t.Fatalf("reached %d after entry 2", got)
	}
	f := newTestFSM()
	if err := f.Restore(saved(t, r, 5)()); err != nil {
		t.Fatal(err)
	}
	if got := f.Reached(); got != 5 || f.Applied() != 2 {
		t.Fatalf("reached %d, applied %d; want 5 and 2", got, f.Applied())
	}
	if err := f.WaitReached(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	if _, _, ok := f.ViewAt(5, Stamp{}, func(*command.Ctx) {}); !ok {
		t.Error("the state has not reached its snapshot's index")
	}
	if _, _, ok := f.ViewAt(6, Stamp{}, func(*command.Ctx) { t.Error("seen") }); ok {
		t.Error("the state has reached an index that it never saw")
	}
}

// TestViewsWhileARestoreTakesTheStateBack: Raft installs a snapshot without asking
// how far the state is.
func TestViewsWhileARestoreTakesTheStateBack(t *testing.T) {
	r := &replica{f: newTestFSM()}
	r.apply(entryOf(1, batch("n1", 1, 1, 0, "SET k old")))
	old := saved(t, r, 1)
	r.apply(entryOf(2, batch("n1", 1, 2, 1, "SET k new")))
	newer := saved(t, r, 2)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				value := ""
				_, _, ok := r.f.ViewAt(2, Stamp{}, func(c *command.Ctx) { value = string(c.Lookup([]byte("k")).Bytes()) })
				if ok && value != "new" {
					t.Errorf("a state that had reached 2 shows %q", value)
					return
				}
			}
		})
	}
	for until := time.Now().Add(300 * time.Millisecond); time.Now().Before(until); {
		for _, s := range []func() io.ReadCloser{old, newer} {
			if err := r.f.Restore(s()); err != nil {
				t.Error(err)
			}
		}
		if got := r.f.Reached(); got != 2 {
			t.Errorf("reached %d", got)
		}
	}
	close(stop)
	wg.Wait()
}
