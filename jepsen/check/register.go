package check

import (
	"bytes"
	"fmt"
	"runtime"
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
	pageTimeout            = 10 * time.Second
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
	pages, observed := 0, false
	for i, k := range keys {
		run := newRegisterRun(k)
		observed = observed || run.observed
		switch results[i] {
		case porcupine.Ok:
		case porcupine.Unknown:
			j.unknown("key %s: no answer within %s", k.key, o.Timeout)
		case porcupine.Illegal:
			run.explain(j)
			if o.Visualize != nil && pages < maxPages {
				pages++
				o.Visualize(k.key, run.page())
			}
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
	// certain are the operations that took effect; possible are those in doubt
	// that nobody saw, and that may explain the failure of a CAS.
	certain, possible []porcupine.Operation
}

func newRegisterRun(k keyed[RegisterInput, RegisterOutput]) *registerRun {
	run := &registerRun{keyed: k}
	seen := run.sightings()
	mismatch := time.Duration(-1) // the latest return of a CAS that saw another value
	for _, op := range k.ops {
		if op.Outcome == history.OK && op.Kind == RegisterCAS && !op.Output.Swapped {
			mismatch = max(mismatch, op.Return)
		}
	}
	for _, op := range k.ops {
		switch {
		case op.Outcome == history.Fail, op.Outcome == history.InDoubt && op.Kind == RegisterRead:
		case op.Outcome == history.OK:
			run.certain = append(run.certain, run.operation(op, op.Return))
		case op.Kind == RegisterDelete:
			// Absence has many causes, so nobody can tell whether this was it.
			run.possible = append(run.possible, run.operation(op, op.Return))
		default:
			if at, known := seen[op.Input.Value]; known {
				run.certain = append(run.certain, run.operation(op, at))
			} else if mismatch >= op.Call {
				run.possible = append(run.possible, run.operation(op, op.Return))
			}
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
	return porcupine.Operation{ClientId: op.Client, Input: op, Output: op.Outcome, Call: int64(op.Call), Return: int64(until)}
}

// search tries without the operations that perhaps never happened first: they
// multiply the states, and rarely matter.
func (run *registerRun) search(deadline time.Time) porcupine.CheckResult {
	result := searchUntil(run.certain, deadline)
	if result == porcupine.Illegal && len(run.possible) > 0 {
		result = searchUntil(run.all(), deadline)
	}
	return result
}

func (run *registerRun) all() []porcupine.Operation {
	return append(append([]porcupine.Operation{}, run.certain...), run.possible...)
}

func searchUntil(ops []porcupine.Operation, deadline time.Time) porcupine.CheckResult {
	left := time.Until(deadline)
	if left <= 0 {
		return porcupine.Unknown
	}
	return porcupine.CheckOperationsTimeout(registerModel(), ops, left)
}

// page draws porcupine's picture of the key.
func (run *registerRun) page() []byte {
	_, info := porcupine.CheckOperationsVerbose(registerModel(), run.all(), pageTimeout)
	var page bytes.Buffer
	if err := porcupine.Visualize(registerModel(), info, &page); err != nil {
		return fmt.Appendf(nil, "<p>no picture: %s</p>", err)
	}
	return page.Bytes()
}
