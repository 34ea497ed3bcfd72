package shard

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockstepkv/lockstep/transport"
)

// elections counts those of a node by outcome.
func (c *cluster) elections(id, outcome string) float64 {
	c.t.Helper()
	families, err := c.node(id).opt.Metrics.(*prometheus.Registry).Gather()
	if err != nil {
		c.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if f.GetName() == "lockstep_shard_elections_total" && l.GetName() == "outcome" && l.GetValue() == outcome {
					return m.GetCounter().GetValue()
				}
			}
		}
	}
	return 0
}

// patient makes Raft's own timeouts longer than a test waits.
func patient(o *Options) {
	o.HeartbeatTimeout, o.ElectionTimeout = 2*time.Second, 2*time.Second
}

func (c *cluster) newLeader(old string, among ...string) {
	c.t.Helper()
	c.eventually(func() error {
		called := 0.0
		for _, id := range among {
			called += c.elections(id, "called")
			if c.group(id).Serving() && called > 0 {
				return nil
			}
		}
		return fmt.Errorf("nobody has replaced %s", old)
	})
}

// TestDeadLeaderIsReplacedEarly: its connections are lost, and nobody waits for Raft's
// timeout.
func TestDeadLeaderIsReplacedEarly(t *testing.T) {
	c := newCluster(t, 3, patient)
	leader := c.leader()
	left := c.others(leader)
	c.stop(leader)
	c.newLeader(leader, left...)
}

// TestSilentLeaderIsReplacedEarly: its connections stay, and it says nothing.
func TestSilentLeaderIsReplacedEarly(t *testing.T) {
	c := newCluster(t, 3, func(o *Options) { o.HeartbeatTimeout, o.ElectionTimeout = time.Second, time.Second })
	leader := c.leader()
	left := c.others(leader)
	for _, id := range left {
		c.faults[leader].Set(id, transport.Both, transport.Drop)
	}
	c.newLeader(leader, left...)
}

// TestLeaderThatGivesUpIsReplacedEarly: it answers that it does not lead.
func TestLeaderThatGivesUpIsReplacedEarly(t *testing.T) {
	c := newCluster(t, 3, patient)
	leader := c.leader()
	g := c.group(leader)
	g.wire.Mute(true)
	defer g.wire.Mute(false)
	c.newLeader(leader, c.others(leader)...)
	c.eventually(func() error {
		if g.Serving() {
			return errors.New("the old one serves on")
		}
		return nil
	})
}

// TestOneDeafFollowerChangesNothing: others hear the leader.
func TestOneDeafFollowerChangesNothing(t *testing.T) {
	c := newCluster(t, 3, func(o *Options) { o.HeartbeatTimeout, o.ElectionTimeout = time.Second, time.Second })
	leader := c.leader()
	term := c.group(leader).raft.CurrentTerm()
	deaf := c.others(leader)[0]
	c.faults[deaf].Set(leader, transport.Both, transport.Drop)
	c.eventually(func() error {
		if n := c.elections(deaf, "declined"); n < 2 {
			return fmt.Errorf("declined %v times", n)
		}
		return nil
	})
	if g := c.group(leader); !g.Serving() || g.raft.CurrentTerm() != term {
		t.Errorf("term %d, then %d", term, g.raft.CurrentTerm())
	}
	c.faults[deaf].Heal()
	c.want(leader, "SET k v", "+OK\r\n")
}

// TestWhoMayNotLeadCallsNothing: others would wait for it in vain.
func TestWhoMayNotLeadCallsNothing(t *testing.T) {
	c := newCluster(t, 3, patient) // else Raft itself may be first
	leader := c.leader()
	passive := c.others(leader)[1]
	c.group(passive).keeper.Condemn("the test says so")
	c.eventually(func() error {
		if c.group(passive).wire.MayCampaign() {
			return errors.New("it may still lead")
		}
		return nil
	})
	calls := func() float64 { return c.elections(passive, "called") + c.elections(passive, "declined") }
	before := calls() // some, perhaps, when all started
	c.stop(leader)
	c.newLeader(leader, c.others(leader)[0])
	if n := calls() - before; n > 0 {
		t.Errorf("called %v times", n)
	}
}
