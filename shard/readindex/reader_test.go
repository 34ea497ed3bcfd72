package readindex

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/shard/session"
)

// replica is all that a reader asks about. The test sets what it likes, and may act within calls.
type replica struct {
	mu       sync.Mutex
	term     uint64 // Raft's
	serving  uint64
	state    raft.RaftState
	commit   uint64
	last     uint64
	newest   map[uint64]uint64 // newest command at or below an index, where that is another one
	reached  uint64
	viewed   int
	unsound  bool
	lease    uint64 // as agreed, in milliseconds
	others   []string
	noVote   bool
	began    time.Time
	asked    []string
	rounds   int
	confirm  func(ctx context.Context, peer string, term uint64) bool
	noted    func() (Noted, error)
	onCommit func() // within CommitIndex
	onView   func()
}

func (r *replica) get(fn func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fn()
}

func (r *replica) CurrentTerm() (t uint64)               { r.get(func() { t = r.term }); return t }
func (r *replica) LastIndex() (i uint64)                 { r.get(func() { i = r.last }); return i }
func (r *replica) State() (s raft.RaftState)             { r.get(func() { s = r.state }); return s }
func (r *replica) Reached() (i uint64)                   { r.get(func() { i = r.reached }); return i }
func (r *replica) Applied() uint64                       { return r.Reached() }
func (r *replica) Serving() (t uint64)                   { r.get(func() { t = r.serving }); return t }
func (r *replica) Sound() (ok bool)                      { r.get(func() { ok = !r.unsound }); return ok }
func (r *replica) Mono() time.Duration                   { return time.Since(r.began) }
func (r *replica) StampAt(time.Duration) (s fsm.Stamp)   { return s }
func (r *replica) Settings() (lease, once, bytes uint64) { return r.lease, 0, 0 }

func (r *replica) CommitIndex() (i uint64) {
	r.get(func() {
		i = r.commit
		if r.onCommit != nil {
			r.onCommit()
		}
	})
	return i
}

func (r *replica) NewestCommand(index uint64) (newest uint64) {
	newest = index
	r.get(func() {
		if n, ok := r.newest[index]; ok {
			newest = n
		}
	})
	return newest
}

func (r *replica) WaitReached(ctx context.Context, index uint64) error {
	for r.Reached() < index {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Microsecond):
		}
	}
	return nil
}

func (r *replica) ViewAt(need uint64, _ fsm.Stamp, fn func(*command.Ctx)) (index uint64, due, ok bool) {
	r.get(func() {
		r.viewed++
		index, ok = r.reached, r.reached >= need
		if r.onView != nil {
			r.onView()
		}
	})
	if ok {
		fn(nil)
	}
	return index, false, ok
}

func (r *replica) Voters() (others []string, self bool) { return r.others, !r.noVote }

func (r *replica) Confirm(ctx context.Context, peer string, term uint64) bool {
	r.get(func() { r.asked = append(r.asked, peer) })
	return r.confirm(ctx, peer, term)
}

func (r *replica) AskLeader(context.Context) (Noted, error) { return r.noted() }

// newReplica returns the leader of three voters, of which the others confirm, and its reader.
func newReplica(lease time.Duration) (*replica, *Reader) {
	r := &replica{
		term: 5, serving: 5, state: raft.Leader, commit: 10, last: 10, reached: 10, others: []string{"n2", "n3"}, began: time.Now(),
		confirm: func(context.Context, string, uint64) bool { return true }, lease: uint64(lease / time.Millisecond),
	}
	return r, New(Options{
		Self: "n1", Raft: r, State: r, Log: r, Shard: r, Peers: r, Lease: lease, Timeout: time.Second,
		Round: func(time.Duration) { r.get(func() { r.rounds++ }) },
	})
}

func view(t *testing.T, rd *Reader, timeout time.Duration) (index uint64, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	index, _, err = rd.View(ctx, func(*command.Ctx) {})
	return index, err
}

// TestLeaderAsksABareQuorumFirst, and the others when it does not answer soon; then it begins with another.
func TestLeaderAsksABareQuorumFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, rd := newReplica(0)
		if _, err := view(t, rd, time.Second); err != nil || !slices.Equal(r.asked, []string{"n2"}) {
			t.Fatalf("%v; asked %v", err, r.asked)
		}
		r.asked, r.confirm = nil, func(ctx context.Context, peer string, _ uint64) bool {
			if peer == "n2" {
				<-ctx.Done()
			}
			return peer == "n3"
		}
		began := time.Now()
		_, err := view(t, rd, time.Second)
		took := time.Since(began)
		synctest.Wait() // whoever was asked last may have been answered for
		if err != nil || took != hedgeDelay || len(r.asked) != 3 {
			t.Errorf("%v after %v; asked %v", err, took, r.asked)
		}
		r.asked = nil
		if _, err := view(t, rd, time.Second); err != nil || !slices.Equal(r.asked, []string{"n3"}) {
			t.Errorf("%v; asked %v", err, r.asked)
		}
	})
}

