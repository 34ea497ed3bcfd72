package history

import (
	"sync"
	"time"
)

// Recorder collects the operations of one workload. It is safe for concurrent
// use.
type Recorder[I, O any] struct {
	now func() time.Duration

	mu  sync.Mutex
	ops []Op[I, O] // guarded by mu; Outcome is zero while an operation runs
}

// NewRecorder returns an empty recorder. now gives the time since the start of
// the run; it must be monotonic, safe for concurrent use, and shared by all
// recorders of the run.
func NewRecorder[I, O any](now func() time.Duration) *Recorder[I, O] {
	return &Recorder[I, O]{now: now}
}

// Pending is an operation that was called and has not returned. Exactly one of
// its methods must be called, once.
type Pending[I, O any] struct {
	recorder *Recorder[I, O]
	id       int
}

// Invoke records that a client is about to do something. Call it right before
// the first byte is sent.
func (r *Recorder[I, O]) Invoke(client int, node, kind, key string, input I) Pending[I, O] {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := len(r.ops)
	// The clock is read under the lock so that IDs follow the order of calls.
	meta := Meta{ID: id, Client: client, Node: node, Kind: kind, Key: key, Call: r.now(), Return: Forever}
	r.ops = append(r.ops, Op[I, O]{Meta: meta, Input: input})
	return Pending[I, O]{recorder: r, id: id}
}

// OK records that the operation happened and what it answered.
func (p Pending[I, O]) OK(output O) {
	p.finish(OK, nil, func(op *Op[I, O]) { op.Output = output })
}

// Fail records that the operation certainly did not happen.
func (p Pending[I, O]) Fail(err error) { p.finish(Fail, err, nil) }

// InDoubt records that nobody knows whether the operation happens.
func (p Pending[I, O]) InDoubt(err error) { p.finish(InDoubt, err, nil) }

func (p Pending[I, O]) finish(outcome Outcome, err error, fill func(*Op[I, O])) {
	at := p.recorder.now() // before the lock: waiting for it is not part of the operation
	p.recorder.mu.Lock()
	defer p.recorder.mu.Unlock()
	op := &p.recorder.ops[p.id]
	if op.Outcome != 0 {
		panic("history: an operation returned twice: " + op.Erase().String())
	}
	op.Outcome = outcome
	if outcome != InDoubt {
		op.Return = at
	}
	if err != nil {
		op.Error = err.Error()
	}
	if fill != nil {
		fill(op)
	}
}

// Len is the number of operations called so far.
func (r *Recorder[I, O]) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.ops)
}

// History is a copy of what was recorded so far, in the order of calls.
// Operations that still run are in doubt in it.
func (r *Recorder[I, O]) History() []Op[I, O] {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]Op[I, O], len(r.ops))
	copy(list, r.ops)
	for i := range list {
		if list[i].Outcome == 0 {
			list[i].Outcome = InDoubt
			list[i].Error = "still running at the end"
		}
	}
	return list
}
