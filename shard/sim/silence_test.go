//go:build failpoints

package sim

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/internal/failpoint"
	"github.com/lockstepkv/lockstep/shard"
)

// silence is a cluster in which n1 leads and does not notice that it is cut off, under
// a lease that is longer than an election.
type silence struct {
	late bool // the election took longer than the lease: the new leader is not silent
	t    *testing.T
	c    *Cluster
}

func newSilence(t *testing.T) *silence {
	s := &silence{t: t, c: New(Options{Nodes: 3, Seed: 1, Dir: t.TempDir(), Lease: 2 * time.Second})}
	s.must(s.c.Start(s.c.IDs...))
	s.must(s.c.Await("n1 does not lead", func() bool {
		if l := s.c.Leader(); l != "" && l != "n1" {
			_ = s.c.Node(l).TransferLeadership(t.Context(), 0, "n1") // again, if it failed
		}
		return s.group("n1").Serving()
	}))
	s.run("n1", "SET", "warm", "up") // with the settings
	time.Sleep(time.Second)          // a round, and with it a lease
	return s
}

func (s *silence) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("%v\n%s", err, s.c.Trace())
	}
}

func (s *silence) group(id string) *shard.Group { return s.c.Node(id).Groups()[0] }

func (s *silence) run(id string, words ...string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Second)
	defer cancel()
	_, err := propose(ctx, here{s.group(id)}, words...)
	s.must(err)
}

// peek reads a counter at n1, which answers for as long as its lease lasts.
func (s *silence) peek(fn func(*command.Ctx)) bool {
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Millisecond)
	defer cancel()
	_, err := s.group("n1").Read(ctx, command.ReadOptions{}, fn)
	return err == nil
}

// deafen lets n1 hear nobody any more, have words logged by the others, and then be
// cut off. It returns when another node leads: silently, for n1 has its lease.
func (s *silence) deafen(words ...string) {
	for _, o := range []string{"n2", "n3"} {
		s.c.Net.Cut(o, "n1")
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_, _ = propose(ctx, here{s.group("n1")}, words...) // the next leader does it
	}()
	time.Sleep(50 * time.Millisecond)
	for _, o := range []string{"n2", "n3"} {
		s.c.Net.Cut("n1", o)
	}
	s.must(s.c.Await("nobody was elected", func() bool {
		l := s.group("n2").Leader()
		return l == "n2" || l == "n3"
	}))
	s.late = s.group("n2").Serving() || s.group("n3").Serving()
}

// end heals and waits for whoever is still at it.
func (s *silence) end() {
	s.c.Net.Heal()
	time.Sleep(15 * time.Second)
	s.c.Close()
}

// TestGrantInASilence: the new leader commits the release of a lock, and a follower
// applies that it is granted to the next, while the old leader says under its lease
// that the first one holds it.
func TestGrantInASilence(t *testing.T) {
	untilShown(t, func(t *testing.T) bool {
		s := newSilence(t)
		defer s.end()
		boot := func(id string) string {
			_, n := s.group(id).Origin()
			return strconv.FormatUint(n, 10)
		}
		s.run("n1", "LS.LOCK", "l", "60000", "o", "0", "first", "n1", boot("n1"))
		told, stop := s.group("n2").Watch(lock.Outcome("second"))
		defer stop()
		s.run("n2", "LS.LOCK", "l", "60000", "o", "60000", "second", "n2", boot("n2"))
		if s.deafen("UNLOCK", "l", "first"); s.late {
			return false
		}
		looks := 0
		for until := time.Now().Add(1200 * time.Millisecond); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
			var fence uint64
			answered := s.peek(func(c *command.Ctx) {
				info, _ := c.Locks.Info([]byte("l"))
				fence = info.Fence
			})
			if answered {
				looks++
			}
			select {
			case notice := <-told:
				e, _ := notice.What.(lock.Event)
				if answered && fence < e.Fence {
					t.Fatalf("the waiter was told of fence %d, and the old leader answers %d", e.Fence, fence)
				}
				t.Fatalf("the waiter was told of %+v in the silence", e)
			default:
			}
		}
		select {
		case notice := <-told:
			if e, _ := notice.What.(lock.Event); e.Fence == 0 {
				t.Errorf("told %+v", notice)
			}
		case <-time.After(10 * time.Second):
			t.Error("the waiter was never told")
		}
		return looks > 0
	})
}

