package check

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/history"
)

// judged is a simulation together with its checker.
type judged[I, O any] struct {
	sim    func(rng *rand.Rand) *simulation[I, O]
	check  func([]history.Op[I, O]) Verdict
	answer func(op *history.Op[I, O]) bool // is a read whose answer may be swapped
	same   func(a, b *history.Op[I, O]) bool
	// atLeast is the share of the histories with a mutation that must be found
	// invalid, in percent. Not every mutation can be seen: a lost write may have
	// been overwritten before anybody looked.
	dropped, failed, swapped int
	// certain leaves operations in doubt out of the histories in which a failed
	// write is visible, for checkers that cannot tell the two apart.
	certain bool
}

const seeds = 60

func (c judged[I, O]) test(t *testing.T) {
	for seed := range seeds {
		ops := c.sim(newRand(seed)).run()
		if v := c.check(ops); !v.Valid {
			t.Fatalf("seed %d: a correct history: %s", seed, v)
		}
	}
	c.mutants(t, "an acknowledged write dropped", c.dropped, func(rng *rand.Rand) ([]history.Op[I, O], bool) {
		s := c.sim(rng)
		s.dropAcked = true
		ops := s.run()
		return ops, s.mutated
	})
	c.mutants(t, "a failed write visible", c.failed, func(rng *rand.Rand) ([]history.Op[I, O], bool) {
		s := c.sim(rng)
		s.showFailed, s.certain = true, c.certain
		ops := s.run()
		return ops, s.mutated
	})
	c.mutants(t, "two answers swapped", c.swapped, func(rng *rand.Rand) ([]history.Op[I, O], bool) {
		return c.swap(rng, c.sim(rng).run())
	})
}

func (c judged[I, O]) mutants(t *testing.T, name string, atLeast int, make func(*rand.Rand) ([]history.Op[I, O], bool)) {
	t.Helper()
	caught, made := 0, 0
	for seed := range seeds {
		ops, mutated := make(newRand(seed))
		if !mutated {
			continue
		}
		made++
		v := c.check(ops)
		if v.Unknown {
			t.Fatalf("%s, seed %d: %s", name, seed, v)
		}
		if !v.Valid {
			caught++
		}
	}
	t.Logf("%s: %d of %d caught", name, caught, made)
	if made < seeds/2 || caught*100 < atLeast*made {
		t.Errorf("%s: %d of %d caught, want %d%%", name, caught, made, atLeast)
	}
}

// swap exchanges the answers of two reads of one key that differ and are far
// apart.
func (c judged[I, O]) swap(rng *rand.Rand, ops []history.Op[I, O]) ([]history.Op[I, O], bool) {
	for range 10_000 {
		a, b := &ops[rng.IntN(len(ops))], &ops[rng.IntN(len(ops))]
		if a.Outcome == history.OK && b.Outcome == history.OK && a.Key == b.Key && c.answer(a) && c.answer(b) &&
			!c.same(a, b) && b.Call-a.Return > 5*time.Millisecond {
			a.Output, b.Output = b.Output, a.Output
			return ops, true
		}
	}
	return ops, false
}

func TestRegisterOnSimulatedHistories(t *testing.T) {
	judged[RegisterInput, RegisterOutput]{
		sim: func(rng *rand.Rand) *simulation[RegisterInput, RegisterOutput] { return simRegister(rng, 5, 100, 3) },
		check: func(ops []registerOp) Verdict {
			return Register(ops, RegisterOptions{Timeout: 20 * time.Second})
		},
		answer:  func(op *registerOp) bool { return op.Kind == RegisterRead },
		same:    func(a, b *registerOp) bool { return a.Output == b.Output },
		dropped: 98, failed: 98, swapped: 98,
	}.test(t)
}

func TestSetOnSimulatedHistories(t *testing.T) {
	judged[SetInput, SetOutput]{
		sim:     func(rng *rand.Rand) *simulation[SetInput, SetOutput] { return simSet(rng, 5, 100, 2) },
		check:   Set,
		answer:  func(op *setOp) bool { return op.Kind == SetRead },
		same:    func(a, b *setOp) bool { return len(a.Output.Elements) == len(b.Output.Elements) },
		dropped: 100, failed: 100, swapped: 95,
	}.test(t)
}

