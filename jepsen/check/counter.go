package check

import (
	"slices"
	"sort"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/history"
)

// Kinds of counter operations.
const (
	CounterAdd  = "add"  // Input: Delta > 0. Output: Value after it, HasValue
	CounterRead = "read" // Output: Value (0 for an absent key)
)

// CounterInput is what a counter operation asked for.
type CounterInput struct {
	Delta int64 `json:"delta,omitempty"`
}

// CounterOutput is what it answered.
type CounterOutput struct {
	Value    int64 `json:"value"`
	HasValue bool  `json:"has_value,omitempty"` // an add told the new value, as INCRBY does
}

type counterOp = history.Op[CounterInput, CounterOutput]

// Counter checks counters that only grow. An observation is a read, or an add
// that told the new value. Each observation is at least
//
//	the greatest v + a: v an earlier observation (0 at the start), a the sum of
//	the increments that were called after that observation returned and
//	acknowledged before this one was called,
//
// and at most the sum of all increments, acknowledged or in doubt, that were
// called before it returned. Values that adds told claim disjoint parts of the
// range. These are necessary conditions of linearizability, not sufficient ones:
// an increment in doubt widens the bounds for good.
func Counter(ops []history.Op[CounterInput, CounterOutput]) Verdict {
	j, ok := begin("counter", ops, CounterAdd, CounterRead)
	if !ok {
		return j.done()
	}
	for _, k := range byKey(j, ops) {
		if !slices.ContainsFunc(k.ops, func(op *counterOp) bool { return op.Kind == CounterAdd && op.Input.Delta <= 0 }) {
			checkCounter(j, k)
			continue
		}
		j.unknown("key %s: an increment is not positive", k.key)
	}
	if j.verdict.Stats.More["observations"] == 0 {
		j.unknown("no value was observed")
	}
	j.requireAcked()
	return j.done()
}

// counterRun is the history of one counter.
type counterRun struct {
	key          string
	observations []*counterOp // in the order of their returns
	tree         maxTree      // by place in observations, 1 more; 0 is the start
	possible     []timedSum   // increments called up to a moment
}

type timedSum struct {
	at  time.Duration
	sum int64
}

func observes(op *counterOp) bool {
	return op.Outcome == history.OK && (op.Kind == CounterRead || op.Output.HasValue)
}

func checkCounter(j *judge, k keyed[CounterInput, CounterOutput]) {
	run := &counterRun{key: k.key}
	var sum int64
	for _, op := range k.ops { // in the order of calls
		if observes(op) {
			run.observations = append(run.observations, op)
		}
		if op.Kind == CounterAdd && op.Outcome != history.Fail {
			sum += op.Input.Delta
			j.moreAcked(op.Outcome)
			run.possible = append(run.possible, timedSum{op.Call, sum})
		}
	}
	j.more("observations", len(run.observations))
	slices.SortStableFunc(run.observations, func(a, b *counterOp) int { return compareTimes(a.Return, b.Return) })
	run.checkAbove(j)
	run.checkBelow(j, k.ops)
	run.checkOverlap(j)
}

func compareTimes(a, b time.Duration) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func (run *counterRun) checkAbove(j *judge) {
	for _, op := range run.observations {
		n := sort.Search(len(run.possible), func(i int) bool { return run.possible[i].at > op.Return })
		var most int64
		if n > 0 {
			most = run.possible[n-1].sum
		}
		if op.Output.Value > most {
			j.report(AnomalyAbove, run.key, show(op), "value %d; all increments called until then, in doubt or not, make %d", op.Output.Value, most)
		}
	}
}

// checkBelow sweeps through the calls and returns in the order of time. The
// tree holds for each observation that has returned its value plus the
// increments that certainly came after it; the greatest is the lower bound.
func (run *counterRun) checkBelow(j *judge, ops []*counterOp) {
	run.tree = newMaxTree(len(run.observations) + 1)
	run.tree.set(0, 0)
	returns := slices.Clone(ops)
	returns = slices.DeleteFunc(returns, func(op *counterOp) bool { return op.Outcome != history.OK })
	slices.SortStableFunc(returns, func(a, b *counterOp) int { return compareTimes(a.Return, b.Return) })
	place, next := 1, 0
	for _, op := range ops {
		for ; next < len(returns) && returns[next].Return < op.Call; next++ {
			place = run.returned(returns[next], place)
		}
		if observes(op) {
			run.checkLeast(j, op)
		}
	}
}

// returned takes in that an operation was answered. place is where the next
// observation goes.
func (run *counterRun) returned(op *counterOp, place int) int {
	if op.Kind == CounterAdd {
		earlier := sort.Search(len(run.observations), func(i int) bool { return run.observations[i].Return >= op.Call })
		run.tree.addPrefix(earlier+1, op.Input.Delta)
	}
	if observes(op) {
		run.tree.set(place, op.Output.Value)
		place++
	}
	return place
}

func (run *counterRun) checkLeast(j *judge, op *counterOp) {
	least, from := run.tree.max()
	if op.Kind == CounterAdd {
		least += op.Input.Delta
	}
	if op.Output.Value >= least {
		return
	}
	var earlier *counterOp
	if from > 0 {
		earlier = run.observations[from-1]
	}
	j.report(AnomalyBelow, run.key, show(earlier, op),
		"value %d; the acknowledged increments and the values seen before it was called make at least %d", op.Output.Value, least)
}

// checkOverlap uses that an add of d that told v moved the counter from v-d to
// v: no other add did, and nobody sees a value in between.
func (run *counterRun) checkOverlap(j *judge) {
	byValue := slices.Clone(run.observations)
	slices.SortStableFunc(byValue, func(a, b *counterOp) int {
		switch {
		case a.Output.Value < b.Output.Value:
			return -1
		case a.Output.Value > b.Output.Value:
			return 1
		}
		return 0
	})
	var below *counterOp // the observation of the greatest value so far, adds preferred
	for i := 0; i < len(byValue); {
		value := byValue[i].Output.Value
		var add *counterOp
		group := byValue[i]
		for ; i < len(byValue) && byValue[i].Output.Value == value; i++ {
			if byValue[i].Kind != CounterAdd {
				continue
			}
			if add != nil {
				j.report(AnomalyOverlap, run.key, show(add, byValue[i]), "two increments both made the value %d", value)
			}
			add, group = byValue[i], byValue[i]
		}
		if add != nil && below != nil && below.Output.Value > value-add.Input.Delta {
			j.report(AnomalyOverlap, run.key, show(below, add), "an increment moved the counter from %d to %d; another operation saw %d",
				value-add.Input.Delta, value, below.Output.Value)
		}
		if add != nil && value < add.Input.Delta {
			j.report(AnomalyOverlap, run.key, show(add), "an increment of %d made %d", add.Input.Delta, value)
		}
		below = group
	}
}
