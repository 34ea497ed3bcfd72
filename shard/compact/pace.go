package compact

import (
	"context"
	"sync"
	"time"

	"github.com/lockstepkv/lockstep/internal/clock"
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
	if !slow(slowest, usual) {
		r.strain = 0
		return min(busy, mostRest)
	}
	r.strain = min(r.strain+1, mostStrain)
	return min(max(busy, leastRest)<<r.strain, mostRest)
}

// slow reports whether a flush takes longer than usual.
func slow(flush, usual time.Duration) bool { return flush > max(slowerThan*usual, leastSlowFlush) }

// Pace is called by the writer of a snapshot after each step, for which the disk was busy.
func (c *Compactor) Pace(busy time.Duration) {
	started := time.Now()
	slowest, usual := c.opt.Disk.Flushes()
	overdue := c.unsaved() >= 2*c.threshold()
	if overdue {
		slowest = 0
	}
	clock.Pause(c.life, c.rests.after(busy, slowest, usual))
	ctx, cancel := context.WithTimeout(c.life, waitForFlush)
	defer cancel()
	for !overdue && ctx.Err() == nil && slow(c.opt.Disk.Flushing(), usual) {
		clock.Pause(ctx, hangPoll)
	}
	c.opt.Figures.SnapshotPaused(time.Since(started))
}
