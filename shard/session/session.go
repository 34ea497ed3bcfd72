package session

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
	"github.com/lockstepkv/lockstep/internal/invariant"
	"github.com/lockstepkv/lockstep/resp"
)

// Disks is what a session asks about room.
type Disks interface {
	// Fits reports whether the shard's leader has room for b, as far as this node was told.
	Fits(b *fsm.Batch) bool
	// RestsNow is told of a batch that rests for the first time. first: no other one does.
	RestsNow(b *fsm.Batch, first bool)
}

// Options are what a session is made of.
type Options struct {
	Node     string
	Boot     uint64 // number of this start of the node
	MaxBytes int64  // bound on waiting and unresolved bytes

	Kick     func()              // told when something waits; never blocks
	Led      func() bool         // whether this node knows a leader; nil: it does
	Outlived func()              // told when the shard knows a later start of this node
	Disks    Disks               // nil: they have room
	Queued   prometheus.Observer // of the seconds that a batch's first proposal has waited
}

// Session owns the requests of this node's clients for one shard: it numbers them
// in batches and keeps each batch until its outcome is known. It is the client of the Raft
// dissertation's client sessions (section 6.3), for all of a node's clients.
//
// Large proposals go besides, in a lane of their own.
//
// A batch is in one of three places: not yet formed (its proposals wait in
// pending), out (handed to a leader), or in doubt (handed to a leader that did
// not answer). A batch in doubt keeps its number and is handed out again; where
// disks have no room for it, it rests first, see rest.go. A
// batch that no leader can have logged is dissolved: its proposals go back to
// the front of pending and its number is never used.
type Session struct {
	opt Options

	mu      sync.Mutex
	closed  bool
	bytes   int64 // of all proposals and batches in flight
	small   lane
	large   lane         // proposals that need an entry of their own
	waiting atomic.Int64 // units pending in small, for the packer's patience
}

// lane is a sequence of batches with numbers of its own: a large batch is long on its
// way, and what comes after it must neither wait nor be remembered for so long.
type lane struct {
	name     string // Batch.Node
	pending  []*proposal
	inFlight []*InFlight // unresolved, by ascending number
	nextSeq  uint64
	passed   int // what replies take that every replica remembers for the sake of one that rests
}

// LargeBytes is the size of a proposal from which it goes alone, and does not keep others
// from an entry.
const LargeBytes = fsm.MaxEntryBytes - 4<<10

// WithdrawGrace is how much longer than its time the answer to a large proposal is waited
// for: the leader stops writing it when the time is up, and says that it did.
const WithdrawGrace = 2 * time.Second

var errRefused = fmt.Errorf("%w: no leader took it", command.ErrUnavailable)

var errWithdrawn = fmt.Errorf("%w: its time was up before it was written", command.ErrUnavailable)

var errStopping = fmt.Errorf("%w: this node is stopping", command.ErrUnavailable)

// New begins a session; its numbers begin with 1.
func New(opt Options) *Session {
	return &Session{
		opt:   opt,
		small: lane{name: opt.Node, nextSeq: 1}, large: lane{name: fsm.LargeBatches(opt.Node), nextSeq: 1},
	}
}

// laneOf returns where a proposal of so many bytes belongs.
func (s *Session) laneOf(bytes int) *lane {
	if bytes > LargeBytes {
		return &s.large
	}
	return &s.small
}

// count adds units that wait in l, for the packer's patience.
func (s *Session) count(l *lane, units int) {
	if l == &s.small {
		s.waiting.Add(int64(units))
	}
}

// Propose queues b and waits for its replies.
func (s *Session) Propose(ctx context.Context, b command.Batch) ([]resp.Value, error) {
	p := &proposal{batch: b, lane: s.laneOf(b.Size()), queued: time.Now(), done: make(chan struct{})}
	p.until, _ = ctx.Deadline()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, errStopping
	}
	if s.bytes > s.opt.MaxBytes {
		s.mu.Unlock()
		return nil, fmt.Errorf("%w: %d bytes wait on this node", command.ErrOverloaded, s.bytes)
	}
	if p.lane.full() {
		s.mu.Unlock()
		return nil, errPassed
	}
	p.lane.pending = append(p.lane.pending, p)
	s.bytes += int64(b.Size())
	s.mu.Unlock()
	s.count(p.lane, b.N)
	s.opt.Kick()
	if s.await(ctx, p) {
		return p.answer()
	}
	if s.withdraw(p) {
		select {
		case <-p.done:
		case <-time.After(WithdrawGrace):
		}
	}
	return s.abandon(ctx, p)
}

// leaderLooks is how often it is looked, within a patience, whether there is a leader: all
// of the looks in a row have to find none.
const leaderLooks = 16

