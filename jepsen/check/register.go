package check

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/lockstepkv/lockstep/jepsen/history"
)

// Kinds of register operations.
const (
	RegisterRead   = "read"   // Output: Found, Value
	RegisterWrite  = "write"  // Input: Value
	RegisterCAS    = "cas"    // Input: Expect or ExpectAbsent, Value. Output: Swapped
	RegisterDelete = "delete" // sets the register to absent
)

// RegisterInput is what a register operation asked for.
type RegisterInput struct {
	Value        string `json:"value,omitempty"`
	Expect       string `json:"expect,omitempty"`
	ExpectAbsent bool   `json:"expect_absent,omitempty"`
}

// RegisterOutput is what it answered. A CAS that is OK and not Swapped observed
// that the value differs; if a client only knows that nothing was written (a
// WATCH that was hit, a version that differs), the outcome is Fail.
type RegisterOutput struct {
	Value   string `json:"value,omitempty"`
	Found   bool   `json:"found,omitempty"`
	Swapped bool   `json:"swapped,omitempty"`
}

// RegisterOptions bounds the search.
type RegisterOptions struct {
	Timeout time.Duration // for all keys together; 0 is one minute
	// Visualize, when set, is called with the HTML page that shows a key's
	// longest linearizable prefixes; once for each of the first few bad keys.
	Visualize func(key string, page []byte)
}

const (
	defaultRegisterTimeout = time.Minute
	maxPages               = 3
	pageTimeout            = 3 * time.Second
)

type registerOp = history.Op[RegisterInput, RegisterOutput]

// Register checks that each key is a linearizable register with compare and
// set, by the search of porcupine (Lowe, "Testing for linearizability", 2017).
// Written values should be unique within a key; the search is much faster then,
// and simple contradictions are named. Keep the operations of a key to some
// thousands: the search keeps a bit per operation for each state that it saw.
func Register(ops []history.Op[RegisterInput, RegisterOutput], o RegisterOptions) Verdict {
	j, ok := begin("register", ops, RegisterRead, RegisterWrite, RegisterCAS, RegisterDelete)
	if !ok {
		return j.done()
	}
	if o.Timeout == 0 {
		o.Timeout = defaultRegisterTimeout
	}
	deadline := time.Now().Add(o.Timeout)
	keys := byKey(j, ops)
	results := searchAll(keys, deadline)
	bad, observed := 0, false
	for i, k := range keys {
		run := newRegisterRun(k)
		observed = observed || run.observed
		switch results[i] {
		case porcupine.Ok:
		case porcupine.Unknown:
			j.unknown("key %s: no answer within %s", k.key, o.Timeout)
		case porcupine.Illegal:
			bad++
			run.explain(j, bad <= maxPages, o.Visualize)
		}
	}
	if !observed {
		j.unknown("no value was observed")
	}
	return j.done()
}

// searchAll searches a few keys at a time: porcupine's own partitions would all
// run at once and keep all their states in memory together.
func searchAll(keys []keyed[RegisterInput, RegisterOutput], deadline time.Time) []porcupine.CheckResult {
	results := make([]porcupine.CheckResult, len(keys))
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(keys)) {
		workers.Go(func() {
			for i := range next {
				results[i] = newRegisterRun(keys[i]).search(deadline)
			}
		})
	}
	for i := range keys {
		next <- i
	}
	close(next)
	workers.Wait()
	return results
}

// registerRun is the history of one register, as porcupine takes it.
type registerRun struct {
	keyed[RegisterInput, RegisterOutput]
	observed bool
	// certain are the operations that took effect, or whose values may have
	// been seen; deletes are those in doubt.
	certain, deletes []porcupine.Operation
	// unseen are the calls of the writes in doubt whose values nobody saw.
	unseen []time.Duration
}

// registerCall is an operation as the model takes it.
type registerCall struct {
	*registerOp
	// spare is how many unseen writes in doubt may have happened before it.
	spare int
}

