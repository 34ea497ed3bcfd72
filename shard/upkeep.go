package shard

import (
	"context"
	"time"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/internal/clock"
	"github.com/lockstepkv/lockstep/shard/soundness"
	"github.com/lockstepkv/lockstep/store"
)

const (
	upkeepEvery  = 100 * time.Millisecond
	refreshEvery = 250 * time.Millisecond
)

// upkeep does what no request asks for: it expires keys that nobody touches, evicts what a
// lower limit leaves no room for, has what changed noted, keeps the age of this replica
// known, and ends a quarantine.
func (g *Group) upkeep(ctx context.Context) {
	lastRefresh, absent := time.Duration(0), make(map[string]time.Duration)
	var unnoted soundness.NoteWait
	clock.Every(ctx, upkeepEvery, func() {
		if g.Serving() {
			g.expire(ctx)
			g.relieve(ctx)
		}
		g.keeper.KeepNoted(&unnoted)
		g.switchReadLog()
		g.dropAbsentWaiters(ctx, absent)
		if now := g.clock.Mono(); now-lastRefresh >= refreshEvery {
			lastRefresh = now
			rctx, cancel := context.WithTimeout(ctx, refreshEvery)
			g.reader.Refresh(rctx)
			cancel()
			g.observe()
		}
		if g.guard.On() {
			g.guard.TryEnd(ctx)
		}
	})
}

// replaying reports whether this replica has yet to apply what its log held when it was
// opened. What of that was never committed may have been replaced by something shorter.
func (g *Group) replaying() bool {
	return g.raft.AppliedIndex() < min(g.openedWith, g.raft.LastIndex())
}

// expire moves the log clock as long as there are keys whose time is up, so
// that their memory comes back. Their invisibility does not depend on it.
func (g *Group) expire(ctx context.Context) {
	for ctx.Err() == nil && g.Serving() {
		due := false
		g.fsm.Inspect(func(s *store.Store, _ int64) {
			at, ok := s.NextExpiry()
			due = ok && at <= g.expiryClock()
		})
		if !due {
			return
		}
		if g.proposeNothing(ctx) != nil {
			return
		}
	}
}

// relieve evicts what is over the limit when no write does it on its way: the limit was
// lowered, or a policy chosen, or the node has started with less. Each entry evicts at most
// store.MaxVictims keys. A round lasts no longer than the time between two, so that the
// rest of upkeep gets its turn.
func (g *Group) relieve(ctx context.Context) {
	for started := time.Now(); ctx.Err() == nil && g.Serving() && g.mustEvict(); {
		if g.proposeNothing(ctx) != nil || time.Since(started) >= upkeepEvery {
			return
		}
	}
}

// mustEvict reports whether an entry would evict something now.
func (g *Group) mustEvict() (must bool) {
	limit, evicts := g.memoryLimit()
	if !evicts {
		return false
	}
	g.fsm.Inspect(func(s *store.Store, _ int64) { must = s.Used() > limit && s.Evictable() > 0 })
	return must
}

// proposeNothing has an entry logged for what every entry brings along: the time, what the
// leader evicts, and a note of what the state comes to.
func (g *Group) proposeNothing(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, err := g.Propose(ctx, command.Batch{})
	return err
}

// expiryClock is the time that expiry waits for: that which an entry would be
// stamped with.
func (g *Group) expiryClock() int64 {
	return g.stamp().Wall
}
