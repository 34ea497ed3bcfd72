package check

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/history"
)

func acquire(client, call, end int, fence uint64, ttl time.Duration) lockOp {
	return at(client, LockAcquire, "l", call, end, LockInput{TTL: ttl}, LockOutput{Fence: fence})
}

func under(client int, kind string, call, end int, fence uint64, ttl time.Duration) lockOp {
	return at(client, kind, "l", call, end, LockInput{Fence: fence, TTL: ttl}, LockOutput{})
}

func refused(op lockOp) lockOp {
	op = failed(op)
	op.Error = LockRefused
	return op
}

func taken(call, end int, fences ...uint64) lockOp {
	return at(8, LockRead, "l", call, end, LockInput{}, LockOutput{Fences: fences})
}

func TestLocksByHand(t *testing.T) {
	first := []lockOp{acquire(0, 0, 1, 1, 100*ms), under(0, LockWrite, 2, 3, 1, 0)}
	second := append(slices.Clone(first), under(0, LockRelease, 4, 6, 1, 0), acquire(1, 4, 8, 2, 100*ms), under(1, LockWrite, 9, 10, 2, 0))
	with := func(base []lockOp, more ...lockOp) []lockOp { return in(append(slices.Clone(base), more...)...) }
	for _, c := range []struct {
		name string
		ops  []lockOp
		want string
	}{
		{"good", with(second, taken(20, 21, 1, 1, 2)), ""},
		{"fence given twice", with(second, acquire(2, 200, 201, 2, ms)), AnomalyFenceReused},
		{"fence goes back", with(first, acquire(1, 200, 201, 5, 10*ms), acquire(1, 300, 301, 4, 10*ms)), AnomalyFenceBackwards},
		{"old fence accepted", with(second, under(0, LockWrite, 11, 12, 1, 0)), AnomalyOldFenceAccepted},
		{"old fence at the same time", with(second, under(0, LockWrite, 9, 12, 1, 0)), ""},
		{"old fence refused", with(second, failed(under(0, LockWrite, 11, 12, 1, 0))), ""},
		{"resource shows the order", with(second, taken(20, 21, 2, 1)), AnomalyOldFenceAccepted},
		{"refused write visible", with(second, failed(under(2, LockWrite, 11, 12, 3, 0)), taken(20, 21, 1, 2, 3)), AnomalyFailedVisible},
		{"fence of nobody", with(second, under(2, LockWrite, 11, 12, 9, 0)), AnomalyPhantom},
		{"fence of a request in doubt", with(second, acquire(3, 0, -1, 0, ms), under(2, LockWrite, 11, 12, 9, 0)), ""},
		{"two holders", with(first, acquire(1, 20, 30, 2, 100*ms)), AnomalyTwoHolders},
		{"time was over", with(first, acquire(1, 20, 99, 2, 100*ms)), ""},
		{"renewed", with(first, under(0, LockRenew, 50, 51, 1, 100*ms), acquire(1, 80, 120, 2, 100*ms)), AnomalyTwoHolders},
		{"release in doubt", with(first, under(0, LockRelease, 5, -1, 1, 0), acquire(1, 20, 30, 2, 100*ms)), ""},
		{"renewed after loss", with(second, under(0, LockRenew, 20, 21, 1, 100*ms)), AnomalyHeldAfterLoss},
		{"released after loss", with(second, under(0, LockRelease, 20, 21, 1, 0)), AnomalyHeldAfterLoss},
		{"newest fence refused", with(second, refused(under(1, LockWrite, 11, 12, 2, 0))), AnomalyRefusedNewest},
		{"late write refused", with(second, refused(under(0, LockWrite, 11, 12, 1, 0))), ""},
		{"refused while held", with(first, refused(acquire(1, 20, 30, 0, 100*ms))), ""},
		{"refused though free", with(second, under(1, LockRelease, 11, 12, 2, 0), refused(acquire(3, 13, 14, 0, ms))), AnomalyNotLinearizable},
		{"refused, maybe by a request in doubt", with(second, under(1, LockRelease, 11, 12, 2, 0), acquire(4, 12, -1, 0, ms), refused(acquire(3, 13, 14, 0, ms))), ""},
		{"refused, maybe by a grant that lapsed untold", with(second, under(1, LockRelease, 11, 12, 2, 0), refused(acquire(4, 11, 80, 0, 60*ms)), refused(acquire(3, 20, 30, 0, ms)), acquire(5, 78, 79, 3, 100*ms)), ""},
		{"refused, and no grant can have lapsed", with(second, under(1, LockRelease, 11, 12, 2, 0), refused(acquire(4, 11, 80, 0, 90*ms)), refused(acquire(3, 20, 30, 0, 50*ms)), acquire(5, 78, 79, 3, 100*ms)), AnomalyNotLinearizable},
		{"renewal refused while held", with(first, refused(under(0, LockRenew, 20, 30, 1, 100*ms))), AnomalyNotLinearizable},
		{"renewal refused after its time", with(first, refused(under(0, LockRenew, 80, 101, 1, 100*ms))), ""},
		{"released twice", with(first, under(0, LockRelease, 4, 6, 1, 0), under(0, LockRelease, 7, 8, 1, 0)), AnomalyNotLinearizable},
		{"second release refused", with(first, under(0, LockRelease, 4, 6, 1, 0), refused(under(0, LockRelease, 7, 8, 1, 0))), ""},
		{"renewed after a release", with(first, under(0, LockRelease, 4, 6, 1, 0), under(0, LockRenew, 7, 8, 1, 100*ms)), AnomalyNotLinearizable},
		{"released without the token", with(first, under(3, LockRelease, 4, 6, 0, 0)), AnomalyHeldAfterLoss},
		{"nothing held for certain", in(acquire(0, 0, 1, 1, 10*ms), under(0, LockWrite, 2, 3, 1, 0)), "unknown"},
		{"nothing held", in(acquire(3, 0, -1, 0, ms)), "unknown"},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, Locks(c.ops, LockOptions{ClockBound: 10 * ms}), c.want) })
	}
}

