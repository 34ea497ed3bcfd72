package workload

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/check"
	"github.com/lockstepkv/lockstep/jepsen/client"
	"github.com/lockstepkv/lockstep/jepsen/history"
)

// Options are what workloads and their checkers need to know of the run.
type Options struct {
	Now     func() time.Duration // since the start of the run
	Shards  int
	Workers int
	// ClockFaults: clocks of nodes are set wrong during the run.
	ClockFaults bool
	// ClockBound is by how much the lifetime of a key may differ from what was asked,
	// RateBound that of a lock.
	ClockBound, RateBound time.Duration
	// Page keeps a page that a checker draws of a bad key.
	Page func(name string, content []byte)
}

// Workload is one manner to use the cluster.
type Workload interface {
	Name() string
	// Flags are for `lockstep serve`.
	Flags() []string
	// Step does one operation or a few. It is called again and again on each
	// worker until the run ends.
	Step(ctx context.Context, w *Worker)
	// Final reads everything, with all faults healed.
	Final(ctx context.Context, w *Worker)
	// Check judges what was recorded.
	Check() check.Verdict
	// Entries is what was recorded, for statistics and reports.
	Entries() []history.Entry
	// Save writes the history.
	Save(w io.Writer) error
}

// lifetime is a time to live between low and high. Where clocks are wrong, half of
// them are longer than what the checkers have to allow for, else nothing would be
// certain of any.
func (o Options) lifetime(rng *rand.Rand, low, high time.Duration) time.Duration {
	if o.ClockFaults && rng.IntN(2) == 0 {
		low, high = o.ClockBound+500*time.Millisecond, o.ClockBound+3*time.Second
	}
	return (low + time.Duration(rng.Int64N(int64(high-low)))).Truncate(time.Millisecond)
}

// kinds lists the constructors.
func kinds() map[string]func(Options) Workload {
	return map[string]func(Options) Workload{
		"register": newRegister,
		"set":      newSet,
		"counter":  newCounter,
		"hot":      newHot,
		"append":   newListAppend,
		"lists":    newLists,
		"queue":    newQueue,
		"ryw":      newSession,
		"stale":    newStale,
		"expiry":   newExpiry,
		"eviction": newEviction,
		"once":     newOnce,
		"locks":    newLocks,
	}
}

// Names lists the workloads.
func Names() []string {
	var names []string
	for name := range kinds() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// New returns a workload by its name.
func New(name string, o Options) (Workload, error) {
	build, ok := kinds()[name]
	if !ok {
		return nil, fmt.Errorf("no workload %q; there are %s", name, strings.Join(Names(), ", "))
	}
	return build(o), nil
}

// Worker is one sequential client.
type Worker struct {
	ID   int
	Home client.Client
	All  []client.Client // one per node, Home among them
	Rand *rand.Rand

	sent     int
	Failures int // steps in a row that had no success
}

// unique returns a value that no other operation of the run has.
func (w *Worker) unique() string {
	w.sent++
	return fmt.Sprintf("%d.%d", w.ID, w.sent)
}

// anywhere is home mostly, else some node.
func (w *Worker) anywhere() client.Client {
	if w.Rand.IntN(4) > 0 {
		return w.Home
	}
	return w.All[w.Rand.IntN(len(w.All))]
}

// recorded is what all workloads have in common.
type recorded[I, O any] struct {
	name string
	opt  Options
	rec  *history.Recorder[I, O]
}

func newRecorded[I, O any](name string, o Options) recorded[I, O] {
	return recorded[I, O]{name: name, opt: o, rec: history.NewRecorder[I, O](o.Now)}
}

// Name implements Workload.
func (r *recorded[I, O]) Name() string { return r.name }

// Flags implements Workload.
func (r *recorded[I, O]) Flags() []string { return nil }

// Save implements Workload.
func (r *recorded[I, O]) Save(w io.Writer) error {
	return history.Encode(w, r.name, r.rec.History())
}

// Entries implements Workload.
func (r *recorded[I, O]) Entries() []history.Entry {
	ops := r.rec.History()
	out := make([]history.Entry, len(ops))
	for i := range ops {
		out[i] = ops[i].Erase()
	}
	return out
}

// do records one operation: request sends it, output reads the reply of a
// success.
func (r *recorded[I, O]) do(w *Worker, node, kind, key string, in I, request func() client.Reply, output func(client.Reply) (O, error)) (client.Reply, bool) {
	p := r.rec.Invoke(w.ID, node, kind, key, in)
	reply := request()
	switch reply.Outcome {
	case history.OK:
		out, err := output(reply)
		if err != nil { // it happened, but what it said makes no sense
			p.InDoubt(fmt.Errorf("%w: %w", client.ErrUnexpected, err))
			return reply, false
		}
		p.OK(out)
		w.Failures = 0
		return reply, true
	case history.Fail:
		p.Fail(reply.Err)
	default:
		p.InDoubt(reply.Err)
	}
	if reply.Refused {
		w.Failures = 0
	} else {
		w.Failures++
	}
	return reply, false
}

// keyring hands out keys: a few are in use at a time, each for a number of
// operations.
type keyring struct {
	prefix      string
	active, per int
}

// pick returns a key for the n-th operation of the run.
func (k keyring) pick(n int, rng *rand.Rand) string {
	return k.name(n/(k.active*k.per)*k.active + rng.IntN(k.active))
}

// pickUsed returns any of the keys of the first n operations.
func (k keyring) pickUsed(n int, rng *rand.Rand) string {
	return k.name(rng.IntN((n/(k.active*k.per) + 1) * k.active))
}

func (k keyring) name(i int) string { return fmt.Sprintf("%s%d", k.prefix, i) }

// used lists all keys that pick can have returned in n operations.
func (k keyring) used(n int) []string {
	var out []string
	for i := range (n/(k.active*k.per) + 1) * k.active {
		out = append(out, k.name(i))
	}
	return out
}
