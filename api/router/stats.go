package router

import (
	"sync/atomic"
	"time"

	"github.com/lockstepkv/lockstep/internal/histogram"
)

// latencyBuckets is the number of powers of two, in microseconds, that a
// histogram tells apart: up to about 16 s, the last one is open.
const latencyBuckets = 25

// cmdStats counts the calls of one command. All fields are atomic; a run adds
// its calls at once.
type cmdStats struct {
	calls    atomic.Int64
	micros   atomic.Int64 // of work: the commands of a batch share its time
	waited   atomic.Int64 // microseconds that clients waited
	rejected atomic.Int64 // before execution: arity, AUTH, MOVED, ...
	failed   atomic.Int64 // during execution
	buckets  [latencyBuckets]atomic.Int64
}

// powers is the scale of the buckets; a duration d is in that of d-1 microseconds, so that the
// bounds are powers of two themselves.
const powers histogram.Scale = 0

// bucketOf returns the histogram bucket of a duration: bucket b holds what is
// at most 2^b microseconds.
func bucketOf(micros int64) int {
	return min(powers.Bucket(uint64(max(micros-1, 0))), latencyBuckets-1)
}

// observe adds n calls, of which failed returned an error. latency is how long
// each of them took for the client, share what each adds to the total time: the
// commands of one batch wait together.
func (c *cmdStats) observe(n, failed int64, latency, share time.Duration) {
	c.calls.Add(n)
	c.micros.Add((time.Duration(n) * share).Microseconds())
	us := latency.Microseconds()
	c.waited.Add(n * us)
	c.buckets[bucketOf(us)].Add(n)
	if failed > 0 {
		c.failed.Add(failed)
	}
}

func (c *cmdStats) reset() {
	c.calls.Store(0)
	c.micros.Store(0)
	c.waited.Store(0)
	c.rejected.Store(0)
	c.failed.Store(0)
	for i := range c.buckets {
		c.buckets[i].Store(0)
	}
}

// percentile returns the upper bound, in microseconds, of the bucket in which
// the p-quantile of counts lies; 0 without observations.
func percentile(counts []int64, p float64) int64 {
	i, any := histogram.Quantile(counts, p)
	if !any {
		return 0
	}
	return 1 << i
}

func (c *cmdStats) counts() []int64 {
	out := make([]int64, latencyBuckets)
	for i := range c.buckets {
		out[i] = c.buckets[i].Load()
	}
	return out
}

// opsRate counts commands per second of the clock, in a few slots that are used
// in turn. Where two add at the turn of a second, some may be lost: the figure is
// for people to read.
type opsRate struct {
	slots [4]struct{ second, count atomic.Int64 }
}

func (o *opsRate) add(second, n int64) {
	slot := &o.slots[second&3]
	if old := slot.second.Load(); old != second && slot.second.CompareAndSwap(old, second) {
		slot.count.Store(0)
	}
	slot.count.Add(n)
}

// lastSecond returns how many commands ended in the second before now.
func (o *opsRate) lastSecond(now int64) int64 {
	slot := &o.slots[(now-1)&3]
	if slot.second.Load() != now-1 {
		return 0
	}
	return slot.count.Load()
}
