package shard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/internal/mutant"
	"github.com/lockstepkv/lockstep/resp"
)

// origin owns the requests of this node's clients for one shard: it numbers them
// in batches and keeps each batch until its outcome is known.
//
// A batch is in one of three places: not yet formed (its proposals wait in
// pending), out (handed to a leader), or in doubt (handed to a leader that did
// not answer). A batch in doubt keeps its number and is handed out again. A
// batch that no leader can have logged is dissolved: its proposals go back to
// the front of pending and its number is never used.
type origin struct {
	node     string
	boot     uint64
	maxBytes int64  // bound on waiting and unresolved bytes
	kick     func() // something waits; never blocks
	queued   prometheus.Observer
	outlived func() // called when the shard knows a later start of this node

	mu      sync.Mutex
	closed  bool
	pending []*proposal
	bytes   int64     // of pending and flights
	flights []*flight // unresolved, by ascending number
	nextSeq uint64
	waiting atomic.Int64 // units in pending, for the packer's patience
}

var errRefused = fmt.Errorf("%w: no leader took it", command.ErrUnavailable)

var errStopping = fmt.Errorf("%w: this node is stopping", command.ErrUnavailable)

// proposal is one call of Propose.
type proposal struct {
	batch   command.Batch
	queued  time.Time
	taken   bool // part of a flight; guarded by origin.mu
	doubted bool // part of a flight that was in doubt once; guarded by origin.mu
	gone    bool // the caller gave up; guarded by origin.mu
	done    chan struct{}
	replies []resp.Value
	index   uint64 // see command.Batch.Index
	err     error
}

// answer is what Propose returns once p is done.
func (p *proposal) answer() ([]resp.Value, error) {
	if p.batch.Index != nil && p.err == nil {
		*p.batch.Index = p.index
	}
	return p.replies, p.err
}

// flight is a numbered batch on its way.
type flight struct {
	batch     fsm.Batch
	proposals []*proposal
	out       bool // a leader has it; guarded by origin.mu
	doubt     bool // a leader may have logged it; guarded by origin.mu
}

func newOrigin(node string, boot uint64, maxBytes int64, kick, outlived func(), queued prometheus.Observer) *origin {
	return &origin{node: node, boot: boot, maxBytes: maxBytes, kick: kick, outlived: outlived, queued: queued, nextSeq: 1}
}

// propose queues b and waits for its replies.
func (o *origin) propose(ctx context.Context, b command.Batch) ([]resp.Value, error) {
	p := &proposal{batch: b, queued: time.Now(), done: make(chan struct{})}
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return nil, errStopping
	}
	if o.bytes > o.maxBytes {
		o.mu.Unlock()
		return nil, fmt.Errorf("%w: %d bytes wait on this node", command.ErrOverloaded, o.bytes)
	}
	o.pending = append(o.pending, p)
	o.bytes += int64(len(b.Body))
	o.mu.Unlock()
	o.waiting.Add(int64(b.N))
	o.kick()
	select {
	case <-p.done:
		return p.answer()
	case <-ctx.Done():
		return o.abandon(ctx, p)
	}
}

// abandon gives up on p at its caller's deadline.
func (o *origin) abandon(ctx context.Context, p *proposal) ([]resp.Value, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case <-p.done:
		return p.answer()
	default:
	}
	p.gone = true
	if p.taken || p.doubted {
		if mutant.On(mutant.DoubtAsFailure) {
			return nil, fmt.Errorf("%w: no answer in time", command.ErrUnavailable)
		}
		return nil, fmt.Errorf("%w: %w", command.ErrInDoubt, context.Cause(ctx))
	}
	o.pending = slices.DeleteFunc(o.pending, func(q *proposal) bool { return q == p })
	o.bytes -= int64(len(p.batch.Body))
	o.waiting.Add(-int64(p.batch.N))
	return nil, fmt.Errorf("%w: no leader took it in time", command.ErrUnavailable)
}

// take returns the next batch to hand to a leader, or nil. Batches in doubt come
// first. A new batch holds about maxBytes, but at least one proposal.
func (o *origin) take(maxBytes int) *flight {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, f := range o.flights {
		if !f.out {
			f.out = true
			f.batch.Acked = o.ackedLocked()
			return f
		}
	}
	if len(o.pending) == 0 {
		return nil
	}
	n, size, units := 0, 0, 0
	for n < len(o.pending) && (n == 0 || size+len(o.pending[n].batch.Body) <= maxBytes) {
		size += len(o.pending[n].batch.Body)
		units += o.pending[n].batch.N
		n++
	}
	o.queued.Observe(time.Since(o.pending[0].queued).Seconds())
	f := &flight{proposals: o.pending[:n:n], out: true}
	o.pending = o.pending[n:]
	if len(o.pending) == 0 {
		o.pending = nil
	}
	f.batch = fsm.Batch{Node: o.node, Boot: o.boot, Seq: o.nextSeq, Units: units, Body: joinBodies(f.proposals, size)}
	o.nextSeq++
	o.flights = append(o.flights, f)
	f.batch.Acked = o.ackedLocked()
	for _, p := range f.proposals {
		p.taken = true
	}
	o.waiting.Add(-int64(units))
	return f
}

