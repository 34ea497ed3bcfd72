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
// Large proposals go besides, in a lane of their own.
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
	led      func() bool // whether this node knows a leader; nil: it does
	outlived func()      // called when the shard knows a later start of this node

	mu      sync.Mutex
	closed  bool
	bytes   int64 // of all proposals and flights
	small   lane
	large   lane         // proposals that need an entry of their own
	waiting atomic.Int64 // units pending in small, for the packer's patience
}

// lane is a sequence of batches with numbers of its own: a large batch is long on its
// way, and what comes after it must neither wait nor be remembered for so long.
type lane struct {
	name    string // Batch.Node
	pending []*proposal
	flights []*flight // unresolved, by ascending number
	nextSeq uint64
}

// largeBytes is the size of a proposal from which it goes alone, and does not keep others
// from an entry.
const largeBytes = fsm.MaxEntryBytes - 4<<10

// withdrawGrace is how much longer than its time the answer to a large proposal is waited
// for: the leader stops writing it when the time is up, and says that it did.
const withdrawGrace = 2 * time.Second

var errRefused = fmt.Errorf("%w: no leader took it", command.ErrUnavailable)

var errWithdrawn = fmt.Errorf("%w: its time was up before it was written", command.ErrUnavailable)

var errStopping = fmt.Errorf("%w: this node is stopping", command.ErrUnavailable)

// proposal is one call of Propose.
type proposal struct {
	batch   command.Batch
	lane    *lane
	queued  time.Time
	until   time.Time // the caller's deadline; zero: none
	flight  *flight   // guarded by origin.mu
	taken   bool      // part of a flight; guarded by origin.mu
	doubted bool      // part of a flight that was in doubt once; guarded by origin.mu
	gone    bool      // the caller gave up; guarded by origin.mu
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
	lane      *lane
	out       bool // a leader has it; guarded by origin.mu
	doubt     bool // a leader may have logged it; guarded by origin.mu

	// withdrawn: nobody waits for it any more. A leader that has not logged all of it stops.
	withdrawn atomic.Bool
}

// whole reports whether the state machine may keep the long arguments where they are.
func (f *flight) whole() bool { return len(f.proposals) == 1 && f.proposals[0].batch.Whole }

// large is 1 for a large batch and 0 for others.
func (f *flight) large() int {
	if f.batch.UnitBytes() > largeBytes {
		return 1
	}
	return 0
}

// until is when a large batch is given up that is not logged as a whole; zero: never.
func (f *flight) until() time.Time {
	if f.large() == 0 {
		return time.Time{}
	}
	return f.proposals[0].until
}

func newOrigin(node string, boot uint64, maxBytes int64, kick, outlived func(), queued prometheus.Observer) *origin {
	return &origin{node: node, boot: boot, maxBytes: maxBytes, kick: kick, outlived: outlived, queued: queued,
		small: lane{name: node, nextSeq: 1}, large: lane{name: fsm.LargeBatches(node), nextSeq: 1}}
}

// laneOf returns where a proposal of so many bytes belongs.
func (o *origin) laneOf(bytes int) *lane {
	if bytes > largeBytes {
		return &o.large
	}
	return &o.small
}

// count adds units that wait in l, for the packer's patience.
func (o *origin) count(l *lane, units int) {
	if l == &o.small {
		o.waiting.Add(int64(units))
	}
}

// propose queues b and waits for its replies.
func (o *origin) propose(ctx context.Context, b command.Batch) ([]resp.Value, error) {
	p := &proposal{batch: b, lane: o.laneOf(b.Size()), queued: time.Now(), done: make(chan struct{})}
	p.until, _ = ctx.Deadline()
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return nil, errStopping
	}
	if o.bytes > o.maxBytes {
		o.mu.Unlock()
		return nil, fmt.Errorf("%w: %d bytes wait on this node", command.ErrOverloaded, o.bytes)
	}
	p.lane.pending = append(p.lane.pending, p)
	o.bytes += int64(b.Size())
	o.mu.Unlock()
	o.count(p.lane, b.N)
	o.kick()
	if o.await(ctx, p) {
		return p.answer()
	}
	if o.withdraw(p) {
		select {
		case <-p.done:
		case <-time.After(withdrawGrace):
		}
	}
	return o.abandon(ctx, p)
}

