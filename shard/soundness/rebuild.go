package soundness

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/internal/clock"
)

// A replica whose state is wrong keeps its log and its vote. The log is taken to be right:
// what is read from the disk has a checksum, and so has what is kept in memory (raftlog). What
// was damaged before it had one, that does not tell. The replica gets the state of another one,
// applies its own log from there on, and takes a snapshot at once, since those it has may be
// wrong. That it is wrong is written down before, so that a restart does not forget it.

// mend takes a replica that is wrong out of service, and rebuilds it. What has failed is
// tried again the next time.
func (k *Keeper) mend(ctx context.Context, c *comparison) {
	if err := k.opt.Marks.SetDiverged(k.opt.ID, true); err != nil {
		k.opt.Logger.Error("could not write down that this replica is wrong", "error", err)
		return
	}
	k.opt.Service.StepAside(ctx)
	err := k.rebuild(ctx, c)
	if err == nil {
		err = k.opt.Service.ReplaceSnapshots(ctx)
	}
	switch {
	case ctx.Err() != nil || err == nil && !k.stands(c):
		return
	case err == nil:
		err = k.opt.Marks.SetDiverged(k.opt.ID, false)
	}
	if err != nil {
		if err.Error() != c.failed {
			k.opt.Logger.Warn("this replica could not be rebuilt yet", "error", err)
		}
		c.failed = err.Error()
		return
	}
	k.opt.Service.Forget()
	k.diverged.Store(false)
	k.opt.Service.Rebuilt()
	*c = comparison{tried: c.tried}
	k.opt.Logger.Warn("replica rebuilt", "index", k.opt.State.Applied())
}

// stands reports whether the state is the one that was rebuilt, and was not found to be
// wrong since.
func (k *Keeper) stands(c *comparison) bool {
	return c.rebuilt != 0 && c.rebuilt == k.opt.State.Restores() && c.condemned == k.condemned.Load()
}

// rebuild gets the state of another replica, unless that was done before, and waits until
// this node's Raft has come as far. Until then its term tells nothing about the entries in
// it: they may be of one that it does not know.
func (k *Keeper) rebuild(ctx context.Context, c *comparison) error {
	if !k.stands(c) {
		peer := k.soundPeer(c)
		if peer == "" {
			return errNoSoundPeer
		}
		condemned := k.condemned.Load()
		err := k.opt.State.Rebuild(k.ReadState(ctx, peer), func(index uint64) (*raft.Log, error) {
			var l raft.Log
			return &l, k.opt.Log.GetLog(index, &l)
		})
		if err != nil {
			return fmt.Errorf("from %s: %w", peer, err)
		}
		c.rebuilt, c.condemned = k.opt.State.Restores(), condemned
		k.unreads.keep(c.rebuilt) // what the old state could not read is in this one
	}
	for k.opt.Shard.CommitIndex() < k.opt.State.Applied() {
		if clock.Pause(ctx, catchUpPoll); ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// catchUpPoll is how often it is looked whether Raft has come as far as a new state.
const catchUpPoll = 5 * time.Millisecond

var errNoSoundPeer = errors.New("no other replica can be reached that is sound")

// soundPeer chooses whom to ask for the state: one after the other, but none that says it
// is wrong itself. "" if there is none.
func (k *Keeper) soundPeer(c *comparison) string {
	others := k.others()
	for range others {
		peer := others[c.tried%len(others)]
		c.tried++
		if k.opt.Peers.Sound(peer) {
			return peer
		}
	}
	return ""
}
