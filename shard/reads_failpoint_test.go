//go:build failpoints

package shard

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/internal/clock"
	"github.com/lockstepkv/lockstep/internal/failpoint"
)

// get reads a key and returns its value, on a node of the cluster.
func (c *cluster) get(ctx context.Context, id, key string) (string, error) {
	value := ""
	_, err := c.group(id).Read(ctx, command.ReadOptions{}, func(ctx *command.Ctx) {
		value = ""
		if e := ctx.Lookup([]byte(key)); e != nil {
			value = string(e.Bytes())
		}
	})
	return value, err
}

// hold keeps a node's state machine from applying until the test lets it go.
func hold(t *testing.T, id string) (release func()) {
	gate := make(chan struct{})
	disable := failpoint.Enable("fsm/apply/"+id, func() error { <-gate; return nil })
	release = sync.OnceFunc(func() { disable(); close(gate) })
	t.Cleanup(release)
	return release
}

// TestReadDoesNotGoBackWhileTheLeaderApplies: a follower shows an entry before the
// leader's own state machine has applied it.
func TestReadDoesNotGoBackWhileTheLeaderApplies(t *testing.T) {
	for _, mode := range []string{"quorum", "lease"} {
		t.Run(mode, func(t *testing.T) {
			c := newCluster(t, 3, func(o *Options) {
				patient(o)
				if mode == "lease" {
					o.LeaseDuration = 300 * time.Millisecond
				}
			})
			leader := c.leader()
			c.want(leader, "SET k old", "+OK\r\n")
			first, second := c.others(leader)[0], c.others(leader)[1]
			releaseLeader, releaseSecond := hold(t, leader), hold(t, second)
			written := make(chan error, 1)
			go func() {
				_, err := c.run(first, "SET k new")
				written <- err
			}()
			c.eventually(func() error {
				if v, err := c.get(t.Context(), first, "k"); err != nil || v != "new" {
					return fmt.Errorf("%q, %v", v, err)
				}
				return nil
			})
			answers := make(chan string, 2)
			for _, id := range []string{leader, second} {
				go func() {
					v, err := c.get(t.Context(), id, "k")
					answers <- fmt.Sprint(id, " answers ", v, " ", err)
				}()
			}
			left := 2
			select {
			case a := <-answers:
				left--
				t.Errorf("%s after %s has answered new", a, first)
			case <-time.After(100 * time.Millisecond): // long enough for a read that does not wait
			}
			releaseLeader()
			releaseSecond()
			for range left {
				if a := <-answers; a != leader+" answers new <nil>" && a != second+" answers new <nil>" {
					t.Error(a)
				}
			}
			if err := <-written; err != nil {
				t.Error(err)
			}
		})
	}
}

// awayAndBack moves the leadership to another node and back.
func (c *cluster) awayAndBack(leader string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, move := range [][2]string{{leader, c.others(leader)[0]}, {c.others(leader)[0], leader}} {
		for ctx.Err() == nil && !c.group(move[1]).Serving() {
			_ = c.group(move[0]).TransferLeadership(ctx, move[1])
			clock.Pause(ctx, 5*time.Millisecond)
		}
	}
	return ctx.Err()
}

// TestReadOfAPassedTermIsAskedAgain: what this node shows by then may be that of
// a leader that must not show it yet.
func TestReadOfAPassedTermIsAskedAgain(t *testing.T) {
	for _, role := range []string{"leader", "follower"} {
		t.Run(role, func(t *testing.T) {
			c := newCluster(t, 3, patient)
			leader := c.leader()
			c.want(leader, "SET k v", "+OK\r\n")
			reader := leader
			if role == "follower" {
				reader = c.others(leader)[1]
			}
			var asked atomic.Int32
			var once sync.Once
			disable := failpoint.Enable("shard/read/noted/"+reader, func() error {
				asked.Add(1)
				once.Do(func() {
					if err := c.awayAndBack(leader); err != nil {
						t.Error(err)
					}
				})
				return nil
			})
			defer disable()
			if v, err := c.get(t.Context(), reader, "k"); v != "v" || err != nil {
				t.Errorf("%q, %v", v, err)
			}
			if asked.Load() < 2 {
				t.Errorf("asked %d times: an answer of a term that has passed counted", asked.Load())
			}
		})
	}
}

// TestBackupOfAPassedTermIsTakenAgain: the rule of reads holds for what is frozen.
func TestBackupOfAPassedTermIsTakenAgain(t *testing.T) {
	for _, role := range []string{"leader", "follower"} {
		t.Run(role, func(t *testing.T) {
			c := newCluster(t, 3, patient)
			leader := c.leader()
			c.want(leader, "SET k v", "+OK\r\n")
			reader := leader
			if role == "follower" {
				reader = c.others(leader)[1]
			}
			var frozen atomic.Int32
			disable := failpoint.Enable("shard/backup/freeze/"+reader, func() error {
				if frozen.Add(1) == 1 {
					if err := c.awayAndBack(leader); err != nil {
						t.Error(err)
					}
				}
				return nil
			})
			defer disable()
			if _, err := c.group(reader).WriteBackup(t.Context(), discard{}); err != nil {
				t.Error(err)
			}
			if frozen.Load() < 2 {
				t.Errorf("frozen %d times: a state of a term that has passed counted", frozen.Load())
			}
		})
	}
}

// TestRoundConfirmsTheTermThatItNoted: this node may lead again by then, and
// another have led in between.
func TestRoundConfirmsTheTermThatItNoted(t *testing.T) {
	c := newCluster(t, 3, patient)
	leader := c.leader()
	var once sync.Once
	var here atomic.Bool // only the test's own round
	disable := failpoint.Enable("shard/confirm/noted/"+leader, func() error {
		if here.Load() {
			once.Do(func() {
				if err := c.awayAndBack(leader); err != nil {
					t.Error(err)
				}
			})
		}
		return nil
	})
	defer disable()
	term := c.group(leader).raft.CurrentTerm()
	here.Store(true)
	n, err := c.group(leader).reader.Answer(t.Context())
	if err == nil && n.Term == term {
		t.Errorf("term %d was confirmed in term %d", n.Term, c.group(leader).raft.CurrentTerm())
	}
}

// TestReplicaWaitsForAnIndexThatItHasNotCommitted: its log may lack what is there.
func TestReplicaWaitsForAnIndexThatItHasNotCommitted(t *testing.T) {
	c := newCluster(t, 3, patient)
	leader := c.leader()
	c.want(leader, "SET k v", "+OK\r\n")
	g := c.group(c.others(leader)[0])
	next := c.group(leader).raft.LastIndex() + 1
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	// What the leader logs by itself comes there, too.
	if need, err := g.reader.AwaitReached(ctx, next); !errors.Is(err, context.DeadlineExceeded) && c.group(leader).raft.LastIndex() < next {
		t.Fatalf("index %d counts as reached with need %d, %v", next, need, err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := g.reader.AwaitReached(t.Context(), next)
		done <- err
	}()
	c.want(leader, "SET k w", "+OK\r\n")
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestAcknowledgementTakesTheTerm: the flag is cleared after Raft has moved on.
func TestAcknowledgementTakesTheTerm(t *testing.T) {
	c := newCluster(t, 3, patient)
	g := c.group(c.leader())
	term := g.serving.Load()
	if !g.mayAcknowledge(term) {
		t.Error("a leader that serves may not acknowledge")
	}
	g.serving.Store(term - 1) // as it is when term has begun and nobody has told
	defer g.serving.Store(term)
	if g.mayAcknowledge(term - 1) {
		t.Errorf("term %d acknowledges in term %d", term-1, term)
	}
}
