package shard

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/shard/raftlog"
	"github.com/lockstepkv/lockstep/shard/readindex"
	"github.com/lockstepkv/lockstep/shard/soundness"
)

// rewriteLog changes the data of the first entry of a stopped node's log that contains marker. The
// log's own checksums are right afterwards.
func (c *cluster) rewriteLog(id, marker string, change func(data []byte) []byte) (index uint64) {
	c.t.Helper()
	log, err := raftlog.Open(raftlog.Options{Dir: filepath.Join(groupDir(filepath.Join(c.dir, id), 0), "log"), Engine: "wal"})
	if err != nil {
		c.t.Fatal(err)
	}
	defer log.Close()
	first, _ := log.FirstIndex()
	last, _ := log.LastIndex()
	var tail []*raft.Log
	for i := first; i <= last; i++ {
		l := new(raft.Log)
		if err := log.GetLog(i, l); err != nil {
			c.t.Fatal(err)
		}
		if index == 0 && l.Type == raft.LogCommand && strings.Contains(string(l.Data), marker) {
			index = i
			l.Data = change(slices.Clone(l.Data))
		}
		if index > 0 {
			tail = append(tail, l)
		}
	}
	if index == 0 {
		c.t.Fatalf("no entry of %s has %q", id, marker)
	}
	if err := errors.Join(log.DeleteRange(index, last), log.StoreLogs(tail)); err != nil {
		c.t.Fatal(err)
	}
	return index
}

// flipAt damages one byte.
func flipAt(at int) func([]byte) []byte {
	return func(data []byte) []byte {
		data[at] ^= 0x55
		return data
	}
}

func (c *cluster) allReady() {
	c.t.Helper()
	c.eventually(func() error {
		for _, id := range c.ids {
			if err := c.node(id).Ready(); err != nil {
				return fmt.Errorf("%s: %w", id, err)
			}
		}
		return nil
	})
}

func (c *cluster) wantMetric(id, name string, want float64) {
	c.t.Helper()
	if got := c.metric(id, name); got != want {
		c.t.Errorf("%s on %s is %v, want %v", name, id, got, want)
	}
}

const (
	refusedTotal = "lockstep_shard_entries_refused_total"
	skippedTotal = "lockstep_shard_entries_skipped_total"
)

// An entry that is damaged on one replica's disk under a right checksum, and cannot be read,
// makes that replica take the state of another. A second start finds nothing any more.
func TestUnreadableEntryOnOneReplica(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"version": flipAt(0),
		"kind":    flipAt(1),
		"middle":  func(b []byte) []byte { return flipAt(len(b) - len("marker") - len("3") - 12)(b) },
		"cut":     func(b []byte) []byte { return b[:len(b)-3] },
		"longer":  func(b []byte) []byte { return append(b, 0) },
		"empty":   func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 3, patient)
			leader := c.leader()
			wrong := c.others(leader)[0]
			c.fill(leader, 5)
			c.want(leader, "APPEND marker abc", ":3\r\n")
			c.fill(leader, 5)
			c.agree()
			c.stop(wrong)
			c.rewriteLog(wrong, "marker", change)
			c.start(wrong)
			c.eventually(func() error {
				if c.diverged(wrong) == 0 {
					return errors.New("it has not noticed")
				}
				return c.node(wrong).Ready()
			})
			c.wantMetric(wrong, refusedTotal, 1)
			c.wantMetric(wrong, skippedTotal, 0)
			c.want(wrong, "GET marker", "$3\r\nabc\r\n")
			c.agree()
			c.stop(wrong)
			c.start(wrong)
			c.allReady()
			c.want(wrong, "GET marker", "$3\r\nabc\r\n")
			c.wantMetric(wrong, refusedTotal, 0)
			c.agree()
		})
	}
}

// The same after the whole cluster was down: the damaged replica may lead when it finds out.
func TestUnreadableEntryAfterACommonStart(t *testing.T) {
	c := newCluster(t, 3, patient)
	leader := c.leader()
	c.want(leader, "APPEND marker abc", ":3\r\n")
	c.agree()
	for _, id := range c.ids {
		c.stop(id)
	}
	c.rewriteLog(leader, "marker", flipAt(0))
	c.start(c.ids...)
	c.eventually(func() error {
		if c.diverged(leader) == 0 {
			return errors.New("it has not noticed")
		}
		return c.node(leader).Ready()
	})
	c.allReady()
	for _, id := range c.ids {
		c.want(id, "GET marker", "$3\r\nabc\r\n")
	}
	c.agree()
}

