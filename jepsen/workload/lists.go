package workload

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"github.com/lockstepkv/lockstep/jepsen/check"
	"github.com/lockstepkv/lockstep/jepsen/client"
	"github.com/lockstepkv/lockstep/resp"
)

// set adds elements to sets, by APPEND, and reads whole sets.
type set struct {
	recorded[check.SetInput, check.SetOutput]
	keys keyring
}

func newSet(o Options) Workload {
	return &set{newRecorded[check.SetInput, check.SetOutput]("set", o), keyring{prefix: "s", active: 4, per: 600}}
}

// Step implements Workload.
func (s *set) Step(ctx context.Context, w *Worker) {
	key, c := s.keys.pick(s.rec.Len(), w.Rand), w.anywhere()
	if w.Rand.IntN(100) < 20 {
		s.read(ctx, w, c, key)
		return
	}
	in := check.SetInput{Element: w.unique()}
	s.do(w, c.Node(), check.SetAdd, key, in,
		func() client.Reply { return c.Do(ctx, "APPEND", key, check.ListValue(in.Element)) },
		func(client.Reply) (check.SetOutput, error) { return check.SetOutput{}, nil })
}

func (s *set) read(ctx context.Context, w *Worker, c client.Client, key string) {
	s.do(w, c.Node(), check.SetRead, key, check.SetInput{},
		func() client.Reply { return c.Do(ctx, "GET", key) },
		func(r client.Reply) (check.SetOutput, error) {
			value, _, err := text(r.Value)
			return check.SetOutput{Elements: check.ParseList(value)}, err
		})
}

// Final implements Workload.
func (s *set) Final(ctx context.Context, w *Worker) {
	for i, key := range s.keys.used(s.rec.Len()) {
		s.read(ctx, w, w.All[i%len(w.All)], key)
	}
}

// Check implements Workload.
func (s *set) Check() check.Verdict { return check.Set(s.rec.History()) }

// counter increments a few counters.
type counter struct {
	recorded[check.CounterInput, check.CounterOutput]
	keys keyring
}

func newCounter(o Options) Workload {
	return &counter{newRecorded[check.CounterInput, check.CounterOutput]("counter", o), keyring{prefix: "c", active: 4, per: 2000}}
}

// Step implements Workload.
func (s *counter) Step(ctx context.Context, w *Worker) {
	key, c := s.keys.pick(s.rec.Len(), w.Rand), w.anywhere()
	if w.Rand.IntN(100) < 25 {
		s.read(ctx, w, c, key)
		return
	}
	s.add(ctx, w, c, key, 1+w.Rand.Int64N(5))
}

func (s *counter) add(ctx context.Context, w *Worker, c client.Client, key string, delta int64) {
	in := check.CounterInput{Delta: delta}
	s.do(w, c.Node(), check.CounterAdd, key, in,
		func() client.Reply { return c.Do(ctx, "INCRBY", key, strconv.FormatInt(in.Delta, 10)) },
		func(r client.Reply) (check.CounterOutput, error) {
			if r.Value.Kind != resp.KindInt {
				return check.CounterOutput{}, fmt.Errorf("INCRBY answered %v", r.Value)
			}
			return check.CounterOutput{Value: r.Value.Int, HasValue: true}, nil
		})
}

func (s *counter) read(ctx context.Context, w *Worker, c client.Client, key string) {
	s.do(w, c.Node(), check.CounterRead, key, check.CounterInput{},
		func() client.Reply { return c.Do(ctx, "GET", key) },
		func(r client.Reply) (check.CounterOutput, error) {
			value, found, err := text(r.Value)
			if err != nil || !found {
				return check.CounterOutput{}, err
			}
			n, err := strconv.ParseInt(value, 10, 64)
			return check.CounterOutput{Value: n}, err
		})
}

// Final implements Workload.
func (s *counter) Final(ctx context.Context, w *Worker) {
	for i, key := range s.keys.used(s.rec.Len()) {
		s.read(ctx, w, w.All[i%len(w.All)], key)
	}
}

// Check implements Workload.
func (s *counter) Check() check.Verdict { return check.Counter(s.rec.History()) }

// once appends an id to a list under that same id, again and again at different
// nodes until one of them says that it is done.
type once struct {
	recorded[check.OnceInput, check.OnceOutput]
	keys keyring

	mu   sync.Mutex
	open map[string][]string // key -> ids never acknowledged, tried once more in the end; guarded by mu
}

func newOnce(o Options) Workload {
	return &once{recorded: newRecorded[check.OnceInput, check.OnceOutput]("once", o), keys: keyring{prefix: "o", active: 4, per: 500}, open: map[string][]string{}}
}

// onceTries is how often a client repeats a request before it gives up.
const onceTries = 6

// Step implements Workload.
func (s *once) Step(ctx context.Context, w *Worker) {
	key := s.keys.pick(s.rec.Len(), w.Rand)
	if w.Rand.IntN(100) < 10 {
		s.read(ctx, w, w.anywhere(), key)
		return
	}
	id := w.unique()
	for try := range onceTries {
		c := w.Home
		if try > 0 {
			c = w.All[w.Rand.IntN(len(w.All))]
		}
		if s.attempt(ctx, w, c, key, id) {
			if w.Rand.IntN(10) == 0 { // the answer may have been lost on the way
				s.attempt(ctx, w, w.All[w.Rand.IntN(len(w.All))], key, id)
			}
			return
		}
		if ctx.Err() != nil {
			break
		}
	}
	s.mu.Lock()
	s.open[key] = append(s.open[key], id)
	s.mu.Unlock()
}

func (s *once) attempt(ctx context.Context, w *Worker, c client.Client, key, id string) bool {
	_, ok := s.do(w, c.Node(), check.OnceAttempt, key, check.OnceInput{ID: id},
		func() client.Reply { return c.Once(ctx, key+"/"+id, "APPEND", key, check.ListValue(id)) },
		func(r client.Reply) (check.OnceOutput, error) {
			if r.Value.Kind != resp.KindInt {
				return check.OnceOutput{}, fmt.Errorf("APPEND answered %v", r.Value)
			}
			return check.OnceOutput{Reply: strconv.FormatInt(r.Value.Int, 10)}, nil
		})
	return ok
}

func (s *once) read(ctx context.Context, w *Worker, c client.Client, key string) {
	s.do(w, c.Node(), check.OnceRead, key, check.OnceInput{},
		func() client.Reply { return c.Do(ctx, "GET", key) },
		func(r client.Reply) (check.OnceOutput, error) {
			value, _, err := text(r.Value)
			return check.OnceOutput{IDs: check.ParseList(value)}, err
		})
}

// Final implements Workload. What was never acknowledged is tried once more,
// after which every id must be in its list exactly once.
func (s *once) Final(ctx context.Context, w *Worker) {
	for i, key := range s.keys.used(s.rec.Len()) {
		c := w.All[i%len(w.All)]
		s.mu.Lock()
		ids := s.open[key]
		s.mu.Unlock()
		for _, id := range ids {
			s.attempt(ctx, w, c, key, id)
		}
		s.read(ctx, w, c, key)
	}
}

// Check implements Workload.
func (s *once) Check() check.Verdict { return check.Once(s.rec.History()) }
