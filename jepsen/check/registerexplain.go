package check

import (
	"github.com/anishathalye/porcupine"

	"github.com/lockstepkv/lockstep/jepsen/history"
)

// explain reports a key that is not linearizable: by the simple contradictions
// in it, if there are any, and, if it is to be searched once more, by the first
// operation that the longest order found does not reach.
func (run *registerRun) explain(j *judge, again bool, visualize func(key string, page []byte)) {
	simple := run.contradictions()
	for _, a := range simple {
		j.report(a.Type, a.Key, a.Ops, "%s", a.Text)
	}
	var stuck *registerOp
	if again {
		info, page := run.picture()
		stuck = run.firstOutside(info)
		if visualize != nil {
			visualize(run.key, page)
		}
	}
	if stuck == nil {
		j.report(AnomalyNotLinearizable, run.key, nil, "no order of the %d operations explains all answers", len(run.ops))
		return
	}
	var near []*registerOp
	for _, op := range run.ops {
		if op != stuck && op.Outcome != history.Fail && op.Call <= stuck.Return && op.Return >= stuck.Call {
			near = append(near, op)
		}
	}
	near = append([]*registerOp{stuck}, near[:min(len(near), 7)]...)
	j.report(AnomalyNotLinearizable, run.key, show(near...),
		"no order of the operations explains all answers; the longest one that was found does not reach #%d: %s",
		stuck.ID, describeRegister(stuck))
}

// firstOutside is the operation that returned first among those that are not in
// the longest partial order.
func (run *registerRun) firstOutside(info porcupine.LinearizationInfo) *registerOp {
	var longest []porcupine.Operation
	for _, partition := range info.PartialLinearizationsOperations() {
		for _, order := range partition {
			if len(order) > len(longest) {
				longest = order
			}
		}
	}
	inside := map[*registerOp]bool{}
	for _, op := range longest {
		inside[op.Input.(registerCall).registerOp] = true
	}
	var first *registerOp
	for _, op := range run.ops {
		if op.Outcome == history.OK && !inside[op] && (first == nil || op.Return < first.Return) {
			first = op
		}
	}
	return first
}

// contradictions are reads of what cannot be there, and stale reads. They are
// found when values are unique and nothing is deleted.
func (run *registerRun) contradictions() []Anomaly {
	plain := keyed[KeyInput, KeyOutput]{key: run.key}
	add := func(op *registerOp, kind string, in KeyInput, out KeyOutput) {
		k := &keyOp{Meta: op.Meta, Input: in, Output: out}
		k.Kind = kind
		plain.ops = append(plain.ops, k)
	}
	for _, op := range run.ops {
		if op.Kind == RegisterDelete {
			return nil
		}
		writes := op.Kind == RegisterWrite || op.Kind == RegisterCAS && (op.Outcome != history.OK || op.Output.Swapped)
		if writes {
			add(op, KeySet, KeyInput{Value: op.Input.Value}, KeyOutput{})
		}
		value, saw := observedValue(op)
		if saw || op.Kind == RegisterRead && op.Outcome == history.OK {
			add(op, KeyGet, KeyInput{}, KeyOutput{Found: saw, Value: value})
		}
	}
	inner := &judge{verdict: Verdict{Found: map[string]int{}, Stats: Stats{More: map[string]int{}}}}
	h, ok := newKeyHistory(inner, plain)
	if !ok {
		return nil
	}
	for _, read := range h.reads {
		if known, ok := h.knownOf(read); ok {
			h.checkFresh(inner, read, known)
		}
	}
	return inner.verdict.Anomalies
}