// What was agreed on cannot be read by anybody: all pass it over, and go on, also after a
// restart, and when a node is away then.
func TestUnreadableEntryThatWasAgreedOn(t *testing.T) {
	good := fsm.Entry{StampMillis: 1, Batches: []fsm.Batch{{Node: "n1", Boot: 1, Seq: 1, Units: 2, Body: []byte{1, 1, 1, 'x'}}}}
	for name, data := range map[string][]byte{
		"garbage":          []byte("garbage"),
		"empty":            {},
		"wrong units":      good.AppendTo(nil),
		"a later version":  append([]byte{fsm.FormatVersion + 1}, good.AppendTo(nil)[1:]...),
		"damaged fragment": {fsm.FormatVersion, 2, 1, 0, 5},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 3, patient)
			leader := c.leader()
			c.fill(leader, 3)
			g := c.group(leader)
			f := g.raft.Apply(data, time.Second)
			if err := f.Error(); err != nil {
				t.Fatal(err)
			}
			if _, ok := f.Response().(error); !ok {
				t.Fatalf("the answer to what cannot be read: %v", f.Response())
			}
			for _, id := range c.ids {
				c.eventually(func() error {
					if c.metric(id, skippedTotal) != 1 {
						return fmt.Errorf("%s has not settled it", id)
					}
					return nil
				})
				c.wantMetric(id, refusedTotal, 1)
				if n := c.diverged(id); n != 0 {
					t.Errorf("%s took itself for wrong", id)
				}
			}
			c.fill(leader, 20)
			c.allReady()
			c.agree()
			for _, id := range c.ids {
				c.stop(id)
			}
			c.start(c.ids[:2]...)
			c.fill(c.leader(), 3)
			c.eventually(func() error { // it may be behind
				if c.metric(c.ids[0], refusedTotal) != 1 {
					return errors.New("it has not come to the entry")
				}
				return nil
			})
			c.wantMetric(c.ids[0], skippedTotal, 0) // it was settled before
			c.start(c.ids[2])
			c.allReady()
			c.agree()
		})
	}
}

