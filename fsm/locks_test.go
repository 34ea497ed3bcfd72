package fsm

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/commandset"
	"github.com/lockstepkv/lockstep/fsm/lock"
)

// lockReplica is a replica that notes what it was told of locks.
func lockReplica() (*replica, *[]string) {
	var told []string
	f := New(Options{Table: commandset.New(), OnLocks: func(index uint64, events []lock.Event) {
		if events == nil {
			told = append(told, fmt.Sprintf("%d restored", index))
		}
		for _, e := range events {
			told = append(told, strings.TrimSpace(fmt.Sprintf("%d %d %s %s", index, e.Kind, e.Token, e.Reason)))
		}
	}})
	return &replica{f: f}, &told
}

const stamp0 = 1700000000000

func TestLocksInTheLog(t *testing.T) {
	r, told := lockReplica()
	r.apply(entryOf(stamp0, batch("n1", 1, 1, 0, "LS.LOCK l 1000 o 0 a n1 1", "LS.LOCK l 1000 o 60000 b n1 1", "LS.LOCK l 1000 o 60000 c n2 1")))
	if due := r.f.LocksDue(); due != stamp0+1000 {
		t.Errorf("due at %d", due-stamp0)
	}
	r.apply(entryOf(stamp0 + 1000)) // a tick: a's time is over, b is next
	r.apply(entryOf(stamp0+1001, batch("n1", 2, 1, 0, "UNLOCK l b")))
	want := "1 1 a, 2 2  expired, 2 1 b, 3 2  released, 3 1 c"
	if got := strings.Join(*told, ", "); got != want {
		t.Errorf("told %q, want %q", got, want)
	}
}

func TestRestartedNodeLosesItsWaiters(t *testing.T) {
	r, told := lockReplica()
	r.apply(entryOf(stamp0, batch("n1", 1, 1, 0, "LS.LOCK l 1000 o 0 a n1 1", "LS.LOCK l 1000 o 60000 b n1 1")))
	r.apply(entryOf(stamp0+1, batch("n1", 2, 1, 0)))
	if got := (*told)[len(*told)-1]; got != "2 3 b node_gone" {
		t.Errorf("told %q", got)
	}
}

func TestNewLeaderLetsLocksCountAnew(t *testing.T) {
	r, _ := lockReplica()
	r.apply(entryOf(stamp0, batch("n1", 1, 1, 0, "LS.LOCK l 1000 o 0 a n1 1")))
	r.term = 2
	r.apply(entryOf(stamp0 + 5000)) // five seconds without a leader
	r.f.InspectLocks(func(tab *lock.Table) {
		if info, held := tab.Info([]byte("l")); !held || info.ExpiresAt != stamp0+6000 {
			t.Errorf("held: %v, until %d", held, info.ExpiresAt-stamp0)
		}
	})
	r.apply(entryOf(stamp0 + 6000))
	r.f.InspectLocks(func(tab *lock.Table) {
		if tab.Len() != 0 {
			t.Error("the lock outlived its time")
		}
	})
}

func TestLocksSurviveASnapshot(t *testing.T) {
	r, _ := lockReplica()
	r.apply(entryOf(stamp0, batch("n1", 1, 1, 0, "LS.LOCK l 1000 o 0 a n1 1", "LS.LOCK l 1000 o 60000 b n1 1", "FENCED m 500380467200000 SET k v")))
	again := restored(t, r)
	if a, b := r.f.Digest(), again.f.Digest(); a != b {
		t.Fatalf("digests differ: %+v, %+v", a, b)
	}
	for _, rep := range []*replica{r, again} {
		rep.apply(entryOf(stamp0+1000, batch("n1", 1, 2, 1, "FENCED m 500380467199999 SET k late", "FENCED l 500380467200000 SET k late", "LS.LOCK l 1 o 0 d n1 1")))
	}
	if a, b := r.f.Digest(), again.f.Digest(); a != b {
		t.Errorf("digests differ after the same entry: %+v, %+v", a, b)
	}
	r.f.View(Stamp{}, func(c *command.Ctx) {
		if v := c.Store.Get([]byte("k")); v == nil || string(v.Bytes()) != "v" {
			t.Error("a late write was applied")
		}
	})
}

// TestBackupHasNoTokens: a backup is handed around, and a token is the right to a
// lock.
func TestBackupHasNoTokens(t *testing.T) {
	r := &replica{f: newTestFSM()}
	r.apply(entryOf(stamp0, batch("n1", 1, 1, 0, "SET k v", "LS.LOCK l 60000 o 0 secret-token n1 1", "ONCE id LS.LOCK m 60000 o 0 other-token n1 1")))
	var backup bytes.Buffer
	if _, err := writeBackup(r.f, &backup); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"secret-token", "other-token"} {
		if bytes.Contains(backup.Bytes(), []byte(secret)) {
			t.Errorf("%s is in the backup", secret)
		}
	}
	if !bytes.Contains(backup.Bytes(), []byte(FenceAux)) {
		t.Error("the highest fence is not in the backup")
	}
}

// TestLockLivesByMonotonicTime: a step of the wall clock, in either direction,
// neither shortens a lock nor lengthens it, and what clients are told of its end
// follows the wall clock.
func TestLockLivesByMonotonicTime(t *testing.T) {
	for _, step := range []int64{24 * 3600 * 1000, 5000, 0} {
		r, told := lockReplica()
		at := func(mono, wall int64, b ...Batch) []BatchResult {
			e := Entry{StampMillis: stamp0 + wall, MonoMillis: 1000 + mono, Batches: b}
			return r.apply(e.AppendTo(nil))
		}
		got := at(0, 0, batch("n1", 1, 1, 0, "LS.LOCK l 500 o 0 a n1 1"))
		if ends := got[0].Replies[0].Elems[2].Int; ends != stamp0+500 {
			t.Errorf("ends at %d", ends-stamp0)
		}
		got = at(100, step+100, batch("n1", 1, 2, 1, "LS.LOCKRENEW l a 500"))
		if ends := got[0].Replies[0].Elems[1].Int; ends != stamp0+step+600 {
			t.Errorf("renewed until %d, want %d", ends-stamp0, step+600)
		}
		at(599, step+599)
		if n := len(*told); n != 1 {
			t.Errorf("step %d: the lock was lost before its time: %v", step, *told)
		}
		at(600, step+599) // the wall clock may stand
		if n := len(*told); n != 2 {
			t.Errorf("step %d: the lock outlived its time: %v", step, *told)
		}
		again := restored(t, r)
		if a, b := r.f.Digest(), again.f.Digest(); a != b {
			t.Errorf("digests %+v and %+v after a restore", a, b)
		}
	}
}

func writeBackup(f *FSM, w io.Writer) (uint64, error) {
	b, _ := f.FreezeBackup(0)
	defer b.Release()
	return b.Write(w)
}
