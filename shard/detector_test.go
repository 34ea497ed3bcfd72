package shard

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/raft"
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

// TestWhoYields is the table of answers to a replica that wants to lead.
func TestWhoYields(t *testing.T) {
	const base = 100 * time.Millisecond
	now := time.Hour
	own := claim{term: 3, lastTerm: 2, lastIndex: 10}
	type outlook struct {
		theirs   claim
		state    raft.RaftState
		leader   string
		lasts    time.Duration
		gone     bool
		promised string
		until    time.Duration
		calling  bool
		self     string
	}
	good := outlook{theirs: own, state: raft.Follower, leader: "n1", lasts: base, self: "n2"}
	for name, c := range map[string]struct {
		change func(*outlook)
		want   bool
	}{
		"hears nothing either":              {func(*outlook) {}, true},
		"has heard the leader":              {func(o *outlook) { o.lasts = base - 1 }, false},
		"connection lost":                   {func(o *outlook) { o.gone, o.lasts = true, base/2 }, true},
		"connection just lost":              {func(o *outlook) { o.gone, o.lasts = true, base/2-1 }, false},
		"no leader":                         {func(o *outlook) { o.leader, o.gone = "", true }, true},
		"asked by the leader":               {func(o *outlook) { o.leader = "n3" }, false},
		"leads":                             {func(o *outlook) { o.state = raft.Leader }, false},
		"is about to lead":                  {func(o *outlook) { o.state, o.lasts = raft.Candidate, base-1 }, false},
		"campaigns in vain":                 {func(o *outlook) { o.state = raft.Candidate }, true},
		"shorter log":                       {func(o *outlook) { o.theirs.lastIndex-- }, false},
		"longer log":                        {func(o *outlook) { o.theirs.lastIndex++ }, true},
		"longer log of an older term":       {func(o *outlook) { o.theirs.lastIndex, o.theirs.lastTerm = 99, 1 }, false},
		"shorter log of a newer term":       {func(o *outlook) { o.theirs.lastIndex, o.theirs.lastTerm = 1, 3 }, true},
		"behind by a term":                  {func(o *outlook) { o.theirs.term-- }, false},
		"has promised":                      {func(o *outlook) { o.promised, o.until = "n1", now+1 }, false},
		"has promised long ago":             {func(o *outlook) { o.promised, o.until = "n1", now }, true},
		"has promised the same":             {func(o *outlook) { o.promised, o.until = "n3", now+1 }, true},
		"calls itself, with a lesser name":  {func(o *outlook) { o.calling = true }, true},
		"calls itself, with a greater name": {func(o *outlook) { o.calling, o.self = true, "n4" }, false},
		"calls itself, with a shorter log":  {func(o *outlook) { o.calling, o.self, o.theirs.lastIndex = true, "n4", 11 }, true},
	} {
		o := good
		c.change(&o)
		d := &detector{self: o.self, leader: o.leader, promised: o.promised, until: o.until, calling: o.calling,
			silence: silence{base: base, lasts: o.lasts}}
		got := d.yields("n3", o.theirs, own, o.state, o.gone, now)
		if got != c.want {
			t.Errorf("%s: %v", name, got)
		}
		if got && (d.promised != "n3" || d.until != now+base) {
			t.Errorf("%s: promised to %q until %v", name, d.promised, d.until)
		}
	}
}