// await reports whether p is done, and not given up by its caller's deadline or patience.
func (s *Session) await(ctx context.Context, p *proposal) bool {
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
			if vain++; !s.waitsInVain(p) {
				vain = 0
			}
			if vain >= leaderLooks {
				return false
			}
		}
	}
}

// waitsInVain reports whether nobody has p and there is no leader who could take it.
func (s *Session) waitsInVain(p *proposal) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !p.taken && !p.doubted && s.opt.Led != nil && !s.opt.Led()
}

// withdraw asks the leader not to go on with a large proposal, and reports whether there
// is an answer to wait for.
func (s *Session) withdraw(p *proposal) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.lane != &s.large || !p.taken || p.doubted || s.closed {
		return false
	}
	p.in.withdrawn.Store(true)
	return true
}

// abandon gives up on p at its caller's deadline.
func (s *Session) abandon(ctx context.Context, p *proposal) ([]resp.Value, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-p.done:
		return p.answer()
	default:
	}
	p.gone = true
	if p.taken || p.doubted {
		return nil, fmt.Errorf("%w: %w", command.ErrInDoubt, context.Cause(ctx))
	}
	p.lane.pending = slices.DeleteFunc(p.lane.pending, func(q *proposal) bool { return q == p })
	s.bytes -= int64(p.batch.Size())
	s.count(p.lane, -p.batch.N)
	return nil, fmt.Errorf("%w: no leader took it in time", command.ErrUnavailable)
}

// Take returns the next batch to hand to a leader, or nil. Batches in doubt come
// first, but for those that rest. A new batch holds about maxBytes, but at least one proposal.
func (s *Session) Take(maxBytes int) *InFlight {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.takeFrom(&s.small, maxBytes)
}

// TakeLarge is Take for a batch of one large proposal.
func (s *Session) TakeLarge() *InFlight {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.takeFrom(&s.large, 0)
}

func (s *Session) takeFrom(l *lane, maxBytes int) *InFlight {
	for _, f := range l.inFlight {
		if !f.out && !f.resting {
			f.out = true
			f.withdrawn.Store(false) // it is in doubt: only its answer ends that
			f.Batch.Acked = l.acked()
			return f
		}
	}
	if len(l.pending) == 0 || l.full() {
		return nil
	}
	n, size, units := 0, 0, 0
	for n < len(l.pending) && (n == 0 || size+l.pending[n].batch.Size() <= maxBytes) {
		size += l.pending[n].batch.Size()
		units += l.pending[n].batch.N
		n++
	}
	s.opt.Queued.Observe(time.Since(l.pending[0].queued).Seconds())
	f := &InFlight{proposals: l.pending[:n:n], lane: l, out: true}
	l.pending = l.pending[n:]
	if len(l.pending) == 0 {
		l.pending = nil
	}
	f.Batch = fsm.Batch{Node: l.name, Boot: s.opt.Boot, Seq: l.nextSeq, Units: units}
	f.Batch.Parts, f.Batch.Body = joinBodies(f.proposals, size)
	l.nextSeq++
	l.inFlight = append(l.inFlight, f)
	f.Batch.Acked = l.acked()
	for _, p := range f.proposals {
		p.taken, p.in = true, f
	}
	s.count(l, -units)
	return f
}

// Lend returns the units of a large batch of this node that is not resolved; see fsm.Lender.
func (s *Session) Lend(boot, seq uint64) [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.large.inFlight {
		if f.Batch.Boot == boot && f.Batch.Seq == seq && f.whole() {
			if invariant.Enabled {
				checkAlone(f.Batch.Parts)
			}
			return f.Batch.Segments()
		}
	}
	return nil
}

// acked returns the number up to which every batch is resolved.
func (l *lane) acked() uint64 {
	if len(l.inFlight) == 0 {
		return l.nextSeq - 1
	}
	return l.inFlight[0].Batch.Seq - 1
}

// Resolve answers the proposals of f.
func (s *Session) Resolve(f *InFlight, result fsm.BatchResult) {
	if result.Err != nil || len(result.Replies) != f.Batch.Units {
		// The session says that this batch was resolved before. That cannot be
		// while the session holds it, except for a duplicate of it that already
		// came back; then there is nothing left to answer.
		if errors.Is(result.Err, fsm.ErrStaleBoot) {
			s.opt.Outlived()
		}
		s.Finish(f, fsm.BatchResult{}, fmt.Errorf("%w: %v", command.ErrInDoubt, result.Err))
		return
	}
	s.Finish(f, result, nil)
}

