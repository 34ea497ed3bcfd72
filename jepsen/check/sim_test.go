package check

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/history"
)

// simulation makes histories of a correct system: each operation takes effect
// at one moment of its interval, in the order of these moments. Operations in
// doubt take effect at any later moment or never, failed ones never.
type simulation[I, O any] struct {
	rng     *rand.Rand
	clients int
	each    int // operations of a client
	// next chooses what a client does.
	next func(client, n int) (kind, key string, in I)
	// apply computes the answer; it changes the state only if keep.
	apply func(op *history.Op[I, O], at time.Duration, keep bool)
	// mutates tells operations that change something, for the mutations.
	mutates func(op *history.Op[I, O]) bool
	// Mutations of the system, of one operation each.
	dropAcked, showFailed bool
}

type moment[I, O any] struct {
	op     history.Op[I, O]
	effect time.Duration
	never  bool
}

func (s *simulation[I, O]) run() []history.Op[I, O] {
	var list []moment[I, O]
	for client := range s.clients {
		at := s.upTo(200)
		for n := range s.each {
			m := s.one(client, n, at)
			at = m.op.Return
			if m.op.Outcome == history.InDoubt {
				at = m.op.Call + s.upTo(3000)
			}
			at += s.upTo(400)
			list = append(list, m)
		}
	}
	slices.SortStableFunc(list, func(a, b moment[I, O]) int { return cmp.Compare(a.op.Call, b.op.Call) })
	for i := range list {
		list[i].op.ID = i
	}
	order := make([]*moment[I, O], len(list))
	for i := range list {
		order[i] = &list[i]
	}
	slices.SortStableFunc(order, func(a, b *moment[I, O]) int { return cmp.Compare(a.effect, b.effect) })
	victim := s.victim(order)
	for _, m := range order {
		switch {
		case m == victim && s.dropAcked:
			s.apply(&m.op, m.effect, false)
		case m == victim && s.showFailed, !m.never:
			s.apply(&m.op, m.effect, true)
		}
	}
	ops := make([]history.Op[I, O], len(list))
	for i := range list {
		ops[i] = list[i].op
		if ops[i].Outcome != history.OK {
			var none O
			ops[i].Output = none
		}
	}
	return ops
}

func (s *simulation[I, O]) one(client, n int, at time.Duration) moment[I, O] {
	kind, key, in := s.next(client, n)
	m := moment[I, O]{}
	m.op = history.Op[I, O]{Meta: history.Meta{Client: client, Kind: kind, Key: key, Call: at, Outcome: history.OK}, Input: in}
	m.effect = at + s.upTo(500)
	m.op.Return = m.effect + s.upTo(500)
	switch s.rng.IntN(12) {
	case 0:
		m.op.Outcome, m.never = history.Fail, true
	case 1:
		m.op.Outcome, m.op.Return = history.InDoubt, history.Forever
		m.never = s.rng.IntN(2) == 0
		m.effect = at + s.upTo(4000)
	}
	return m
}

// victim is the operation that a mutation is done to, from the first half so
// that the rest has a chance to show it.
func (s *simulation[I, O]) victim(order []*moment[I, O]) *moment[I, O] {
	var candidates []*moment[I, O]
	want := history.OK
	if s.showFailed {
		want = history.Fail
	}
	if !s.dropAcked && !s.showFailed {
		return nil
	}
	for _, m := range order[:len(order)/2] {
		if m.op.Outcome == want && s.mutates(&m.op) {
			candidates = append(candidates, m)
		}
	}
	if len(candidates) == 0 {
		return nil
	}
	return candidates[s.rng.IntN(len(candidates))]
}

func (s *simulation[I, O]) upTo(micros int) time.Duration {
	return time.Duration(s.rng.IntN(micros)+1) * time.Microsecond
}

func newRand(seed int) *rand.Rand { return rand.New(rand.NewPCG(uint64(seed), 77)) }

// at makes an operation of a hand-made history; times are in milliseconds and
// a negative end is in doubt.
func at[I, O any](client int, kind, key string, call, end int, in I, out O) history.Op[I, O] {
	m := history.Meta{Client: client, Kind: kind, Key: key, Call: time.Duration(call) * time.Millisecond,
		Return: time.Duration(end) * time.Millisecond, Outcome: history.OK}
	if end < 0 {
		m.Return, m.Outcome = history.Forever, history.InDoubt
	}
	return history.Op[I, O]{Meta: m, Input: in, Output: out}
}

// failed makes an operation fail.
func failed[I, O any](op history.Op[I, O]) history.Op[I, O] {
	var none O
	op.Outcome, op.Output = history.Fail, none
	return op
}

// in numbers the operations in the order of their calls.
func in[I, O any](ops ...history.Op[I, O]) []history.Op[I, O] {
	slices.SortStableFunc(ops, func(a, b history.Op[I, O]) int { return cmp.Compare(a.Call, b.Call) })
	for i := range ops {
		ops[i].ID = i
	}
	return ops
}
