package check

import (
	"bytes"
	"fmt"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/lockstepkv/lockstep/jepsen/history"
)

// lockState is one lock as the sequential model sees it.
type lockState struct {
	holder uint64 // fence of the grant in force, 0 when free
	newest uint64 // highest fence granted so far
}

// lockExpire is the kind of the steps that the model may take by itself: the end
// of a grant's time.
const lockExpire = "expire"

// lockModel is a lock whose holder may lose it once its time can be over. Grants
// that nobody was told of are no steps of it: what they can explain is that others
// were refused, and lockRun.steps leaves such refusals out.
func lockModel() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return lockState{} },
		Step: func(state, input, _ any) (bool, any) {
			return stepLock(state.(lockState), input.(*lockOp))
		},
		DescribeOperation: func(input, _ any) string { return describeLock(input.(*lockOp)) },
		DescribeState: func(state any) string {
			if s := state.(lockState); s.holder != 0 {
				return fmt.Sprintf("held by %d", s.holder)
			}
			return "free"
		},
	}
}

func stepLock(s lockState, op *lockOp) (bool, any) {
	mine := s.holder != 0 && s.holder == op.Input.Fence
	switch {
	case op.Kind == lockExpire:
		if mine {
			s.holder = 0
		}
		return true, s
	case op.Kind == LockAcquire && op.Outcome == history.OK:
		fence := op.Output.Fence
		return s.holder == 0 && fence > s.newest, lockState{holder: fence, newest: fence}
	case op.Kind == LockAcquire: // refused: somebody held it
		return s.holder != 0, s
	case op.Outcome == history.Fail: // renewal or release, refused
		return !mine, s
	case op.Kind == LockRelease:
		return mine, lockState{newest: s.newest}
	}
	return mine, s // a renewal
}

// steps are the operations of the run as porcupine takes them: what was answered,
// and for each grant the possible end of its time. It lies no earlier than its
// length after the last renewal that succeeded was called, or after a release
// that nobody knows the outcome of.
func (run *lockRun) steps(bound time.Duration) []porcupine.Operation {
	var list []porcupine.Operation
	add := func(op *lockOp) {
		list = append(list, porcupine.Operation{ClientId: op.Client, Input: op, Call: int64(op.Call), Return: int64(op.Return)})
	}
	ends := map[uint64]time.Duration{}
	for _, op := range run.ops {
		refused := op.Outcome == history.Fail && op.Error == LockRefused
		switch {
		case op.Kind == LockWrite, op.Kind == LockRead:
		case op.Kind == LockAcquire && refused:
			if !run.ghostBefore(op.Return) && !run.lapsedUntold(op, bound) {
				add(op)
			}
		case op.Outcome == history.OK || refused:
			add(op)
		}
		if op.Outcome == history.OK && (op.Kind == LockAcquire || op.Kind == LockRenew) {
			fence := op.Output.Fence + op.Input.Fence // one of them is 0
			ends[fence] = max(ends[fence], op.Call+op.Input.TTL-bound)
		}
	}
	for _, op := range run.releases {
		if at, known := ends[op.Input.Fence]; known && op.Outcome == history.InDoubt {
			ends[op.Input.Fence] = min(at, op.Call)
		}
	}
	for _, grant := range run.grants {
		end := &lockOp{Meta: grant.Meta, Input: LockInput{Fence: grant.Output.Fence}}
		end.Kind, end.Return, end.Outcome = lockExpire, run.overAt(grant.Output.Fence), history.InDoubt
		end.Call = max(ends[grant.Output.Fence], 0)
		if end.Call < end.Return {
			add(end)
		}
	}
	return list
}

// overAt is when the grant of a fence was certainly over: it was released, or a
// newer fence was granted.
func (run *lockRun) overAt(fence uint64) time.Duration {
	over := history.Forever
	for _, op := range run.grants {
		if op.Output.Fence > fence {
			over = min(over, op.Return)
		}
	}
	for _, op := range run.releases {
		if op.Outcome == history.OK && op.Input.Fence == fence {
			over = min(over, op.Return)
		}
	}
	return over
}

// ghostBefore reports whether a request in doubt may have got the lock by then.
func (run *lockRun) ghostBefore(moment time.Duration) bool {
	for _, op := range run.ops {
		if op.Kind == LockAcquire && op.Outcome == history.InDoubt && op.Call < moment {
			return true
		}
	}
	return false
}

// lapsedUntold reports whether another request may have got the lock meanwhile, and been
// refused in the end: its node stood still while it waited, was granted the lock, and lost
// it again, for which its whole time must have passed.
func (run *lockRun) lapsedUntold(refused *lockOp, bound time.Duration) bool {
	for _, op := range run.ops {
		if op.Kind == LockAcquire && op.ID != refused.ID && op.Outcome == history.Fail && op.Error == LockRefused &&
			op.Call < refused.Return && op.Return > refused.Call && op.Return-op.Call >= op.Input.TTL-bound {
			return true
		}
	}
	return false
}

// checkOrder searches an order of the answers that a lock can give.
func (run *lockRun) checkOrder(j *judge, o LockOptions, deadline time.Time) {
	steps := run.steps(o.ClockBound)
	j.more("linearized lock operations", len(steps)-len(run.grants))
	left := time.Until(deadline)
	if left <= 0 {
		j.unknown("lock %s: no time left to search for an order", run.key)
		return
	}
	switch porcupine.CheckOperationsTimeout(lockModel(), steps, left) {
	case porcupine.Unknown:
		j.unknown("lock %s: no answer in time", run.key)
	case porcupine.Illegal:
		j.report(AnomalyNotLinearizable, run.key, nil, "no order of the %d operations explains all answers", len(steps))
		if o.Visualize != nil && j.verdict.Found[AnomalyNotLinearizable] <= maxPages {
			o.Visualize(run.key, lockPicture(steps))
		}
	}
}

func lockPicture(steps []porcupine.Operation) []byte {
	_, info := porcupine.CheckOperationsVerbose(lockModel(), steps, pageTimeout)
	var page bytes.Buffer
	if err := porcupine.Visualize(lockModel(), info, &page); err != nil {
		return fmt.Appendf(nil, "<p>no picture: %s</p>", err)
	}
	return page.Bytes()
}

func describeLock(op *lockOp) string {
	switch {
	case op.Kind == lockExpire:
		return fmt.Sprintf("time of %d may be over", op.Input.Fence)
	case op.Kind == LockAcquire && op.Outcome == history.OK:
		return fmt.Sprintf("#%d acquire: %d", op.ID, op.Output.Fence)
	case op.Kind == LockAcquire:
		return fmt.Sprintf("#%d acquire: refused", op.ID)
	}
	answer := "ok"
	if op.Outcome != history.OK {
		answer = "refused"
	}
	return fmt.Sprintf("#%d %s %d: %s", op.ID, op.Kind, op.Input.Fence, answer)
}
