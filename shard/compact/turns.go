package compact

import (
	"context"
	"slices"
)

// Snapshots that the replicas of a shard write at the same time slow down a majority of
// the disks that a write waits for. So they take turns: the followers are due before the
// leader, each at its own share of the threshold, and a replica begins only when none of
// the others that it can reach is writing, or waits with an earlier turn. That costs an
// overdue log half a threshold at most.

// Doing is what a replica does about its snapshot, as others are told. The numbers are part of the wire format.
type Doing int32

// What it may do.
const (
	Nothing Doing = iota // none is due
	Due                  // and waits for its turn
	Claims               // wants to begin, and asks the others
	Writes
)

// Turn is for what one may do at a time; it has capacity 1. Unlike a mutex it can be given
// up waiting for.
type Turn chan struct{}

// NewTurn returns one that nobody has.
func NewTurn() Turn { return make(Turn, 1) }

// Take waits for the turn, and reports whether it came before ctx ended.
func (t Turn) Take(ctx context.Context) bool {
	select {
	case t <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// GiveBack ends what Take began.
func (t Turn) GiveBack() { <-t }

// Taken reports whether somebody has it.
func (t Turn) Taken() bool { return len(t) > 0 }

// place is a node's place among those that write snapshots of a shard, from 0, and how
// many places there are. The leader comes last; which follower is first differs by shard.
func place(node, leader string, holders []string, shard int) (at, of int) {
	followers := make([]string, 0, len(holders))
	for _, id := range holders {
		if id != leader {
			followers = append(followers, id)
		}
	}
	i := slices.Index(followers, node)
	if i < 0 {
		return max(len(holders)-1, 0), max(len(holders), 1)
	}
	return (i + shard) % len(followers), len(holders)
}

// dueAt is when a snapshot is due: between three quarters of the threshold and all of it.
func dueAt(threshold int64, at, of int) int64 {
	return threshold*3/4 + threshold/4*int64(at+1)/int64(of)
}

// first reports whether one that does something about its snapshot, and has place its, goes before one with place at
// that waits.
func first(d Doing, its, at int) bool { return d >= Claims || d == Due && its < at }

// claimTurn reports whether this replica may write its snapshot now. It says that it does
// before it asks the others, so that of two that want to at once at least one is told.
func (c *Compactor) claimTurn(ctx context.Context) bool {
	others := c.opt.Shard.Voters()
	if len(others) == 0 || c.unsaved() >= c.threshold()*3/2 {
		return true
	}
	for _, peer := range others { // as they were a moment ago; costs nothing
		if d, known := c.opt.Peers.Doing(peer); known && c.goesFirst(peer, d) {
			return false
		}
	}
	c.doing.Store(int32(Claims))
	for _, peer := range others {
		if d, known := c.opt.Peers.Ask(ctx, peer); known && c.goesFirst(peer, d) {
			c.doing.Store(int32(Due))
			return false
		}
	}
	return ctx.Err() == nil
}

// goesFirst reports whether a peer writes a snapshot of this shard, or is to before this replica.
func (c *Compactor) goesFirst(peer string, d Doing) bool {
	its, _ := c.place(peer)
	at, _ := c.place(c.opt.Self)
	return first(d, its, at)
}

func (c *Compactor) place(node string) (at, of int) {
	return place(node, c.opt.Shard.Leader(), c.opt.Shard.Holders(), c.opt.ID)
}
