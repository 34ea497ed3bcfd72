package shard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/shard/session"
)

// Errors of TransferLeadership: nothing was done.
var (
	ErrNoSuchShard = errors.New("no such shard")
	ErrNoSuchNode  = errors.New("no such node")

	// ErrTransferRefused: the target cannot take the leadership now, or another
	// transfer is under way.
	ErrTransferRefused = errors.New("leadership is not handed over")
)

// aliveTimeout is how long the target of a transfer has for a sign of life.
const aliveTimeout = 300 * time.Millisecond

// transfers keeps transfers of a group's leadership apart. The Raft library
// accepts no entry while it hands leadership over, and to a target that hangs that
// can take for ever (hashicorp/raft issue 696): so there is one at a time, to a
// voter that has just answered, and to one to which it failed only after news of it.
type transfers struct {
	mu      sync.Mutex
	running bool                 // guarded by mu
	failed  map[string]time.Time // guarded by mu; by target
}

// begin reports why a transfer to node may not begin now. lastSeen is when the
// node was last heard of.
func (t *transfers) begin(node string, lastSeen time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.running {
		return fmt.Errorf("%w: another transfer is under way", ErrTransferRefused)
	}
	if at, ok := t.failed[node]; ok && !lastSeen.After(at) {
		return fmt.Errorf("%w: the last one to %s failed, and nothing was heard of it since", ErrTransferRefused, node)
	}
	t.running = true
	return nil
}

func (t *transfers) end(node string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running = false
	delete(t.failed, node)
	if err != nil {
		if t.failed == nil {
			t.failed = make(map[string]time.Time)
		}
		t.failed[node] = time.Now()
	}
}

// TransferLeadership hands the leadership over to node. This node must serve.
func (g *Group) TransferLeadership(ctx context.Context, node string) error {
	term := g.serving.Load()
	if term == 0 {
		return session.ErrNotServing
	}
	return g.transfer(ctx, term, node)
}

// transfer hands the leadership of term over, served or not.
func (g *Group) transfer(ctx context.Context, term uint64, node string) error {
	switch {
	case !g.leads(term):
		return session.ErrNotServing
	case node == g.self:
		return nil
	}
	if err := g.transfers.begin(node, g.net.Health(node).LastSeen); err != nil {
		return err
	}
	err := g.canLead(ctx, term, node)
	if err == nil {
		// Before the target can be elected. Whether it is or not, this node leases
		// no more in this term.
		g.reader.GiveUpLease(term)
		err = g.await(g.raft.LeadershipTransferToServer(raft.ServerID(node), raft.ServerAddress(node)))
	}
	g.transfers.end(node, err)
	if err != nil {
		return fmt.Errorf("hand shard %d over to %s: %w", g.id, node, err)
	}
	return nil
}

// canLead asks for a sign of life of a voter. It must have this term: a node that
// is repaired and has no vote does not answer.
func (g *Group) canLead(ctx context.Context, term uint64, node string) error {
	if !slices.Contains(g.voters.now().others, node) {
		return fmt.Errorf("%w: %s is no voter of the shard", ErrTransferRefused, node)
	}
	if g.node.peerDiverged(node, g) {
		return fmt.Errorf("%w: the replica of %s is being rebuilt", ErrTransferRefused, node)
	}
	ctx, cancel := context.WithTimeout(ctx, aliveTimeout)
	defer cancel()
	if !(asking{g}).Confirm(ctx, node, term) {
		return fmt.Errorf("%w: %s gives no sign of life, or follows somebody else", ErrTransferRefused, node)
	}
	return nil
}