// A node that is away may have read what two others cannot. Nobody answers before it has told.
func TestUnreadableEntryWaitsForWhoIsAway(t *testing.T) {
	c := newCluster(t, 3, patient)
	leader := c.leader()
	away := c.others(leader)[0]
	c.fill(leader, 3)
	c.stop(away)
	if err := c.group(leader).raft.Apply([]byte("garbage"), time.Second).Error(); err != nil {
		t.Fatal(err)
	}
	c.eventually(func() error {
		if err := c.node(leader).Ready(); err == nil || !strings.Contains(err.Error(), away) {
			return fmt.Errorf("it should wait for %s: %v", away, err)
		}
		return nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := c.group(leader).Read(ctx, command.ReadOptions{}, func(*command.Ctx) {}); !errors.Is(err, command.ErrUnavailable) {
		t.Errorf("it read: %v", err)
	}
	if _, err := c.group(leader).Read(ctx, command.ReadOptions{Consistency: command.Stale}, func(*command.Ctx) {}); !errors.Is(err, command.ErrUnavailable) {
		t.Errorf("it read stale data: %v", err)
	}
	if c.group(leader).compactor.Due() {
		t.Error("it would take a snapshot")
	}
	if err := c.group(leader).keeper.Verify(0); !errors.Is(err, readindex.ErrDiverged) {
		t.Errorf("it would write its state: %v", err)
	}
	if _, err := c.group(leader).keeper.Answer(soundness.AskState, []byte{0}); !errors.Is(err, readindex.ErrDiverged) {
		t.Errorf("it would hand its state out: %v", err)
	}
	c.start(away)
	c.allReady()
	c.fill(leader, 20)
	for _, id := range c.ids {
		c.wantMetric(id, skippedTotal, 1)
	}
	c.agree()
}

// Two replicas that cannot read an entry do not outvote the one that has acknowledged it.
func TestUnreadableForTwoButNotForTheThird(t *testing.T) {
	c := newCluster(t, 3, patient)
	leader := c.leader()
	c.fill(leader, 3)
	c.want(leader, "APPEND marker abc", ":3\r\n")
	c.agree()
	wrong := c.others(leader)
	for _, id := range wrong {
		c.stop(id)
		c.rewriteLog(id, "marker", flipAt(0))
	}
	c.start(wrong...)
	for _, id := range wrong {
		c.eventually(func() error {
			if !c.condemned(id) {
				return fmt.Errorf("%s has not noticed", id)
			}
			return nil
		})
		c.wantMetric(id, skippedTotal, 0)
	}
	c.eventually(func() error {
		v, err := c.run(leader, "GET marker")
		if got := string(resp.Append(nil, v, 2)); err == nil && got != "$3\r\nabc\r\n" {
			t.Fatalf("what was acknowledged is %q", got)
		}
		return err
	})
	c.fill(leader, 40) // notes are made and compared
	for range 3 {
		g := c.group(leader)
		if running, audits := g.keeper.Look(t.Context(), 0); running.Wrong || audits.Wrong {
			t.Fatal("it was outvoted")
		}
	}
	if n := c.diverged(leader); n != 0 {
		t.Error("the replica that could read it took itself for wrong")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := c.group(wrong[0]).Read(ctx, command.ReadOptions{}, func(*command.Ctx) {}); !errors.Is(err, command.ErrUnavailable) {
		t.Errorf("a wrong one answers: %v", err)
	}
}

// Who proposed what cannot be read is told once that it is in doubt; it is not proposed again.
func TestUnreadableProposal(t *testing.T) {
	c := newCluster(t, 3, patient)
	for _, large := range []bool{false, true} {
		leader := c.leader()
		before := c.metric(leader, refusedTotal)
		bad := command.Batch{N: 1, Body: []byte{99, 1, 2, 3}}
		if large {
			bad.Parts = [][]byte{make([]byte, 3<<20)}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		_, err := c.group(leader).Propose(ctx, bad)
		cancel()
		if !errors.Is(err, command.ErrInDoubt) || ctx.Err() == context.DeadlineExceeded {
			t.Errorf("large %v: %v", large, err)
		}
		c.fill(c.ids[0], 5)
		c.fill(c.ids[1], 5)
		c.allReady()
		c.wantMetric(leader, refusedTotal, before+1)
		c.agree()
	}
}

// One node alone passes over what it has just logged, and cannot have acknowledged. What was there
// when it started may have been readable once: it ends.
func TestUnreadableEntryOfOneNode(t *testing.T) {
	fatal := make(chan error, 10)
	c := newCluster(t, 1, func(o *Options) { o.Fatal = func(err error) { fatal <- err } })
	id := c.leader()
	c.want(id, "APPEND marker abc", ":3\r\n")
	if err := c.group(id).raft.Apply([]byte("garbage"), time.Second).Error(); err != nil {
		t.Fatal(err)
	}
	c.fill(id, 3)
	c.stop(id)
	c.start(id)
	c.fill(c.leader(), 3)
	c.want(id, "GET marker", "$3\r\nabc\r\n")
	if len(fatal) > 0 {
		t.Fatal(<-fatal)
	}
	c.stop(id)
	index := c.rewriteLog(id, "marker", flipAt(0))
	c.start(id)
	c.eventually(func() error {
		if len(fatal) == 0 {
			return errors.New("it goes on")
		}
		return nil
	})
	if err := <-fatal; !strings.Contains(err.Error(), fmt.Sprintf("log entry %d cannot be read", index)) {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := c.group(id).Read(ctx, command.ReadOptions{}, func(*command.Ctx) {}); err == nil {
		t.Error("it reads")
	}
}

func TestSettledEntries(t *testing.T) {
	m := mustOpenMeta(t, t.TempDir(), testIdentity())
	defer m.Close()
	for shard := range 2 {
		for i := range uint64(settledKept + 5) {
			if err := m.Settle(shard, fsm.Refusal{Index: 250 + i, Term: 3, Sum: i}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for shard, want := range []int{settledKept, settledKept, 0} {
		list, err := m.Settled(shard)
		if err != nil || len(list) != want {
			t.Fatalf("shard %d: %d, %v", shard, len(list), err)
		}
		for i, r := range list {
			if r != (fsm.Refusal{Index: 255 + uint64(i), Term: 3, Sum: 5 + uint64(i)}) {
				t.Errorf("%d: %+v", i, r)
			}
		}
	}
}