// Finish ends f with a result, or with an error that all of its proposals get.
func (s *Session) Finish(f *InFlight, result fsm.BatchResult, err error) {
	replies := result.Replies
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(f.lane.inFlight, f)
	if i < 0 {
		return
	}
	f.lane.inFlight = slices.Delete(f.lane.inFlight, i, i+1)
	f.lane.passLocked(replies)
	s.bytes -= int64(f.Batch.UnitBytes())
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
	if f.lane == &s.large && len(f.lane.inFlight)+len(f.lane.pending) == 0 && replyBytes(result.Replies) > costly {
		s.acknowledgeLocked()
	}
}

// costly is from what size replies should not be remembered until another large batch comes.
const costly = 4 << 10

// acknowledgeLocked has an empty batch logged that says that all large ones are answered.
func (s *Session) acknowledgeLocked() {
	if !s.closed {
		s.large.pending = append(s.large.pending, &proposal{lane: &s.large, queued: time.Now(), done: make(chan struct{})})
	}
}

// Fail takes f back from a leader that did not answer it. doubt tells that the
// leader may have logged it.
func (s *Session) Fail(f *InFlight, doubt bool) {
	s.takeBack(f, doubt, nil)
}

// Refuse is Fail for a leader that has no room for f, and has not logged it: its proposals are
// refused or, if it is in doubt since an earlier leader, it rests.
func (s *Session) Refuse(f *InFlight, why error) { s.takeBack(f, false, why) }

func (s *Session) takeBack(f *InFlight, doubt bool, refusal error) {
	s.mu.Lock()
	f.out = false
	f.doubt = f.doubt || doubt
	if f.doubt {
		for _, p := range f.proposals {
			p.doubted = true
		}
		if refusal != nil {
			s.restLocked(f)
		}
	} else {
		s.dissolveLocked(f, refusal)
	}
	s.mu.Unlock()
	s.opt.Kick()
}

// dissolveLocked gives up the number of f. Its proposals wait anew, or are refused.
func (s *Session) dissolveLocked(f *InFlight, refusal error) {
	if f.withdrawn.Load() {
		refusal = errWithdrawn
	}
	l := f.lane
	i := slices.Index(l.inFlight, f)
	if i < 0 {
		return
	}
	l.inFlight = slices.Delete(l.inFlight, i, i+1)
	l.passLocked(nil)
	back := make([]*proposal, 0, len(f.proposals)+len(l.pending))
	for _, p := range f.proposals {
		p.taken = false
		if p.gone { // its caller was told "in doubt"; nothing happened and nothing will
			s.bytes -= int64(p.batch.Size())
			p.err = errRefused
			p.late()
			continue
		}
		if refusal != nil {
			s.bytes -= int64(p.batch.Size())
			p.err = refusal
			close(p.done)
			continue
		}
		if s.closed {
			p.err = errStopping
			close(p.done)
			continue
		}
		s.count(l, p.batch.N)
		back = append(back, p)
	}
	l.pending = append(back, l.pending...)
}

// Waiting returns how many units wait in batches that are not large.
func (s *Session) Waiting() int64 { return s.waiting.Load() }

// Figures are what a session holds.
type Figures struct {
	Bytes                   int64 // of what follows
	Pending, PendingLarge   int   // proposals that are in no batch yet
	InFlight, InFlightLarge int   // batches that are not resolved
	Resting                 int   // of these, those that have rested
	Tries                   int   // for how many times one of them found no room, at most
}

// Figures returns what the session holds now.
func (s *Session) Figures() Figures {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := Figures{
		Bytes: s.bytes, Pending: len(s.small.pending), PendingLarge: len(s.large.pending),
		InFlight: len(s.small.inFlight), InFlightLarge: len(s.large.inFlight),
	}
	for _, f := range slices.Concat(s.small.inFlight, s.large.inFlight) {
		if n.Tries = max(n.Tries, f.refused); f.refused > 0 {
			n.Resting++
		}
	}
	return n
}

// Idle reports whether nothing waits to be handed to a leader.
func (s *Session) Idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.small.idle() && s.large.idle()
}

func (l *lane) idle() bool {
	return len(l.pending) == 0 && !slices.ContainsFunc(l.inFlight, func(f *InFlight) bool { return !f.out && !f.resting })
}

// Close fails everything that waits.
func (s *Session) Close() {
	s.mu.Lock()
	s.closed = true
	pending := slices.Concat(s.small.pending, s.large.pending)
	s.small.pending, s.large.pending = nil, nil
	inFlight := slices.Concat(s.small.inFlight, s.large.inFlight)
	s.mu.Unlock()
	for _, p := range pending {
		p.err = errStopping
		close(p.done)
	}
	for _, f := range inFlight {
		s.Finish(f, fsm.BatchResult{}, fmt.Errorf("%w: this node is stopping", command.ErrInDoubt))
	}
}
