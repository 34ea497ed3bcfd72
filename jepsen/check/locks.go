package check

import (
	"slices"
	"sort"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/history"
)

// Kinds of operations of the lock workload. Key is the lock's name.
const (
	LockAcquire = "acquire" // Input: TTL. Output: Fence
	LockRenew   = "renew"   // Input: Fence, TTL
	LockRelease = "release" // Input: Fence
	LockWrite   = "write"   // Input: Fence; a write to the guarded resource, OK only if accepted
	LockRead    = "read"    // Output: Fences of the accepted writes, in the resource's order
)

// LockInput is what an operation asked for.
type LockInput struct {
	Fence uint64        `json:"fence,omitempty"`
	TTL   time.Duration `json:"ttl_ns,omitempty"`
}

// LockRefused is the error of operations that were answered and refused: a lock
// that was not got, a renewal or release without the lock, a write with an old
// fence. Other errors of failed operations say nothing about the lock.
const LockRefused = "refused"

// LockOutput is what it answered. What was refused is Fail with the error
// LockRefused.
type LockOutput struct {
	Fence  uint64   `json:"fence,omitempty"`
	Fences []uint64 `json:"fences,omitempty"`
}

// LockOptions says what the system promises beyond fences.
type LockOptions struct {
	// ClockBound is how far two leaders' clocks may be apart; see ExpiryOptions.
	ClockBound time.Duration
	// GrantIsSeen tells of a lock whether granting a fence counts as its
	// resource having seen it, because lock and resource share a slot. Nil: no.
	GrantIsSeen func(name string) bool
	// Timeout bounds the search for an order; 0 is one minute.
	Timeout time.Duration
	// Visualize, when set, is called with a page for each of the first few locks
	// whose answers no order explains.
	Visualize func(name string, page []byte)
}

type lockOp = history.Op[LockInput, LockOutput]

// Locks checks mutual exclusion. What counts are fences: they strictly grow
// with every grant, and the resource takes no write with an older fence after
// one with a newer fence. The times of the holders are judged as well, as far
// as they are certain: a client holds a lock from the answer to its request
// until it asks for the release or its time may be over. Last, the answers to
// requests for the lock, renewals and releases must have an order in which one
// lock could give them (lockModel).
func Locks(ops []history.Op[LockInput, LockOutput], o LockOptions) Verdict {
	j, ok := begin("locks", ops, LockAcquire, LockRenew, LockRelease, LockWrite, LockRead)
	if !ok {
		return j.done()
	}
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	deadline := time.Now().Add(o.Timeout)
	for _, k := range byKey(j, ops) {
		run := newLockRun(k)
		j.more("grants", len(run.grants))
		j.more("guarded writes", len(run.writes))
		run.checkFences(j)
		run.checkWrites(j, o)
		run.checkReads(j)
		run.checkLosers(j)
		run.checkHolders(j, o)
		run.checkRefusals(j)
		run.checkOrder(j, o, deadline)
	}
	if j.verdict.Stats.More["grants"] == 0 || j.verdict.Stats.More["guarded writes"] == 0 {
		j.unknown("no lock was granted, or nothing was written under one")
	}
	if j.verdict.Stats.More["certain holds"] == 0 {
		j.unknown("no time in which a lock was held is certain")
	}
	return j.done()
}

// lockRun is what happened to one lock: answered operations by kind.
type lockRun struct {
	keyed[LockInput, LockOutput]
	grants   []*lockOp
	renewals []*lockOp
	releases []*lockOp // those in doubt included
	writes   []*lockOp
	tried    map[uint64]history.Outcome // writes by fence: the best outcome
	reads    []*lockOp
	byFence  map[uint64]*lockOp // grants
	inDoubt  bool               // some request for the lock is in doubt
}

