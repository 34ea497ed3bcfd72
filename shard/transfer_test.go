package shard

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/transport"
)

// TestTransferToAHungNodeDoesNotEndService: Raft would take no entry while it waits
// for the target, and could do so for ever.
func TestTransferToAHungNodeDoesNotEndService(t *testing.T) {
	c := newCluster(t, 3, patient)
	leader := c.leader()
	hung := c.others(leader)[0]
	for _, p := range c.others(hung) {
		c.faults[hung].Set(p, transport.Both, transport.Drop)
	}
	for range 3 {
		err := c.group(leader).TransferLeadership(t.Context(), hung)
		if !errors.Is(err, ErrTransferRefused) {
			t.Errorf("transfer to a node that hangs: %v", err)
		}
		c.want(leader, "SET k v", "+OK\r\n")
	}
	if c.leader() != leader {
		t.Errorf("%s does not lead any more", leader)
	}
	c.faults[hung].Heal()
	c.eventually(func() error {
		// On a busy machine an election may have come first.
		if got := c.leader(); got != hung {
			return fmt.Errorf("%s leads; handing over: %v", got, c.group(got).TransferLeadership(t.Context(), hung))
		}
		return nil
	})
	c.want(leader, "GET k", "$1\r\nv\r\n")
}

func TestOneTransferAtATime(t *testing.T) {
	var ts transfers
	if err := ts.begin("n2", time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := ts.begin("n3", time.Now()); !errors.Is(err, ErrTransferRefused) {
		t.Errorf("a second transfer: %v", err)
	}
	ts.end("n2", errors.New("timeout"))
	if err := ts.begin("n2", time.Now().Add(-time.Second)); !errors.Is(err, ErrTransferRefused) {
		t.Errorf("again to a target of which nothing was heard since: %v", err)
	}
	if err := ts.begin("n3", time.Time{}); err != nil {
		t.Errorf("to another target: %v", err)
	}
	ts.end("n3", nil)
	if err := ts.begin("n2", time.Now().Add(time.Second)); err != nil {
		t.Errorf("to a target that is back: %v", err)
	}
}

// TestQuarantinedNodeGetsNoLeadership: it has no vote.
func TestQuarantinedNodeGetsNoLeadership(t *testing.T) {
	c := newCluster(t, 3, patient)
	leader := c.leader()
	target := c.others(leader)[0]
	c.group(target).quarantined.Store(true)
	// Upkeep ends the quarantine soon; until then the target is refused.
	if err := c.group(leader).canLead(t.Context(), c.group(leader).serving.Load(), target); err != nil && !errors.Is(err, ErrTransferRefused) {
		t.Error(err)
	}
	if err := c.group(leader).canLead(t.Context(), c.group(leader).serving.Load(), "n9"); !errors.Is(err, ErrTransferRefused) {
		t.Errorf("no voter: %v", err)
	}
	if err := c.group(leader).canLead(t.Context(), c.group(leader).serving.Load()+1, target); !errors.Is(err, ErrTransferRefused) {
		t.Errorf("a voter of another term: %v", err)
	}
}

// TestResignedLeaderIsReplaced: a leader that cannot serve gives its place up.
func TestResignedLeaderIsReplaced(t *testing.T) {
	c := newCluster(t, 3, nil)
	leader := c.leader()
	g := c.group(leader)
	term := g.raft.CurrentTerm()
	g.resign(t.Context(), term)
	if g.leads(term) {
		t.Fatal("it still leads")
	}
	c.want(leader, "SET k v", "+OK\r\n") // whoever leads now
	if got := g.raft.CurrentTerm(); got <= term {
		t.Errorf("term %d after term %d", got, term)
	}
}