func TestLocksGrantIsSeen(t *testing.T) {
	ops := in(acquire(0, 0, 1, 1, 10*ms), acquire(1, 20, 21, 2, 10*ms), under(0, LockWrite, 30, 31, 1, 0))
	expect(t, Locks(ops, LockOptions{}), "")
	expect(t, Locks(ops, LockOptions{GrantIsSeen: func(string) bool { return true }}), AnomalyOldFenceAccepted)
}

// simLocks is a lock server: one holder until its release or the end of its
// time, and a resource that refuses old fences. A bug takes some of that away.
func simLocks(rng *rand.Rand, bug string) []lockOp {
	type held struct {
		fence uint64
		until time.Duration
	}
	var holder held
	var last, newest uint64
	mine := map[int]uint64{}
	var ops []lockOp
	clock := make([]time.Duration, 4)
	for range 400 {
		client := 0
		for c := range clock {
			if clock[c] < clock[client] {
				client = c
			}
		}
		// The clients take turns by their clocks; each takes effect when called.
		now := clock[client]
		op := lockOp{Meta: history.Meta{Client: client, Key: "l", Call: now, Outcome: history.OK}}
		op.Return = now + time.Duration(rng.IntN(900)+1)*time.Microsecond
		switch fence := mine[client]; {
		case fence == 0:
			op.Kind, op.Input.TTL = LockAcquire, time.Duration(rng.IntN(20)+1)*ms
			if free := holder.fence == 0 || holder.until <= now; free || bug == "two holders" && rng.IntN(10) == 0 {
				if last++; bug == "fence goes back" && rng.IntN(10) == 0 && last > 3 {
					last -= 2
				}
				holder = held{last, now + op.Input.TTL}
				mine[client], op.Output.Fence = last, last
			} else {
				op.Outcome, op.Error = history.Fail, LockRefused
			}
		case rng.IntN(3) == 0:
			op.Kind, op.Input.Fence = LockRelease, fence
			mine[client] = 0
			if holder.fence == fence && holder.until > now || bug == "no token check" {
				holder = held{}
			} else {
				op.Outcome, op.Error = history.Fail, LockRefused
			}
		default:
			op.Kind, op.Input.Fence = LockWrite, fence
			if fence < newest && bug != "no fencing" {
				op.Outcome, op.Error = history.Fail, LockRefused
			}
			newest = max(newest, fence)
		}
		clock[client] = op.Return + time.Duration(rng.IntN(5000)+1)*time.Microsecond
		ops = append(ops, op)
	}
	return in(ops...)
}

func TestLocksOnSimulatedHistories(t *testing.T) {
	for _, bug := range []string{"", "two holders", "fence goes back", "no token check", "no fencing"} {
		caught := 0
		for seed := range seeds {
			v := Locks(simLocks(newRand(seed), bug), LockOptions{ClockBound: 0})
			if bug == "" && !v.Valid {
				t.Fatalf("seed %d: %s", seed, v)
			}
			if !v.Valid {
				caught++
			}
		}
		t.Logf("%q: %d of %d caught", bug, caught, seeds)
		if bug != "" && caught < seeds*95/100 {
			t.Errorf("%q: %d of %d caught", bug, caught, seeds)
		}
	}
}