func newLockRun(k keyed[LockInput, LockOutput]) *lockRun {
	run := &lockRun{keyed: k, byFence: map[uint64]*lockOp{}, tried: map[uint64]history.Outcome{}}
	for _, op := range k.ops {
		if op.Kind == LockWrite {
			run.try(op)
		}
		switch {
		case op.Kind == LockRelease && op.Outcome != history.Fail:
			run.releases = append(run.releases, op)
		case op.Kind == LockAcquire && op.Outcome == history.InDoubt:
			run.inDoubt = true
		case op.Outcome != history.OK:
		case op.Kind == LockAcquire:
			run.grants = append(run.grants, op)
		case op.Kind == LockRenew:
			run.renewals = append(run.renewals, op)
		case op.Kind == LockWrite:
			run.writes = append(run.writes, op)
		case op.Kind == LockRead:
			run.reads = append(run.reads, op)
		}
	}
	return run
}

func (run *lockRun) try(op *lockOp) {
	if best, known := run.tried[op.Input.Fence]; !known || best == history.Fail || op.Outcome == history.OK {
		run.tried[op.Input.Fence] = op.Outcome
	}
}

// checkFences judges the order of the grants.
func (run *lockRun) checkFences(j *judge) {
	var seen fences
	for _, op := range run.grants {
		if other := run.byFence[op.Output.Fence]; other != nil {
			j.report(AnomalyFenceReused, run.key, show(other, op), "the fence %d was given out twice", op.Output.Fence)
		} else {
			run.byFence[op.Output.Fence] = op
		}
		seen.add(op.Return, op.Output.Fence, op)
	}
	for _, op := range run.grants {
		if newest := seen.before(op.Call); newest != nil && newest.fence > op.Output.Fence {
			j.report(AnomalyFenceBackwards, run.key, show(newest.op, op), "the fence %d was given out after %d", op.Output.Fence, newest.fence)
		}
	}
}

// checkWrites judges what the resource accepted.
func (run *lockRun) checkWrites(j *judge, o LockOptions) {
	var seen fences
	for _, op := range run.writes {
		seen.add(op.Return, op.Input.Fence, op)
	}
	if o.GrantIsSeen != nil && o.GrantIsSeen(run.key) {
		for _, op := range run.grants {
			seen.add(op.Return, op.Output.Fence, op)
		}
	}
	for _, op := range run.writes {
		fence := op.Input.Fence
		if newest := seen.before(op.Call); newest != nil && newest.fence > fence {
			j.report(AnomalyOldFenceAccepted, run.key, show(newest.op, op), "a write with the fence %d was accepted after %d had been seen", fence, newest.fence)
		}
		if run.byFence[fence] == nil && !run.inDoubt {
			j.report(AnomalyPhantom, run.key, show(op), "a write with the fence %d was accepted, which nobody was given", fence)
		}
	}
}

// checkRefusals finds writes that were refused though nobody can have been given
// a newer fence. Every other one is a write that would have come too late had
// nobody looked at its fence.
func (run *lockRun) checkRefusals(j *judge) {
	for _, op := range run.ops {
		if op.Kind != LockWrite || op.Outcome != history.Fail || op.Error != LockRefused {
			continue
		}
		j.more("late writes refused by their fence", 1)
		newer := run.ghostBefore(op.Return)
		for _, grant := range run.grants {
			newer = newer || grant.Output.Fence > op.Input.Fence && grant.Call < op.Return
		}
		if !newer {
			j.report(AnomalyRefusedNewest, run.key, show(op), "a write with the fence %d was refused, and nobody had a newer one", op.Input.Fence)
		}
	}
}

// checkReads judges the order in which the resource took writes.
func (run *lockRun) checkReads(j *judge) {
	for _, op := range run.reads {
		for i, fence := range op.Output.Fences {
			outcome, known := run.tried[fence]
			switch {
			case i > 0 && op.Output.Fences[i-1] > fence:
				j.report(AnomalyOldFenceAccepted, run.key, show(op), "the resource took a write with the fence %d after %d", fence, op.Output.Fences[i-1])
			case !known:
				j.report(AnomalyPhantom, run.key, show(op), "the resource has a write with the fence %d, which nobody sent", fence)
			case outcome == history.Fail:
				j.report(AnomalyFailedVisible, run.key, show(op), "the resource has a write with the fence %d; all of those had failed", fence)
			}
		}
	}
}