// leaderLooks is how often it is looked, within a patience, whether there is a leader: all
// of the looks in a row have to find none.
const leaderLooks = 16

// await reports whether p is done, and not given up by its caller's deadline or patience.
func (o *origin) await(ctx context.Context, p *proposal) bool {
	if p.batch.Patience <= 0 {
		select {
		case <-p.done:
			return true
		case <-ctx.Done():
			return false
		}
	}
	ticker := time.NewTicker(max(p.batch.Patience/leaderLooks, time.Millisecond))
	defer ticker.Stop()
	for vain := 0; ; {
		select {
		case <-p.done:
			return true
		case <-ctx.Done():
			return false
		case <-ticker.C:
			if vain++; !o.waitsInVain(p) {
				vain = 0
			}
			if vain >= leaderLooks {
				return false
			}
		}
	}
}

// waitsInVain reports whether nobody has p and there is no leader who could take it.
func (o *origin) waitsInVain(p *proposal) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !p.taken && !p.doubted && o.led != nil && !o.led()
}

// withdraw asks the leader not to go on with a large proposal, and reports whether there
// is an answer to wait for.
func (o *origin) withdraw(p *proposal) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if p.lane != &o.large || !p.taken || p.doubted || o.closed {
		return false
	}
	p.flight.withdrawn.Store(true)
	return true
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
	p.lane.pending = slices.DeleteFunc(p.lane.pending, func(q *proposal) bool { return q == p })
	o.bytes -= int64(p.batch.Size())
	o.count(p.lane, -p.batch.N)
	return nil, fmt.Errorf("%w: no leader took it in time", command.ErrUnavailable)
}

// take returns the next batch to hand to a leader, or nil. Batches in doubt come
// first. A new batch holds about maxBytes, but at least one proposal.
func (o *origin) take(maxBytes int) *flight {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.takeFrom(&o.small, maxBytes)
}

// takeLarge is take for a batch of one large proposal.
func (o *origin) takeLarge() *flight {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.takeFrom(&o.large, 0)
}

func (o *origin) takeFrom(l *lane, maxBytes int) *flight {
	for _, f := range l.flights {
		if !f.out {
			f.out = true
			f.withdrawn.Store(false) // it is in doubt: only its answer ends that
			f.batch.Acked = l.acked()
			return f
		}
	}
	if len(l.pending) == 0 {
		return nil
	}
	n, size, units := 0, 0, 0
	for n < len(l.pending) && (n == 0 || size+l.pending[n].batch.Size() <= maxBytes) {
		size += l.pending[n].batch.Size()
		units += l.pending[n].batch.N
		n++
	}
	o.queued.Observe(time.Since(l.pending[0].queued).Seconds())
	f := &flight{proposals: l.pending[:n:n], lane: l, out: true}
	l.pending = l.pending[n:]
	if len(l.pending) == 0 {
		l.pending = nil
	}
	f.batch = fsm.Batch{Node: l.name, Boot: o.boot, Seq: l.nextSeq, Units: units}
	f.batch.Parts, f.batch.Body = joinBodies(f.proposals, size)
	l.nextSeq++
	l.flights = append(l.flights, f)
	f.batch.Acked = l.acked()
	for _, p := range f.proposals {
		p.taken, p.flight = true, f
	}
	o.count(l, -units)
	return f
}

// lend returns the units of a large batch of this node that is not resolved; see fsm.Lender.
func (o *origin) lend(boot, seq uint64) [][]byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, f := range o.large.flights {
		if f.batch.Boot == boot && f.batch.Seq == seq && f.whole() {
			return f.batch.Segments()
		}
	}
	return nil
}