func newRegisterRun(k keyed[RegisterInput, RegisterOutput]) *registerRun {
	run := &registerRun{keyed: k}
	seen := run.sightings()
	for _, op := range k.ops { // in the order of calls
		if op.Outcome == history.InDoubt && (op.Kind == RegisterWrite || op.Kind == RegisterCAS) {
			if _, known := seen[op.Input.Value]; !known {
				run.unseen = append(run.unseen, op.Call)
			}
		}
	}
	for _, op := range k.ops {
		at, known := seen[op.Input.Value]
		switch {
		case op.Outcome == history.Fail, op.Outcome == history.InDoubt && op.Kind == RegisterRead:
		case op.Outcome == history.OK:
			run.certain = append(run.certain, run.operation(op, op.Return))
		case op.Kind == RegisterDelete:
			// Absence has many causes, so nobody can tell whether this was it.
			run.deletes = append(run.deletes, run.operation(op, op.Return))
		case known:
			// A value seen before its write began is wrong, but no reason to turn
			// the interval around.
			run.certain = append(run.certain, run.operation(op, max(at, op.Call)))
		}
	}
	return run
}

// sightings gives for each value that was written once when it was first
// certainly seen. An operation in doubt that was seen took effect before that.
// A value that several operations may have written proves nothing about one of
// them; such an operation keeps its open end (Forever).
func (run *registerRun) sightings() map[string]time.Duration {
	writers := map[string]int{}
	seen := map[string]time.Duration{}
	for _, op := range run.ops {
		if (op.Kind == RegisterWrite || op.Kind == RegisterCAS) && op.Outcome != history.Fail {
			writers[op.Input.Value]++
		}
		if value, ok := observedValue(op); ok {
			run.observed = true
			if at, known := seen[value]; !known || op.Return < at {
				seen[value] = op.Return
			}
		}
	}
	for value, n := range writers {
		if n > 1 {
			seen[value] = history.Forever
		}
	}
	return seen
}

// observedValue is the value that an answer proves to have been there.
func observedValue(op *registerOp) (value string, ok bool) {
	switch {
	case op.Outcome != history.OK:
		return "", false
	case op.Kind == RegisterRead:
		return op.Output.Value, op.Output.Found
	case op.Kind == RegisterCAS:
		return op.Input.Expect, op.Output.Swapped && !op.Input.ExpectAbsent
	}
	return "", false
}

func (run *registerRun) operation(op *registerOp, until time.Duration) porcupine.Operation {
	spare := sort.Search(len(run.unseen), func(i int) bool { return run.unseen[i] > op.Return })
	return porcupine.Operation{ClientId: op.Client, Input: registerCall{op, spare}, Call: int64(op.Call), Return: int64(until)}
}

// search looks for contradictions that can be named first, since they cost
// little. Deletes in doubt multiply the states; they are left out until it
// turns out that the answers need them.
func (run *registerRun) search(deadline time.Time) porcupine.CheckResult {
	if len(run.contradictions()) > 0 {
		return porcupine.Illegal
	}
	result := searchUntil(run.certain, deadline)
	if result == porcupine.Illegal && len(run.deletes) > 0 {
		result = searchUntil(run.all(), deadline)
	}
	return result
}

func (run *registerRun) all() []porcupine.Operation {
	return slices.Concat(run.certain, run.deletes)
}

func searchUntil(ops []porcupine.Operation, deadline time.Time) porcupine.CheckResult {
	left := time.Until(deadline)
	if left <= 0 {
		return porcupine.Unknown
	}
	return porcupine.CheckOperationsTimeout(registerModel(), ops, left)
}

// picture searches once more, keeps the partial orders, and draws them.
func (run *registerRun) picture() (porcupine.LinearizationInfo, []byte) {
	_, info := porcupine.CheckOperationsVerbose(registerModel(), run.all(), pageTimeout)
	var page bytes.Buffer
	if err := porcupine.Visualize(registerModel(), info, &page); err != nil {
		return info, fmt.Appendf(nil, "<p>no picture: %s</p>", err)
	}
	return info, page.Bytes()
}