func joinBodies(ps []*proposal, size int) []byte {
	if len(ps) == 1 {
		return ps[0].batch.Body
	}
	body := make([]byte, 0, size)
	for _, p := range ps {
		body = append(body, p.batch.Body...)
	}
	return body
}

// ackedLocked returns the number up to which every batch is resolved.
func (o *origin) ackedLocked() uint64 {
	if len(o.flights) == 0 {
		return o.nextSeq - 1
	}
	return o.flights[0].batch.Seq - 1
}

// resolve answers the proposals of f.
func (o *origin) resolve(f *flight, result fsm.BatchResult) {
	if result.Err != nil || len(result.Replies) != f.batch.Units {
		// The session says that this batch was resolved before. That cannot be
		// while the origin holds it, except for a duplicate of it that already
		// came back; then there is nothing left to answer.
		if errors.Is(result.Err, fsm.ErrStaleBoot) {
			o.outlived()
		}
		o.finish(f, fsm.BatchResult{}, fmt.Errorf("%w: %v", command.ErrInDoubt, result.Err))
		return
	}
	o.finish(f, result, nil)
}

func (o *origin) finish(f *flight, result fsm.BatchResult, err error) {
	replies := result.Replies
	o.mu.Lock()
	defer o.mu.Unlock()
	i := slices.Index(o.flights, f)
	if i < 0 {
		return
	}
	o.flights = slices.Delete(o.flights, i, i+1)
	o.bytes -= int64(len(f.batch.Body))
	for _, p := range f.proposals {
		if err != nil {
			p.err = err
		} else {
			p.replies, replies = replies[:p.batch.N:p.batch.N], replies[p.batch.N:]
			p.index = result.Index
		}
		close(p.done)
		p.late()
	}
}

// late tells a caller that is in doubt what came of it.
func (p *proposal) late() {
	if p.batch.Late != nil && (p.gone || errors.Is(p.err, command.ErrInDoubt)) {
		p.batch.Late(p.replies, p.err)
	}
}

// fail takes f back from a leader that did not answer it. doubt tells that the
// leader may have logged it.
func (o *origin) fail(f *flight, doubt bool) {
	o.mu.Lock()
	f.out = false
	if mutant.On(mutant.ResendRenumbered) {
		doubt = false
	}
	f.doubt = f.doubt || doubt
	if f.doubt {
		for _, p := range f.proposals {
			p.doubted = true
		}
	} else {
		o.dissolveLocked(f)
	}
	o.mu.Unlock()
	o.kick()
}

func (o *origin) dissolveLocked(f *flight) {
	i := slices.Index(o.flights, f)
	if i < 0 {
		return
	}
	o.flights = slices.Delete(o.flights, i, i+1)
	back := make([]*proposal, 0, len(f.proposals)+len(o.pending))
	for _, p := range f.proposals {
		p.taken = false
		if p.gone { // its caller was told "in doubt"; nothing happened and nothing will
			o.bytes -= int64(len(p.batch.Body))
			p.err = errRefused
			p.late()
			continue
		}
		if o.closed {
			p.err = errStopping
			close(p.done)
			continue
		}
		o.waiting.Add(int64(p.batch.N))
		back = append(back, p)
	}
	o.pending = append(back, o.pending...)
}

// idle reports whether nothing waits to be handed to a leader.
func (o *origin) idle() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.pending) > 0 {
		return false
	}
	return !slices.ContainsFunc(o.flights, func(f *flight) bool { return !f.out })
}

// close fails everything that waits.
func (o *origin) close() {
	o.mu.Lock()
	o.closed = true
	pending := o.pending
	o.pending = nil
	flights := slices.Clone(o.flights)
	o.mu.Unlock()
	for _, p := range pending {
		p.err = errStopping
		close(p.done)
	}
	for _, f := range flights {
		o.finish(f, fsm.BatchResult{}, fmt.Errorf("%w: this node is stopping", command.ErrInDoubt))
	}
}
