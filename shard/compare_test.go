package shard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/shard/soundness"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/transport"
)

// corrupt changes the data of a replica behind the log's back.
func (c *cluster) corrupt(id string) {
	c.group(id).fsm.Reconfigure(func(s *store.Store) { s.Put([]byte("never"), []byte("logged"), 0, false) })
}

// fill logs enough for notes to be taken.
func (c *cluster) fill(id string, n int) {
	c.t.Helper()
	for i := range n {
		c.want(id, fmt.Sprintf("SET fill%d %d", i, i), "+OK\r\n")
	}
}

func (c *cluster) condemned(id string) bool { return c.group(id).keeper.Diverged() }

// diverged counts how often a replica has found itself wrong.
func (c *cluster) diverged(id string) float64 {
	return c.metric(id, "lockstep_shard_diverged_total")
}

func (c *cluster) metric(id, name string) float64 {
	c.t.Helper()
	families, err := c.node(id).opt.Metrics.(*prometheus.Registry).Gather()
	if err != nil {
		c.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name && len(f.GetMetric()) > 0 {
			m := f.GetMetric()[0]
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return 0
}

// writing writes through a node without pause until the returned function is called.
func (c *cluster) writing(id string) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if _, err := c.run(id, fmt.Sprintf("SET w%d.%d %d", w, i%500, i)); err != nil {
					c.t.Errorf("write: %v", err)
					return
				}
			}
		})
	}
	return func() { cancel(); wg.Wait() }
}

// TestReplicaThatDivergedIsRebuilt: a replica whose state differs from the others' finds
// out by itself, answers nothing, leads no more, and gets the others' state, while clients
// write. What it has on the disk is right afterwards, too.
func TestReplicaThatDivergedIsRebuilt(t *testing.T) {
	for _, leads := range []bool{false, true} {
		t.Run(fmt.Sprintf("leads=%v", leads), func(t *testing.T) {
			c := newCluster(t, 3, patient)
			wrong, other := c.leader(), ""
			if !leads {
				wrong = c.others(wrong)[0]
			}
			other = c.others(wrong)[1]
			c.fill(wrong, 20)
			stop := c.writing(other)
			c.corrupt(wrong)
			c.eventually(func() error {
				if c.diverged(wrong) == 0 {
					return errors.New("it has not noticed")
				}
				return nil
			})
			c.eventually(func() error { return c.node(wrong).Ready() })
			if leads && c.group(wrong).Serving() {
				t.Error("it leads on")
			}
			stop()
			c.want(wrong, "EXISTS never", ":0\r\n")
			c.agree()
			for _, id := range c.others(wrong) {
				if n := c.diverged(id); n != 0 {
					t.Errorf("%s was rebuilt %v times", id, n)
				}
			}
			c.stop(wrong)
			c.start(wrong)
			c.fill(other, 5)
			c.agree()
			if n := c.diverged(wrong); n != 0 {
				t.Errorf("after a restart it was wrong again")
			}
		})
	}
}

// A replica that was stopped while it was wrong remembers, and one that cannot be rebuilt
// answers nothing.
func TestDivergedReplicaAnswersNothing(t *testing.T) {
	c := newCluster(t, 3, patient)
	leader := c.leader()
	wrong := c.others(leader)[0]
	c.fill(leader, 10)
	silent := func() { // the others give no state
		for _, p := range c.others(wrong) {
			c.node(p).net.Handle(methodState, func(context.Context, string, []byte) ([]byte, error) {
				return nil, errors.New("not now")
			})
		}
	}
	silent()
	c.corrupt(wrong)
	stop := c.writing(leader)
	c.eventually(func() error {
		if !c.condemned(wrong) {
			return errors.New("it has not noticed")
		}
		return nil
	})
	stop()
	check := func() {
		t.Helper()
		g := c.group(wrong)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := g.Read(ctx, command.ReadOptions{}, func(*command.Ctx) {})
		if !errors.Is(err, command.ErrUnavailable) {
			t.Errorf("it read: %v", err)
		}
		if _, err := g.Read(ctx, command.ReadOptions{Consistency: command.Stale}, func(*command.Ctx) {}); !errors.Is(err, command.ErrUnavailable) {
			t.Errorf("it read stale data: %v", err)
		}
		if _, err := g.WriteBackup(ctx, discard{}); err == nil {
			t.Error("it wrote a backup")
		}
		if g.compactor.Due() {
			t.Error("it would take a snapshot")
		}
		if err := c.node(wrong).Ready(); err == nil {
			t.Error("it is ready")
		}
		c.eventually(func() error {
			if !c.node(leader).peerDiverged(wrong, c.group(leader)) {
				return errors.New("the leader does not know")
			}
			return nil
		})
		if err := c.group(leader).TransferLeadership(t.Context(), wrong); !errors.Is(err, ErrTransferRefused) {
			t.Errorf("it was to lead: %v", err)
		}
	}
	check()
	c.eventually(func() error { // written down before anything else is tried
		on, err := c.node(wrong).meta.Diverged(0)
		if !on {
			return fmt.Errorf("not written down: %v", err)
		}
		return nil
	})
	c.stop(wrong)
	c.start(wrong)
	check()
	for _, p := range c.others(wrong) {
		c.node(p).answerKeepers()
	}
	c.eventually(func() error { return c.node(wrong).Ready() })
	c.agree()
}

