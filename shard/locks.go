package shard

import (
	"context"
	"strconv"
	"time"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/fsm/wait"
	"github.com/lockstepkv/lockstep/shard/session"
)

// lockTimerRest is the longest the lock timer sleeps.
const lockTimerRest = 100 * time.Millisecond

// nudgeLockTimer makes the lock timer look at what is due next.
func (g *Group) nudgeLockTimer() {
	select {
	case g.lockNudge <- struct{}{}:
	default:
	}
}

// lockTimer moves the log clock when the time of a grant or of a wait for a lock
// is over, so that the next in the queue gets it then.
func (g *Group) lockTimer(ctx context.Context) {
	timer := time.NewTimer(lockTimerRest)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.lockNudge:
		case <-timer.C:
		}
		timer.Reset(g.tickLocks(ctx))
	}
}

// tickLocks moves the log clock if something is due, and returns when to look
// again.
func (g *Group) tickLocks(ctx context.Context) time.Duration {
	due := g.fsm.LocksDue()
	if due == 0 || !g.Serving() {
		return lockTimerRest
	}
	left := time.Duration(due-g.stamp().Mono) * time.Millisecond
	if left > 0 {
		return min(left, lockTimerRest)
	}
	tctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if _, err := g.Propose(tctx, command.Batch{}); err != nil {
		return session.RetryPause
	}
	return time.Millisecond
}

// absentAfter is how long a node may be out of reach before its waiters lose
// their places: until then they would be granted locks that nobody takes.
const absentAfter = 3 * time.Second

// dropAbsentWaiters takes clients of nodes that are gone out of the queues.
// absent remembers since when a node has been out of reach.
func (g *Group) dropAbsentWaiters(ctx context.Context, absent map[string]time.Duration) {
	var waiting []wait.Session
	g.fsm.InspectLocks(func(t *lock.Table) {
		if t.Waiters() > 0 {
			waiting = t.WaitingSessions()
		}
	})
	if len(waiting) == 0 {
		clear(absent)
		return
	}
	for _, n := range waiting {
		if n.Node == g.self && n.Boot == g.boot {
			continue
		}
		if n.Node == g.self || g.Serving() && g.absent(n.Node, absent) {
			var b command.Batch
			b.Add(command.Args{[]byte("LS.LOCKDROP"), []byte(n.Node), strconv.AppendUint(nil, n.Boot, 10)})
			dctx, cancel := context.WithTimeout(ctx, time.Second)
			if _, err := g.Propose(dctx, b); err == nil {
				g.logger.Info("clients of a node that is gone no longer wait for locks", "gone", n.Node)
			}
			cancel()
		}
	}
}

func (g *Group) absent(node string, since map[string]time.Duration) bool {
	if g.net.Health(node).Connected {
		delete(since, node)
		return false
	}
	now := g.clock.Mono()
	if _, known := since[node]; !known {
		since[node] = now
	}
	return now-since[node] >= absentAfter
}

// LockCounts says how many locks of the shard are held, and how many wait.
func (g *Group) LockCounts() (held, waiters int) {
	g.fsm.InspectLocks(func(t *lock.Table) { held, waiters = t.Len(), t.Waiters() })
	return held, waiters
}