// TestFollowerReadInASilence: a follower has its index from the old leader, and then
// applies what the silent one has committed.
func TestFollowerReadInASilence(t *testing.T) {
	untilShown(t, func(t *testing.T) bool {
		s := newSilence(t)
		defer s.end()
		s.run("n1", "INCR", "c")
		return s.readBehind("n3", func() { s.deafen("INCR", "c") })
	})
}

// untilShown runs what shows nothing when an election took longer than the old leader's
// lease, until it has shown something a few times.
func untilShown(t *testing.T, try func(t *testing.T) bool) {
	const enough = 3 // a schedule is not quite the same each time
	shown := 0
	for range 30 {
		synctest.Test(t, func(t *testing.T) {
			if try(t) {
				shown++
			}
		})
		if shown == enough || t.Failed() {
			return
		}
	}
	t.Errorf("the old leader had a lease in %d of 30 tries only: this shows little", shown)
}

// TestSnapshotInASilence: the same, and what the silent leader sends begins with a
// snapshot, since the follower was away for too long.
func TestSnapshotInASilence(t *testing.T) {
	for range 10 { // the election, or the snapshot, may take longer than the lease
		conclusive := false
		synctest.Test(t, func(t *testing.T) {
			s := newSilence(t)
			defer s.end()
			s.run("n1", "INCR", "c")
			conclusive = s.readBehind("n3", s.leaveBehind)
		})
		if conclusive || t.Failed() {
			return
		}
	}
	t.Error("the old leader never had its lease for long enough: this shows nothing")
}

// leaveBehind lets n3 miss more than the others keep of their logs. Then n1 is cut
// off from n2, and n2 leads with n3: silently, for n1 has its lease.
func (s *silence) leaveBehind() {
	for _, o := range []string{"n1", "n2"} {
		s.c.Net.Cut(o, "n3")
		s.c.Net.Cut("n3", o)
	}
	for range 60 {
		s.run("n1", "SET", "big", string(make([]byte, 1000)))
		s.run("n1", "INCR", "c")
	}
	time.Sleep(1500 * time.Millisecond) // for snapshots
	s.c.Net.Cut("n2", "n1")
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_, _ = propose(ctx, here{s.group("n1")}, "INCR", "c") // n2 has it, and n1 does not know
	}()
	time.Sleep(20 * time.Millisecond)
	s.c.Net.Cut("n1", "n2")
	s.c.Net.Mend("n2", "n3")
	s.must(s.c.Await("n3 did not catch up", func() bool { return s.group("n3").Info().Applied > 120 }))
}

// readBehind reads the counter at a follower, lets something happen after the follower
// has its index and before it reads, and demands that no later answer of the old
// leader is older than that of the follower. It reports whether the old leader
// answered at all.
func (s *silence) readBehind(follower string, meanwhile func()) (conclusive bool) {
	noted, resume := make(chan struct{}), make(chan struct{})
	var once sync.Once
	disable := failpoint.Enable("shard/read/noted/"+follower, func() error {
		once.Do(func() {
			close(noted)
			<-resume
		})
		return nil
	})
	defer disable()
	answer := make(chan int64, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if v, err := Get(ctx, here{s.group(follower)}, "c"); err == nil {
			answer <- v
		}
		close(answer)
	}()
	<-noted
	meanwhile()
	time.Sleep(100 * time.Millisecond)
	close(resume)
	looks := 0
	for until := time.Now().Add(1200 * time.Millisecond); time.Now().Before(until); time.Sleep(2 * time.Millisecond) {
		var floor int64
		select {
		case floor = <-answer:
		default:
		}
		var old int64
		if !s.peek(func(c *command.Ctx) { old = counterOf(c) }) {
			continue
		}
		if looks++; old < floor {
			s.t.Fatalf("%s has answered %d, and the old leader answers %d under its lease", follower, floor, old)
		}
	}
	return looks > 0
}

func counterOf(c *command.Ctx) (v int64) {
	if e := c.Lookup([]byte("c")); e != nil {
		v, _ = strconv.ParseInt(string(e.Bytes()), 10, 64)
	}
	return v
}
