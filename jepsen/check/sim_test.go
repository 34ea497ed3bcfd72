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
	// reads tells the operations that show the whole state of a key, for
	// systems that remember no more than the last write.
	reads func(op *history.Op[I, O]) bool
	// certain leaves out operations in doubt.
	certain bool
	// last, when set, gives reads that one more client does at the very end.
	last func() []history.Op[I, O]
	// Mutations of the system, of one operation each.
	dropAcked, showFailed bool
	mutated               bool // an operation to mutate was found
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
	list = append(list, s.final(list)...)
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

func (s *simulation[I, O]) final(list []moment[I, O]) []moment[I, O] {
	if s.last == nil {
		return nil
	}
	now := time.Duration(0)
	for i := range list {
		now = max(now, list[i].effect)
		if list[i].op.Outcome == history.OK {
			now = max(now, list[i].op.Return)
		}
	}
	var more []moment[I, O]
	for _, op := range s.last() {
		op.ID, op.Client, op.Outcome = len(list)+len(more), s.clients, history.OK
		op.Call, op.Return = now+s.upTo(9), now+time.Millisecond
		now = op.Return
		s.apply(&op, op.Call, true)
		more = append(more, moment[I, O]{op: op})
	}
	return more
}

func (s *simulation[I, O]) one(client, n int, at time.Duration) moment[I, O] {
	kind, key, in := s.next(client, n)
	m := moment[I, O]{}
	m.op = history.Op[I, O]{Meta: history.Meta{Client: client, Kind: kind, Key: key, Call: at, Outcome: history.OK}, Input: in}
	m.effect = at + s.upTo(500)
	m.op.Return = m.effect + s.upTo(500)
	switch chance := s.rng.IntN(12); {
	case chance == 0:
		m.op.Outcome, m.never = history.Fail, true
	case chance == 1 && !s.certain:
		m.op.Outcome, m.op.Return = history.InDoubt, history.Forever
		m.never = s.rng.IntN(2) == 0
		m.effect = at + s.upTo(4000)
	}
	return m
}

// victim is the operation that a mutation is done to: from the first half, so
// that the rest has a chance to show it, and one whose mutation is seen, where
// that depends on what else happens.
func (s *simulation[I, O]) victim(order []*moment[I, O]) *moment[I, O] {
	if !s.dropAcked && !s.showFailed {
		return nil
	}
	want := history.OK
	if s.showFailed {
		want = history.Fail
	}
	var candidates []*moment[I, O]
	for i, m := range order[:len(order)/2] {
		if m.op.Outcome == want && s.mutates(&m.op) && (s.reads == nil || s.isSeen(order, i)) {
			candidates = append(candidates, m)
		}
	}
	if len(candidates) == 0 {
		return nil
	}
	s.mutated = true
	return candidates[s.rng.IntN(len(candidates))]
}

// isSeen reports whether the next thing that happens to the key is a read, and,
// for a write to be dropped, whether the read was called after the write
// returned and the value before it is old for certain.
func (s *simulation[I, O]) isSeen(order []*moment[I, O], i int) bool {
	m := order[i]
	neighbour := func(step int) *moment[I, O] {
		for k := i + step; k >= 0 && k < len(order); k += step {
			if other := order[k]; other.op.Key == m.op.Key && !other.never && (step > 0 || !s.reads(&other.op)) {
				return other
			}
		}
		return nil
	}
	before, next := neighbour(-1), neighbour(1)
	switch {
	case next == nil || !s.reads(&next.op) || next.op.Outcome != history.OK:
		return false
	case s.showFailed:
		return true
	}
	return m.op.Return < next.op.Call && (before == nil || before.op.Return < m.op.Call)
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