// A state that has just gone wrong is not written, before any comparing has found it:
// replicas that restored it would be the majority.
func TestAWrongStateIsNotWritten(t *testing.T) {
	c := newCluster(t, 3, patient)
	leader := c.leader()
	c.fill(leader, 20)
	c.corrupt(leader)
	g := c.group(leader)
	if err := g.await(g.raft.Snapshot()); err == nil {
		t.Error("a snapshot of it was taken")
	}
	c.eventually(func() error { return c.node(leader).Ready() })
	c.agree()
}

// Handing out is refused in the same way.
func TestAWrongStateIsNotHandedOut(t *testing.T) {
	c := newCluster(t, 3, patient)
	leader := c.leader()
	wrong := c.others(leader)[0]
	c.fill(leader, 20)
	c.corrupt(wrong)
	r := c.group(leader).keeper.ReadState(t.Context(), wrong)
	if err := fsm.New(fsm.Options{Table: c.group(leader).opt.Table}).RestoreFrom(r); err == nil {
		t.Error("it was handed out")
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// Without a majority nobody can tell which replica is right: they go on and take no
// snapshots, until a third one decides.
func TestReplicasThatDifferWithoutAMajority(t *testing.T) {
	c := newCluster(t, 3, patient)
	leader := c.leader()
	wrong, away := c.others(leader)[0], c.others(leader)[1]
	c.fill(leader, 10)
	for _, p := range c.others(away) {
		c.faults[away].Set(p, transport.Inbound, transport.Drop)
		c.faults[away].Set(p, transport.Outbound, transport.Drop)
	}
	c.leader()
	c.corrupt(wrong)
	stop := c.writing(wrong)
	for _, id := range []string{wrong, leader} {
		c.eventually(func() error {
			if len(c.node(id).Notices()) == 0 {
				return fmt.Errorf("%s has not noticed", id)
			}
			return nil
		})
		if err := c.node(id).Ready(); err != nil {
			t.Errorf("%s does not go on: %v", id, err)
		}
		if c.group(id).compactor.Due() {
			t.Errorf("%s would take a snapshot", id)
		}
		if n := c.metric(id, "lockstep_shard_replicas_differ"); n != 1 {
			t.Errorf("%s shows %v replicas that differ", id, n)
		}
	}
	c.faults[away].Heal()
	c.eventually(func() error {
		if c.diverged(wrong) == 0 {
			return errors.New("nobody has decided")
		}
		return nil
	})
	stop()
	c.eventually(func() error {
		for _, id := range c.ids {
			if err := c.node(id).Ready(); err != nil {
				return err
			}
		}
		return nil
	})
	c.agree()
	c.fill(leader, 70)
	c.eventually(func() error {
		for _, id := range c.ids {
			if n := c.node(id).Notices(); len(n) > 0 {
				return fmt.Errorf("%s: %v", id, n)
			}
		}
		return nil
	})
}

// Memory that changes by itself is found by an audit, on an idle cluster, too.
func TestAuditFindsDamagedMemory(t *testing.T) {
	for _, where := range []string{"in a short value", "inside a long value"} {
		t.Run(where, func(t *testing.T) {
			c := newCluster(t, 3, func(o *Options) { patient(o); o.AuditInterval = 200 * time.Millisecond })
			leader := c.leader()
			wrong := c.others(leader)[0]
			value := "value"
			if where == "inside a long value" {
				value = strings.Repeat("0123456789", 2000)
			}
			c.want(leader, "SET key "+value, "+OK\r\n")
			c.agree()
			c.group(wrong).fsm.Reconfigure(func(s *store.Store) {
				if where == "in a short value" {
					flip(s.Get([]byte("key")).Bytes())
					return
				}
				// As if the entry had come to this replica otherwise.
				e := s.Get([]byte("key"))
				other := slices.Clone(e.Bytes())
				flip(other)
				s.Restore(store.Item{Key: []byte("key"), Value: other, Version: e.Version()})
			})
			c.eventually(func() error {
				if c.diverged(wrong) == 0 {
					return errors.New("it has not noticed")
				}
				return c.node(wrong).Ready()
			})
			c.agree()
		})
	}
}

// Where nothing is written afterwards a damaged value that was changed once shows, too, long
// before enough entries have come for the notes that are made anyway. Then nothing more is
// logged.
func TestDamageShowsOnAQuietShard(t *testing.T) {
	c := newCluster(t, 3, patient)
	leader := c.leader()
	wrong := c.others(leader)[0]
	c.want(leader, "SET key value", "+OK\r\n")
	noted := func() error {
		if _, due := c.group(leader).fsm.Unnoted(); due {
			return errors.New("no note was made")
		}
		return nil
	}
	c.eventually(noted)
	c.agree()
	c.group(wrong).fsm.Reconfigure(func(s *store.Store) { flip(s.Get([]byte("key")).Bytes()) })
	c.want(leader, "APPEND key s", ":6\r\n")
	c.eventually(func() error {
		if c.diverged(wrong) == 0 {
			return errors.New("it has not noticed")
		}
		return nil
	})
	c.eventually(func() error { return c.node(wrong).Ready() })
	c.want(wrong, "GET key", "$6\r\nvalues\r\n")
	c.eventually(noted)
	c.agree()
	g := c.group(leader)
	if !g.Serving() {
		t.Fatal("the leader has changed")
	}
	last := g.raft.LastIndex()
	var w soundness.NoteWait
	for range 2 { // the first look only notes when it was
		if g.keeper.KeepNoted(&w) || g.raft.LastIndex() != last {
			t.Error("an idle shard logs notes")
		}
	}
}

// flip is what a cosmic ray does, which asks for no lock either.
//
//go:norace
func flip(b []byte) { b[len(b)/2] ^= 1 }
