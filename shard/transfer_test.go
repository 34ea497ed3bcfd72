package shard

import (
	"errors"
	"fmt"
	"testing"

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

// TestQuarantinedNodeGetsNoLeadership: it has no vote.
func TestQuarantinedNodeGetsNoLeadership(t *testing.T) {
	c := newCluster(t, 3, patient)
	leader := c.leader()
	target := c.others(leader)[0]
	if err := errors.Join(c.node(target).meta.SetQuarantine(0, true), c.group(target).guard.Admit(t.Context(), true)); err != nil {
		t.Fatal(err)
	}
	// Upkeep ends the quarantine soon; until then the target is refused.
	if err := c.group(leader).office.CanLead(t.Context(), c.group(leader).serving.Load(), target); err != nil && !errors.Is(err, ErrTransferRefused) {
		t.Error(err)
	}
	if err := c.group(leader).office.CanLead(t.Context(), c.group(leader).serving.Load(), "n9"); !errors.Is(err, ErrTransferRefused) {
		t.Errorf("no voter: %v", err)
	}
	if err := c.group(leader).office.CanLead(t.Context(), c.group(leader).serving.Load()+1, target); !errors.Is(err, ErrTransferRefused) {
		t.Errorf("a voter of another term: %v", err)
	}
}

// TestResignedLeaderIsReplaced: a leader that cannot serve gives its place up.
func TestResignedLeaderIsReplaced(t *testing.T) {
	c := newCluster(t, 3, nil)
	leader := c.leader()
	g := c.group(leader)
	term := g.raft.CurrentTerm()
	g.office.Resign(t.Context(), term)
	if g.leads(term) {
		t.Fatal("it still leads")
	}
	c.want(leader, "SET k v", "+OK\r\n") // whoever leads now
	if got := g.raft.CurrentTerm(); got <= term {
		t.Errorf("term %d after term %d", got, term)
	}
}
