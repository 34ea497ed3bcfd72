package workload

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/check"
	"github.com/lockstepkv/lockstep/jepsen/client"
)

// plain are the workloads on plain keys.
type plain struct {
	recorded[check.KeyInput, check.KeyOutput]
	keys keyring
}

func (p *plain) set(ctx context.Context, w *Worker, c client.Client, key string, in check.KeyInput, padding string) bool {
	args := []string{"SET", key, in.Value + padding}
	if in.TTL > 0 {
		args = append(args, "PX", strconv.FormatInt(in.TTL.Milliseconds(), 10))
	}
	_, ok := p.do(w, c.Node(), check.KeySet, key, in,
		func() client.Reply { return c.Do(ctx, args...) },
		func(client.Reply) (check.KeyOutput, error) { return check.KeyOutput{}, nil })
	return ok
}

func (p *plain) get(ctx context.Context, w *Worker, c client.Client, key string) {
	p.do(w, c.Node(), check.KeyGet, key, check.KeyInput{},
		func() client.Reply { return c.Do(ctx, "GET", key) }, keyOutput)
}

func keyOutput(r client.Reply) (check.KeyOutput, error) {
	value, found, err := text(r.Value)
	value, _, _ = strings.Cut(value, padMark)
	return check.KeyOutput{Found: found, Value: value, Age: r.Age, Index: r.Index}, err
}

// padMark separates a value from what makes it long.
const padMark = "|"

func (p *plain) delete(ctx context.Context, w *Worker, c client.Client, key string) {
	p.do(w, c.Node(), check.KeyDelete, key, check.KeyInput{},
		func() client.Reply { return c.Do(ctx, "DEL", key) },
		func(client.Reply) (check.KeyOutput, error) { return check.KeyOutput{}, nil })
}

// Final implements Workload.
func (p *plain) Final(ctx context.Context, w *Worker) {
	for i, key := range p.keys.used(p.rec.Len()) {
		p.get(ctx, w, w.All[i%len(w.All)], key)
	}
}

// session writes at one node and reads at the next.
type session struct{ plain }

func newSession(o Options) Workload {
	return &session{plain{newRecorded[check.KeyInput, check.KeyOutput]("ryw", o), keyring{prefix: "y", active: 6, per: 300}}}
}

// Step implements Workload.
func (s *session) Step(ctx context.Context, w *Worker) {
	key := s.keys.pick(s.rec.Len(), w.Rand)
	if w.Rand.IntN(3) == 0 {
		s.set(ctx, w, w.anywhere(), key, check.KeyInput{Value: w.unique()}, "")
	}
	for range 1 + w.Rand.IntN(2) {
		s.get(ctx, w, w.All[w.Rand.IntN(len(w.All))], key)
	}
}

// Check implements Workload.
func (s *session) Check() check.Verdict { return check.Session(s.rec.History()) }

// stale reads what single nodes remember, which they must not call younger than
// it is.
type stale struct{ plain }

func newStale(o Options) Workload {
	return &stale{plain{newRecorded[check.KeyInput, check.KeyOutput]("stale", o), keyring{prefix: "t", active: 6, per: 300}}}
}

// Step implements Workload.
func (s *stale) Step(ctx context.Context, w *Worker) {
	key, c := s.keys.pick(s.rec.Len(), w.Rand), w.All[w.Rand.IntN(len(w.All))]
	n := w.Rand.IntN(10)
	if n < 3 {
		s.set(ctx, w, c, key, check.KeyInput{Value: w.unique()}, "")
		return
	}
	// Ages are told over HTTP only; of the Redis clients reads are fresh.
	if c.Protocol() != "http" {
		s.get(ctx, w, c, key)
		return
	}
	in := check.KeyInput{Stale: true}
	if n < 7 {
		in.MaxStaleness = time.Duration(100+w.Rand.IntN(900)) * time.Millisecond
	}
	s.do(w, c.Node(), check.KeyGet, key, in,
		func() client.Reply { return c.Stale(ctx, key, in.MaxStaleness) }, keyOutput)
}

// staleSlack covers the age's rounding to milliseconds, staleDrift the rates of the
// harness's clocks, which are no more than 4 % off. An age is measured by one
// node's monotonic clock, so jumps do not matter.
const (
	staleSlack = 2 * time.Millisecond
	staleDrift = 0.05
)

// Check implements Workload.
func (s *stale) Check() check.Verdict {
	o := check.StaleOptions{Slack: staleSlack}
	if s.opt.ClockFaults {
		o.Drift = staleDrift
	}
	return check.Stale(s.rec.History(), o)
}

// expiry writes keys with short lifetimes and watches them go.
type expiry struct{ plain }

func newExpiry(o Options) Workload {
	return &expiry{plain{newRecorded[check.KeyInput, check.KeyOutput]("expiry", o), keyring{prefix: "e", active: 12, per: 60}}}
}

// Step implements Workload.
func (s *expiry) Step(ctx context.Context, w *Worker) {
	key, c := s.keys.pick(s.rec.Len(), w.Rand), w.anywhere()
	switch n := w.Rand.IntN(100); {
	case n < 15:
		in := check.KeyInput{Value: w.unique()}
		if w.Rand.IntN(10) > 0 {
			in.TTL = s.opt.lifetime(w.Rand, 50*time.Millisecond, 1550*time.Millisecond)
		}
		s.set(ctx, w, c, key, in, "")
	case n < 17:
		s.delete(ctx, w, c, key)
	case n < 30: // one that nobody writes any more must go some time
		s.get(ctx, w, c, s.keys.pickUsed(s.rec.Len(), w.Rand))
	default:
		s.get(ctx, w, w.All[w.Rand.IntN(len(w.All))], key)
	}
}

// Check implements Workload.
func (s *expiry) Check() check.Verdict {
	o := check.ExpiryOptions{ClockBound: s.opt.ClockBound}
	o.LateBound = o.ClockBound + 50*time.Millisecond
	return check.Expiry(s.rec.History(), o)
}