// checkLosers finds clients that renewed or released a lock that had been
// granted to somebody else before they asked.
func (run *lockRun) checkLosers(j *judge) {
	var granted fences
	for _, op := range run.grants {
		granted.add(op.Return, op.Output.Fence, op)
	}
	for _, list := range [][]*lockOp{run.renewals, run.releases} {
		for _, op := range list {
			if newest := granted.before(op.Call); op.Outcome == history.OK && newest != nil && newest.fence > op.Input.Fence {
				j.report(AnomalyHeldAfterLoss, run.key, show(newest.op, op), "a %s with the fence %d succeeded after %d had been granted",
					op.Kind, op.Input.Fence, newest.fence)
			}
		}
	}
}

// hold is a time in which a client certainly held the lock.
type hold struct {
	from, until time.Duration
	fence       uint64
	op          *lockOp
}

// checkHolders finds certain holds of two fences that overlap.
func (run *lockRun) checkHolders(j *judge, o LockOptions) {
	released := map[uint64]time.Duration{}
	for _, op := range run.releases {
		if at, known := released[op.Input.Fence]; !known || op.Call < at {
			released[op.Input.Fence] = op.Call
		}
	}
	var holds []hold
	add := func(op *lockOp, fence uint64) {
		h := hold{from: op.Return, until: op.Call + op.Input.TTL - o.ClockBound, fence: fence, op: op}
		if at, known := released[fence]; known {
			h.until = min(h.until, at)
		}
		if h.from < h.until {
			holds = append(holds, h)
		}
	}
	for _, op := range run.grants {
		add(op, op.Output.Fence)
	}
	for _, op := range run.renewals {
		add(op, op.Input.Fence)
	}
	j.more("certain holds", len(holds))
	slices.SortStableFunc(holds, func(a, b hold) int { return compareTimes(a.from, b.from) })
	// Sweep: of the holds so far, the longest, and the longest of another fence.
	var longest, second *hold
	for i := range holds {
		h := &holds[i]
		for _, other := range []*hold{longest, second} {
			if other != nil && other.fence != h.fence && h.from < other.until {
				j.report(AnomalyTwoHolders, run.key, show(other.op, h.op), "fence %d was held until %s at least, fence %d from %s on",
					other.fence, other.until, h.fence, h.from)
				break
			}
		}
		longest, second = keepLongest(longest, second, h)
	}
}

func keepLongest(longest, second, h *hold) (first, next *hold) {
	switch {
	case longest == nil || h.until >= longest.until:
		if longest != nil && longest.fence != h.fence {
			second = longest
		}
		return h, second
	case h.fence != longest.fence && (second == nil || h.until > second.until):
		return longest, h
	}
	return longest, second
}

// fences finds the greatest fence that was certainly seen before a moment.
type fences struct {
	list   []fenceSeen
	sorted bool
}

type fenceSeen struct {
	at    time.Duration
	fence uint64
	op    *lockOp
}

func (f *fences) add(at time.Duration, fence uint64, op *lockOp) {
	f.list = append(f.list, fenceSeen{at, fence, op})
	f.sorted = false
}

func (f *fences) before(moment time.Duration) *fenceSeen {
	if !f.sorted {
		slices.SortStableFunc(f.list, func(a, b fenceSeen) int { return compareTimes(a.at, b.at) })
		for i := 1; i < len(f.list); i++ {
			if last := f.list[i-1]; last.fence >= f.list[i].fence {
				f.list[i].fence, f.list[i].op = last.fence, last.op
			}
		}
		f.sorted = true
	}
	n := sort.Search(len(f.list), func(i int) bool { return f.list[i].at >= moment })
	if n == 0 {
		return nil
	}
	return &f.list[n-1]
}
