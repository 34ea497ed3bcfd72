package check

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/history"
)

// TestSpeed makes sure that a long run is judged in seconds: 200,000 operations,
// a tenth of it for the search of package porcupine.
func TestSpeed(t *testing.T) {
	const bound = 40 * time.Second // of processor time; the log tells more
	rng := func() *rand.Rand { return newRand(1) }
	keys := func(o simKeys) []keyOp { return o.sim(rng(), 20, 10_000, 400).run() }
	for _, c := range []struct {
		name  string
		check func() Verdict
	}{
		{"register", func() func() Verdict {
			ops := simRegister(rng(), 10, 2_000, 40).run()
			return func() Verdict { return Register(ops, RegisterOptions{}) }
		}()},
		{"counter", func() func() Verdict {
			ops := simCounter(rng(), 20, 10_000, 4).run()
			return func() Verdict { return Counter(ops) }
		}()},
		{"set", func() func() Verdict {
			ops := simSet(rng(), 20, 10_000, 400).run()
			return func() Verdict { return Set(ops) }
		}()},
		{"list-append", func() func() Verdict {
			ops := simTxn(rng(), 20, 10_000, 10).run()
			return func() Verdict { return ListAppend(ops) }
		}()},
		{"session", func() func() Verdict {
			ops := keys(simKeys{})
			return func() Verdict { return Session(ops) }
		}()},
		{"stale", func() func() Verdict {
			ops := keys(simKeys{stale: true})
			return func() Verdict { return Stale(ops, StaleOptions{}) }
		}()},
		{"expiry", func() func() Verdict {
			ops := keys(simKeys{ttl: true, deletes: true})
			return func() Verdict { return Expiry(ops, ExpiryOptions{}) }
		}()},
	} {
		began := processorTime(t)
		v := c.check()
		took := processorTime(t) - began
		t.Logf("%s: %d operations in %s; %v", c.name, v.Stats.Ops, v.Stats.Elapsed, v.Stats.More)
		if !v.Valid {
			t.Errorf("%.1000s", v)
		}
		if took > bound {
			t.Errorf("%s took %s", c.name, took)
		}
	}
}

// processorTime is what this process has used, which a busy machine changes little.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano())
}

// TestSpeedOfBadHistories makes sure that a thoroughly broken run is judged too.
func TestSpeedOfBadHistories(t *testing.T) {
	rng := newRand(1)
	txns := simTxn(rng, 20, 2_500, 10).run()
	isRead := func(op *txnOp) bool {
		return op.Outcome == history.OK && len(op.Input) == 1 && !op.Input[0].Append
	}
	for range 100_000 { // answers of reads a while apart change places
		a := &txns[rng.IntN(len(txns)-300)]
		b := &txns[a.ID+rng.IntN(300)]
		if isRead(a) && isRead(b) && a.Input[0].Key == b.Input[0].Key {
			a.Output, b.Output = b.Output, a.Output
		}
	}
	registers := simRegister(newRand(2), 10, 200, 1).run()
	a, b := &registers[800], &registers[1200]
	for ; a.Kind != RegisterRead || a.Outcome != history.OK; a = &registers[a.ID+1] {
	}
	for ; b.Kind != RegisterRead || b.Outcome != history.OK; b = &registers[b.ID+1] {
	}
	a.Output, b.Output = b.Output, a.Output
	for _, check := range []func() Verdict{
		func() Verdict { return ListAppend(txns) },
		func() Verdict { return Register(registers, RegisterOptions{Timeout: 5 * time.Minute}) },
	} {
		began := processorTime(t)
		v := check()
		took := processorTime(t) - began
		t.Logf("%s: %d operations in %s; %v", v.Checker, v.Stats.Ops, v.Stats.Elapsed, v.Found)
		if v.Valid || v.Unknown || took > time.Minute {
			t.Errorf("after %s of the processor: %.1000s", took, v)
		}
	}
}
