package shard

import (
	"context"
	"github.com/lockstepkv/lockstep/internal/clock"
	"sync"
	"time"
)

// The writer of a snapshot takes half of the disk at most: after each step it rests for as
// long as the disk was busy with that. Flushes of the log go first: while they take longer
// than usual it rests longer and longer, and while one seems to hang it writes nothing. That
// ends when the log has grown to twice what makes a snapshot due: it must not grow for ever.

const (
	// leastSlowFlush is a flush that is not called slower than usual.
	leastSlowFlush = 20 * time.Millisecond
	slowerThan     = 4 // times the usual
	leastRest      = 10 * time.Millisecond
	mostRest       = time.Second
	mostStrain     = 5
	// waitForFlush is how long the writer waits for a flush that hangs. A leader that sends a snapshot
	// takes 10 s without progress for death.
	waitForFlush = 5 * time.Second
	hangPoll     = 20 * time.Millisecond
)

// rests decides how long the writer of a snapshot rests.
type rests struct {
	mu     sync.Mutex
	strain uint // guarded by mu
}

// after returns the rest after a step for which the disk was busy. slowest is the longest
// flush of the log meanwhile, usual the average without snapshots.
func (r *rests) after(busy, slowest, usual time.Duration) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if slowest <= max(slowerThan*usual, leastSlowFlush) {
		r.strain = 0
		return min(busy, mostRest)
	}
	r.strain = min(r.strain+1, mostStrain)
	return min(max(busy, leastRest)<<r.strain, mostRest)
}

// flushed notes how long a flush of the log took.
func (n *Node) flushed(took time.Duration) {
	d := &n.disk
	for old := d.slowest.Load(); int64(took) > old && !d.slowest.CompareAndSwap(old, int64(took)); old = d.slowest.Load() {
	}
	if len(n.snapshotting) == 0 {
		usual := d.usual.Load()
		d.usual.Store(usual + (int64(took)-usual)/16) // an update that is lost does no harm
	}
}

// flushing is for how long the oldest flush of any shard has been under way.
func (n *Node) flushing() (lasts time.Duration) {
	for _, g := range n.Groups() {
		lasts = max(lasts, time.Duration(g.flushSeen.Load()))
	}
	return lasts
}

// pace is called by the writer of a snapshot after each step.
func (g *Group) pace(busy time.Duration) {
	started := time.Now()
	d := &g.node.disk
	usual, slowest := time.Duration(d.usual.Load()), time.Duration(d.slowest.Swap(0))
	overdue := g.log.BytesAfter(g.snapshotAt.Load()) >= 2*g.threshold()
	if overdue {
		slowest = 0
	}
	clock.Pause(g.life, g.rests.after(busy, slowest, usual))
	ctx, cancel := context.WithTimeout(g.life, waitForFlush)
	defer cancel()
	for !overdue && ctx.Err() == nil && g.node.flushing() > max(slowerThan*usual, leastSlowFlush) {
		clock.Pause(ctx, hangPoll)
	}
	g.metrics.node.disk.paused.WithLabelValues(g.metrics.label).Add(time.Since(started).Seconds())
}
