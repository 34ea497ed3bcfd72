package check

import (
	"cmp"
	"slices"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/history"
)

// Kinds of operations on queues: lists whose elements are unique.
const (
	QueuePush = "push" // Input: Element, pushed at most once to a key
	QueuePop  = "pop"  // Output: the Element, or Empty
)

// QueueInput is what an operation asked for.
type QueueInput struct {
	Element string `json:"element,omitempty"`
}

// QueueOutput is what it answered.
type QueueOutput struct {
	Element string `json:"element,omitempty"`
	Empty   bool   `json:"empty,omitempty"`
}

// AnomalyOrder: an element came out before one that was certainly in front of it.
const AnomalyOrder = "out-of-order"

// Queue checks queues that give each element to one client: none twice, none that was not
// pushed, none in front of another that was there before it, and nothing while one was there.
// What was acknowledged comes out in the end, unless a pop in doubt can have taken it. The
// last pop of each key must find it empty.
func Queue(ops []history.Op[QueueInput, QueueOutput]) Verdict {
	j, ok := begin("queue", ops, QueuePush, QueuePop)
	if !ok {
		return j.done()
	}
	for _, k := range byKey(j, ops) {
		q := queue{key: k.key, elements: map[string]*queued{}}
		for _, op := range k.ops {
			q.note(j, op)
		}
		for _, op := range k.ops {
			if op.Kind == QueuePop && op.Outcome == history.OK && !op.Output.Empty {
				q.took(j, op)
			}
		}
		q.check(j)
	}
	j.requireAcked()
	return j.done()
}

type queueOp = history.Op[QueueInput, QueueOutput]

// queued is an element with what was done to it.
type queued struct {
	push, pop *queueOp
}

type queue struct {
	key      string
	elements map[string]*queued
	order    []*queued // by the calls of their pushes
	empty    []*queueOp
	doubtful []*queueOp // pops
	last     *queueOp
}

func (q *queue) note(j *judge, op *queueOp) {
	q.last = op
	switch {
	case op.Kind == QueuePush:
		if q.elements[op.Input.Element] != nil {
			j.unknown("key %s: %q is pushed twice", q.key, op.Input.Element)
			return
		}
		in := &queued{push: op}
		q.elements[op.Input.Element] = in
		q.order = append(q.order, in)
		j.moreAcked(op.Outcome)
	case op.Outcome == history.InDoubt:
		q.doubtful = append(q.doubtful, op)
	case op.Outcome == history.OK && op.Output.Empty:
		q.empty = append(q.empty, op)
	}
}

func (q *queue) check(j *judge) {
	j.more("elements", len(q.elements))
	if q.last == nil || q.last.Kind != QueuePop || q.last.Outcome != history.OK || !q.last.Output.Empty {
		j.unknown("key %s: the last operation did not find it empty", q.key)
	}
	q.checkOrder(j)
	q.checkEmpty(j)
	q.checkLost(j)
}

// took notes a pop that got an element, after all pushes are known.
func (q *queue) took(j *judge, op *queueOp) {
	name := op.Output.Element
	e := q.elements[name]
	switch {
	case e == nil:
		j.report(AnomalyPhantom, q.key, show(op), "%q was popped, and nobody has pushed it", name)
	case e.push.Outcome == history.Fail:
		j.report(AnomalyFailedVisible, q.key, show(e.push, op), "the push of %q failed, and it was popped", name)
	case op.Return < e.push.Call:
		j.report(AnomalyFuture, q.key, show(op, e.push), "%q was popped before it was pushed", name)
	case e.pop != nil:
		j.report(AnomalyDuplicate, q.key, show(e.push, e.pop, op), "%q was popped twice", name)
	default:
		e.pop = op
	}
}

// checkOrder looks for two elements of which the one that was certainly pushed later was certainly
// popped earlier.
func (q *queue) checkOrder(j *judge) {
	// first[i] is the one that was popped earliest of those from place i on.
	first := make([]*queued, len(q.order)+1)
	for i, e := range slices.Backward(q.order) {
		first[i] = first[i+1]
		if e.pop != nil && (first[i] == nil || e.pop.Return < first[i].pop.Return) {
			first[i] = e
		}
	}
	for _, e := range q.order {
		if e.push.Outcome != history.OK || e.pop == nil {
			continue
		}
		if o := first[q.behind(e)]; o != nil && o.pop.Return < e.pop.Call {
			j.report(AnomalyOrder, q.key, show(e.push, o.push, o.pop, e.pop), "%q was pushed after %q, and popped before it",
				o.push.Input.Element, e.push.Input.Element)
		}
	}
}

// checkEmpty looks for pops that found nothing while an element was there: one whose push was
// acknowledged before, and whose pop was asked for after.
func (q *queue) checkEmpty(j *judge) {
	acked := slices.DeleteFunc(slices.Clone(q.order), func(e *queued) bool { return e.push.Outcome != history.OK || e.pop == nil })
	slices.SortFunc(acked, func(a, b *queued) int { return int(a.push.Return - b.push.Return) })
	// last[i] is the one that was popped latest of the first i.
	last := make([]*queued, len(acked)+1)
	for i, e := range acked {
		last[i+1] = last[i]
		if last[i] == nil || e.pop.Call > last[i].pop.Call {
			last[i+1] = e
		}
	}
	for _, op := range q.empty {
		n, _ := slices.BinarySearchFunc(acked, op.Call, func(e *queued, at time.Duration) int {
			if e.push.Return >= at {
				return 1
			}
			return -1
		})
		if e := last[n]; e != nil && e.pop.Call > op.Return {
			j.report(AnomalyStaleRead, q.key, show(e.push, op, e.pop), "nothing was found while %q was there", e.push.Input.Element)
		}
	}
}

// checkLost looks for what never came out. A pop in doubt may have taken one element, at any time
// after its call: but not one that others have overtaken before that.
func (q *queue) checkLost(j *judge) {
	lost := q.lost()
	slices.SortStableFunc(lost, func(a, b missing) int { return cmp.Compare(a.until, b.until) })
	doubtful := slices.Clone(q.doubtful) // by their calls
	for _, m := range lost {
		if len(doubtful) > 0 && doubtful[0].Call < m.until {
			doubtful = doubtful[1:]
			j.more("elements that a pop in doubt has taken", 1)
			continue
		}
		j.report(AnomalyLost, q.key, show(m.push), "%q never came out, and no pop in doubt can have taken it", m.push.Input.Element)
	}
}

// missing is an element that did not come out. It was taken before until, if at all: then one came
// out that was pushed behind it.
type missing struct {
	push  *queueOp
	until time.Duration
}

func (q *queue) lost() (list []missing) {
	// soonest[i] is when the first of those from place i on came out.
	soonest := make([]time.Duration, len(q.order)+1)
	soonest[len(q.order)] = never
	for i, e := range slices.Backward(q.order) {
		soonest[i] = soonest[i+1]
		if e.pop != nil {
			soonest[i] = min(soonest[i], e.pop.Return)
		}
	}
	for _, e := range q.order {
		if e.push.Outcome == history.OK && e.pop == nil {
			list = append(list, missing{e.push, soonest[q.behind(e)]})
		}
	}
	return list
}

// behind returns the first place of order from which on all were certainly pushed after e.
func (q *queue) behind(e *queued) int {
	at, _ := slices.BinarySearchFunc(q.order, e.push.Return, func(o *queued, at time.Duration) int {
		if o.push.Call > at {
			return 1
		}
		return -1
	})
	return at
}
