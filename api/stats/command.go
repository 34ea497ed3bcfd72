package stats

import (
	"sync/atomic"
	"time"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/internal/histogram"
)

// Buckets is the number of powers of two, in microseconds, that a histogram tells apart: up
// to about 16 s, the last one is open.
const Buckets = 25

// Command counts the calls of one command or subcommand.
type Command struct {
	Spec     *command.Spec
	Calls    atomic.Int64
	Micros   atomic.Int64 // of work: the commands of a batch share its time
	Waited   atomic.Int64 // microseconds that clients waited
	Rejected atomic.Int64 // before execution: arity, AUTH, MOVED, ...
	Failed   atomic.Int64 // during execution
	buckets  [Buckets]atomic.Int64
}

// Name is the full name, such as "get" or "config|get".
func (c *Command) Name() string { return c.Spec.Name }

// powers is the scale of the buckets; a duration d is in that of d-1 microseconds, so that the
// bounds are powers of two themselves.
const powers histogram.Scale = 0

// bucketOf returns the histogram bucket of a duration: bucket b holds what is
// at most 2^b microseconds.
func bucketOf(micros int64) int {
	return min(powers.Bucket(uint64(max(micros-1, 0))), Buckets-1)
}

// Observe adds n calls, of which failed returned an error. latency is how long
// each of them took for the client, share what each adds to the total time: the
// commands of one batch wait together.
func (c *Command) Observe(n, failed int64, latency, share time.Duration) {
	c.Calls.Add(n)
	c.Micros.Add((time.Duration(n) * share).Microseconds())
	us := latency.Microseconds()
	c.Waited.Add(n * us)
	c.buckets[bucketOf(us)].Add(n)
	if failed > 0 {
		c.Failed.Add(failed)
	}
}

// Histogram returns how many calls are in each bucket.
func (c *Command) Histogram() []int64 {
	out := make([]int64, Buckets)
	for i := range c.buckets {
		out[i] = c.buckets[i].Load()
	}
	return out
}

// Percentile returns the upper bound, in microseconds, of the bucket in which
// the p-quantile of counts lies; 0 without observations.
func Percentile(counts []int64, p float64) int64 {
	i, found := histogram.Quantile(counts, p)
	if !found {
		return 0
	}
	return 1 << i
}

func (c *Command) reset() {
	for _, n := range []*atomic.Int64{&c.Calls, &c.Micros, &c.Waited, &c.Rejected, &c.Failed} {
		n.Store(0)
	}
	for i := range c.buckets {
		c.buckets[i].Store(0)
	}
}