// TestQuorums: how many voters have to confirm, with and without a vote of this node's own.
func TestQuorums(t *testing.T) {
	for _, c := range []struct {
		others, confirm int
		noVote, ok      bool
	}{
		{0, 0, false, true},
		{1, 0, false, false}, {1, 1, false, true},
		{2, 0, false, false}, {2, 1, false, true},
		{3, 1, false, false}, {3, 2, false, true},
		{4, 1, false, false}, {4, 2, false, true},
		{0, 0, true, false},
		{1, 0, true, false}, {1, 1, true, true},
		{2, 1, true, false}, {2, 2, true, true},
		{3, 1, true, false}, {3, 2, true, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			r, rd := newReplica(0)
			r.others, r.noVote = nil, c.noVote
			for i := range c.others {
				r.others = append(r.others, fmt.Sprint(i))
			}
			r.confirm = func(_ context.Context, peer string, _ uint64) bool { return peer < fmt.Sprint(c.confirm) }
			if _, err := view(t, rd, 100*time.Millisecond); (err == nil) != c.ok {
				t.Errorf("%+v: %v", c, err)
			}
		})
	}
}

// TestVotersMayChange between two rounds, and the next one asks the new ones.
func TestVotersMayChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, rd := newReplica(0)
		r.others = []string{"n2", "n3", "n4", "n5"}
		r.confirm = func(_ context.Context, peer string, _ uint64) bool { return peer == "n2" }
		if _, err := view(t, rd, 50*time.Millisecond); !errors.Is(err, command.ErrUnavailable) {
			t.Errorf("one of four others confirmed, and the read counts: %v", err)
		}
		r.others = []string{"n2", "n3"}
		if _, err := view(t, rd, 50*time.Millisecond); err != nil {
			t.Error(err)
		}
	})
}

// TestNotedBeforeAsked: what is committed while the voters are asked is not what was confirmed, and
// first the term is noted, then the index.
func TestNotedBeforeAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, rd := newReplica(0)
		r.confirm = func(_ context.Context, _ string, term uint64) bool {
			r.get(func() { r.commit = 20 })
			return term == 5
		}
		if n, err := rd.confirms.join(t.Context()); err != nil || n.Index != 10 || n.Term != 5 {
			t.Errorf("%+v, %v", n, err)
		}
		r.onCommit = func() { r.term, r.serving = 6, 6 } // after the term was noted
		r.confirm = func(_ context.Context, _ string, term uint64) bool { return term == 6 }
		if n, err := rd.confirms.join(t.Context()); err == nil {
			t.Errorf("noted %+v, and a later term was confirmed", n)
		}
	})
}

// TestTermPassesWhileVotersAreAsked: this node counts itself only by its term afterwards.
func TestTermPassesWhileVotersAreAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, rd := newReplica(0)
		r.confirm = func(context.Context, string, uint64) bool {
			r.get(func() { r.term = 6 })
			return true
		}
		if n, err := rd.confirms.join(t.Context()); !errors.Is(err, session.ErrNotServing) {
			t.Errorf("%+v, %v", n, err)
		}
	})
}

// TestTermPassesDuringTheRead: then what was read does not count, by round, by lease and on a follower.
func TestTermPassesDuringTheRead(t *testing.T) {
	for name, prepare := range map[string]func(r *replica){
		"round":    func(*replica) {},
		"follower": func(r *replica) { r.serving, r.state = 0, raft.Follower },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, rd := newReplica(0)
				prepare(r)
				r.noted = func() (n Noted, err error) {
					r.get(func() { n = Noted{Term: r.term, Index: r.commit} })
					return n, nil
				}
				r.onView = func() {
					if r.viewed == 1 {
						r.term++
						if r.serving > 0 {
							r.serving++
						}
					}
				}
				if _, err := view(t, rd, time.Second); err != nil || r.viewed != 2 {
					t.Errorf("%v after %d views", err, r.viewed)
				}
			})
		})
	}
}

// TestReadOfAnUnsoundState does not count.
func TestReadOfAnUnsoundState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, rd := newReplica(0)
		r.unsound = true
		if _, err := view(t, rd, 100*time.Millisecond); !errors.Is(err, command.ErrUnavailable) {
			t.Error(err)
		}
		if _, done, err := rd.Stale(command.ReadOptions{}, func(*command.Ctx) {}); !done || !errors.Is(err, ErrDiverged) {
			t.Errorf("stale: %v, %v", done, err)
		}
	})
}

