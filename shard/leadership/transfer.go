package leadership

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/lockstepkv/lockstep/shard/session"
)

// ErrRefused: the target cannot take the leadership now, or another transfer is under way. Nothing was done.
var ErrRefused = errors.New("leadership is not handed over")

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
		return fmt.Errorf("%w: another transfer is under way", ErrRefused)
	}
	if at, ok := t.failed[node]; ok && !lastSeen.After(at) {
		return fmt.Errorf("%w: the last one to %s failed, and nothing was heard of it since", ErrRefused, node)
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

// Transfer hands the leadership of term over, served or not.
func (o *Office) Transfer(ctx context.Context, term uint64, node string) error {
	switch {
	case !o.opt.Raft.Leads(term):
		return session.ErrNotServing
	case node == o.opt.Self:
		return nil
	}
	if err := o.transfers.begin(node, o.opt.Peers.Seen(node)); err != nil {
		return err
	}
	err := o.CanLead(ctx, term, node)
	if err == nil {
		// Before the target can be elected. Whether it is or not, this node leases
		// no more in this term.
		o.opt.Service.GiveUpLease(term)
		err = o.opt.Raft.Transfer(node)
	}
	o.transfers.end(node, err)
	if err != nil {
		return fmt.Errorf("hand shard %d over to %s: %w", o.opt.ID, node, err)
	}
	return nil
}

// CanLead asks for a sign of life of a voter. It must have this term: a node that
// is repaired and has no vote does not answer.
func (o *Office) CanLead(ctx context.Context, term uint64, node string) error {
	if !slices.Contains(o.opt.Shard.Others(), node) {
		return fmt.Errorf("%w: %s is no voter of the shard", ErrRefused, node)
	}
	if o.opt.Peers.Wrong(node) {
		return fmt.Errorf("%w: the replica of %s is being rebuilt", ErrRefused, node)
	}
	ctx, cancel := context.WithTimeout(ctx, aliveTimeout)
	defer cancel()
	if !o.opt.Peers.Confirm(ctx, node, term) {
		return fmt.Errorf("%w: %s gives no sign of life, or follows somebody else", ErrRefused, node)
	}
	return nil
}