// joinBodies returns the units of proposals, which have no parts unless there is one only.
func joinBodies(ps []*proposal, size int) (parts [][]byte, body []byte) {
	if len(ps) == 1 {
		return ps[0].batch.Parts, ps[0].batch.Body
	}
	body = make([]byte, 0, size)
	for _, p := range ps {
		body = append(body, p.batch.Body...)
	}
	return nil, body
}

// acked returns the number up to which every batch is resolved.
func (l *lane) acked() uint64 {
	if len(l.flights) == 0 {
		return l.nextSeq - 1
	}
	return l.flights[0].batch.Seq - 1
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
	i := slices.Index(f.lane.flights, f)
	if i < 0 {
		return
	}
	f.lane.flights = slices.Delete(f.lane.flights, i, i+1)
	o.bytes -= int64(f.batch.UnitBytes())
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
	if f.lane == &o.large && len(f.lane.flights)+len(f.lane.pending) == 0 && costly(result.Replies) {
		o.acknowledgeLocked()
	}
}

// costly reports whether replies should not be remembered until another large batch comes.
func costly(replies []resp.Value) bool {
	n := 0
	for _, v := range replies {
		n += command.ReplyCost(v)
	}
	return n > 4<<10
}

// acknowledgeLocked has an empty batch logged that says that all large ones are answered.
func (o *origin) acknowledgeLocked() {
	if !o.closed {
		o.large.pending = append(o.large.pending, &proposal{lane: &o.large, queued: time.Now(), done: make(chan struct{})})
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
	o.takeBack(f, doubt, nil)
}

// refuse is fail for a leader that has no room for f, and has not logged it: unless it is in
// doubt since an earlier leader, its proposals are refused.
func (o *origin) refuse(f *flight, why error) { o.takeBack(f, false, why) }

func (o *origin) takeBack(f *flight, doubt bool, refusal error) {
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
		o.dissolveLocked(f, refusal)
	}
	o.mu.Unlock()
	o.kick()
}

// dissolveLocked gives up the number of f. Its proposals wait anew, or are refused.
func (o *origin) dissolveLocked(f *flight, refusal error) {
	if f.withdrawn.Load() {
		refusal = errWithdrawn
	}
	l := f.lane
	i := slices.Index(l.flights, f)
	if i < 0 {
		return
	}
	l.flights = slices.Delete(l.flights, i, i+1)
	back := make([]*proposal, 0, len(f.proposals)+len(l.pending))
	for _, p := range f.proposals {
		p.taken = false
		if p.gone { // its caller was told "in doubt"; nothing happened and nothing will
			o.bytes -= int64(p.batch.Size())
			p.err = errRefused
			p.late()
			continue
		}
		if refusal != nil {
			o.bytes -= int64(p.batch.Size())
			p.err = refusal
			close(p.done)
			continue
		}
		if o.closed {
			p.err = errStopping
			close(p.done)
			continue
		}
		o.count(l, p.batch.N)
		back = append(back, p)
	}
	l.pending = append(back, l.pending...)
}

// idle reports whether nothing waits to be handed to a leader.
func (o *origin) idle() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.small.idle() && o.large.idle()
}

func (l *lane) idle() bool {
	return len(l.pending) == 0 && !slices.ContainsFunc(l.flights, func(f *flight) bool { return !f.out })
}

// close fails everything that waits.
func (o *origin) close() {
	o.mu.Lock()
	o.closed = true
	pending := slices.Concat(o.small.pending, o.large.pending)
	o.small.pending, o.large.pending = nil, nil
	flights := slices.Concat(o.small.flights, o.large.flights)
	o.mu.Unlock()
	for _, p := range pending {
		p.err = errStopping
		close(p.done)
	}
	for _, f := range flights {
		o.finish(f, fsm.BatchResult{}, fmt.Errorf("%w: this node is stopping", command.ErrInDoubt))
	}
}