// TestFollowerWaits for what the leader noted: until it has committed so far, whatever its log says, and
// then until the newest command is applied.
func TestFollowerWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, rd := newReplica(0)
		r.serving, r.state, r.reached = 0, raft.Follower, 7
		r.noted = func() (Noted, error) { return Noted{Term: 5, Index: 12}, nil }
		r.newest = map[uint64]uint64{12: 7} // as this log looks before the entries have come
		answer := make(chan uint64, 1)
		go func() {
			index, err := view(t, rd, time.Minute)
			if err != nil {
				t.Error(err)
			}
			answer <- index
		}()
		time.Sleep(time.Second)
		if len(answer) > 0 {
			t.Fatal("it answered before it had committed what was noted")
		}
		r.get(func() { r.commit, r.newest[12] = 12, 11 }) // 12 is no command
		time.Sleep(time.Second)
		if len(answer) > 0 {
			t.Fatal("it answered before the newest command was applied")
		}
		r.get(func() { r.reached = 11 })
		if index := <-answer; index != 11 {
			t.Errorf("index %d", index)
		}
	})
}

// TestLeaseCountsFromTheBeginningOfItsRound: a new leader may have been elected right after the voter
// was asked.
func TestLeaseCountsFromTheBeginningOfItsRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, rd := newReplica(300 * time.Millisecond)
		r.confirm = func(context.Context, string, uint64) bool {
			time.Sleep(200 * time.Millisecond)
			return true
		}
		if _, err := view(t, rd, time.Second); err != nil {
			t.Fatal(err)
		}
		if !rd.Leased() {
			t.Error("no lease")
		}
		time.Sleep(69 * time.Millisecond)
		if !rd.Leased() {
			t.Error("no lease after 269 ms of 270")
		}
		if time.Sleep(2 * time.Millisecond); rd.Leased() {
			t.Error("a lease after 271 ms of 270")
		}
	})
}

// TestLeaseSavesRounds, until it is dropped or given up, and lasts no longer than was agreed.
func TestLeaseSavesRounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, rd := newReplica(time.Second)
		reads := func(want int) {
			t.Helper()
			for range 3 {
				if _, err := view(t, rd, time.Second); err != nil {
					t.Fatal(err)
				}
			}
			if r.rounds != want {
				t.Fatalf("%d rounds, want %d", r.rounds, want)
			}
		}
		reads(1)
		rd.DropLease()
		reads(2)
		r.lease = 100
		rd.DropLease()
		reads(3)
		time.Sleep(91 * time.Millisecond)
		reads(4)
		rd.GiveUpLease(5)
		reads(7)
		r.term, r.serving = 6, 6
		reads(8)
	})
}

// TestAnswerIsForALeader that serves.
func TestAnswerIsForALeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, rd := newReplica(0)
		if n, err := rd.Answer(t.Context()); err != nil || n.Index != 10 {
			t.Errorf("%+v, %v", n, err)
		}
		r.serving = 0
		if n, err := rd.Answer(t.Context()); !errors.Is(err, session.ErrNotServing) {
			t.Errorf("%+v, %v", n, err)
		}
	})
}

// TestAge counts from the question, not from its answer, and bounds stale reads.
func TestAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, rd := newReplica(0)
		r.confirm = func(context.Context, string, uint64) bool {
			time.Sleep(time.Millisecond)
			return true
		}
		time.Sleep(time.Minute)
		rd.Refresh(t.Context())
		time.Sleep(time.Second)
		if age := rd.Age(); age != time.Second+time.Millisecond {
			t.Errorf("age %v", age)
		}
		stale := func(most time.Duration) error {
			_, done, err := rd.Stale(command.ReadOptions{MaxStaleness: most}, func(*command.Ctx) {})
			if !done {
				t.Error("not done")
			}
			return err
		}
		if err := stale(2 * time.Second); err != nil {
			t.Error(err)
		}
		if err := stale(time.Second); !errors.Is(err, command.ErrTooStale) {
			t.Error(err)
		}
	})
}

// TestManyReadersShareARound.
func TestManyReadersShareARound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, rd := newReplica(0)
		r.confirm = func(context.Context, string, uint64) bool {
			time.Sleep(2 * time.Millisecond)
			return true
		}
		var left atomic.Int64
		for range 100 {
			left.Add(1)
			go func() {
				if _, err := view(t, rd, time.Second); err != nil {
					t.Error(err)
				}
				left.Add(-1)
			}()
		}
		time.Sleep(time.Second)
		if synctest.Wait(); left.Load() > 0 || r.rounds > 2 {
			t.Errorf("%d readers wait; %d rounds", left.Load(), r.rounds)
		}
	})
}