func TestOnceOnSimulatedHistories(t *testing.T) {
	judged[OnceInput, OnceOutput]{
		sim:     func(rng *rand.Rand) *simulation[OnceInput, OnceOutput] { return simOnce(rng, 5, 100, 2) },
		check:   Once,
		answer:  func(op *onceOp) bool { return op.Kind == OnceRead },
		same:    func(a, b *onceOp) bool { return len(a.Output.IDs) == len(b.Output.IDs) },
		dropped: 98, failed: 98, swapped: 95,
	}.test(t)
}

func TestQueueOnSimulatedHistories(t *testing.T) {
	judged[QueueInput, QueueOutput]{
		sim:    func(rng *rand.Rand) *simulation[QueueInput, QueueOutput] { return simQueue(rng, 5, 100, 2) },
		check:  Queue,
		answer: func(op *queueOp) bool { return op.Kind == QueuePop },
		same:   func(a, b *queueOp) bool { return a.Output == b.Output },
		// One in 24 operations is a pop in doubt, which may have taken anything after it; some pops
		// find nothing, whether they fail or not.
		dropped: 40, failed: 90, swapped: 95, certain: true,
	}.test(t)
}

func TestCounterOnSimulatedHistories(t *testing.T) {
	judged[CounterInput, CounterOutput]{
		sim:     func(rng *rand.Rand) *simulation[CounterInput, CounterOutput] { return simCounter(rng, 5, 100, 2) },
		check:   Counter,
		answer:  func(op *counterOp) bool { return op.Kind == CounterRead },
		same:    func(a, b *counterOp) bool { return a.Output == b.Output },
		dropped: 98, failed: 98, swapped: 98, certain: true,
	}.test(t)
}

func TestListAppendOnSimulatedHistories(t *testing.T) {
	judged[Txn, Txn]{
		sim:   func(rng *rand.Rand) *simulation[Txn, Txn] { return simTxn(rng, 5, 60, 3) },
		check: ListAppend,
		answer: func(op *txnOp) bool {
			return len(op.Input) == 1 && !op.Input[0].Append
		},
		same: func(a, b *txnOp) bool {
			return a.Output[0].Key != b.Output[0].Key || len(a.Output[0].List) == len(b.Output[0].List)
		},
		dropped: 100, failed: 100, swapped: 95,
	}.test(t)
}

func keysOf(o simKeys, clients, each, keys int) func(*rand.Rand) *simulation[KeyInput, KeyOutput] {
	return func(rng *rand.Rand) *simulation[KeyInput, KeyOutput] { return o.sim(rng, clients, each, keys) }
}

func sameKeyAnswer(a, b *keyOp) bool {
	return a.Output.Value == b.Output.Value || a.Input.Stale || b.Input.Stale
}

func isGet(op *keyOp) bool { return op.Kind == KeyGet }

func TestSessionOnSimulatedHistories(t *testing.T) {
	judged[KeyInput, KeyOutput]{
		sim: keysOf(simKeys{}, 5, 100, 3), check: Session, answer: isGet, same: sameKeyAnswer,
		dropped: 98, failed: 98, swapped: 98,
	}.test(t)
}

func TestStaleOnSimulatedHistories(t *testing.T) {
	judged[KeyInput, KeyOutput]{
		sim:    keysOf(simKeys{stale: true}, 5, 100, 3),
		check:  func(ops []keyOp) Verdict { return Stale(ops, StaleOptions{}) },
		answer: isGet, same: sameKeyAnswer,
		dropped: 90, failed: 98, swapped: 98,
	}.test(t)
}

func TestExpiryOnSimulatedHistories(t *testing.T) {
	judged[KeyInput, KeyOutput]{
		sim:    keysOf(simKeys{ttl: true}, 5, 100, 3),
		check:  func(ops []keyOp) Verdict { return Expiry(ops, ExpiryOptions{LateBound: time.Microsecond}) },
		answer: isGet, same: sameKeyAnswer,
		dropped: 90, failed: 98, swapped: 98,
	}.test(t)
}

func TestEvictionOnSimulatedHistories(t *testing.T) {
	judged[KeyInput, KeyOutput]{
		sim:    keysOf(simKeys{ttl: true, evict: true, deletes: false}, 5, 100, 3),
		check:  Eviction,
		answer: isGet, same: sameKeyAnswer,
		// What has an expiry may have been evicted before anybody looked.
		dropped: 60, failed: 90, swapped: 98,
	}.test(t)
}
