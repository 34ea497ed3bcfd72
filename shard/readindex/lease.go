package readindex

import (
	"sync"
	"sync/atomic"
	"time"
)

// lease lets a leader answer reads without a round until some time of the node's
// monotonic clock.
type lease struct {
	held atomic.Pointer[heldLease]

	mu sync.Mutex
	// given is the newest term in which the lease was given up: whoever was told
	// so may serve at once, so this node takes none again in that term, whatever
	// became of the hand-over, and rounds under way extend nothing. Guarded by mu.
	given uint64
}

type heldLease struct {
	term  uint64
	until time.Duration
}

// extend notes that a quorum confirmed term in a round that began at started.
func (l *lease) extend(term uint64, started, duration time.Duration) {
	if duration <= 0 {
		return
	}
	// A tenth for clocks that run at different rates.
	until := started + duration - duration/10
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.given >= term {
		return
	}
	if h := l.held.Load(); h == nil || h.term != term || h.until < until {
		l.held.Store(&heldLease{term: term, until: until})
	}
}

// valid reports whether the leader of term may answer at now.
func (l *lease) valid(term uint64, now time.Duration) bool {
	h := l.held.Load()
	return h != nil && h.term == term && now < h.until
}

// giveUp ends the lease of term for good.
func (l *lease) giveUp(term uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.given = max(l.given, term)
	l.held.Store(nil)
}

// drop ends the lease; a later round may extend it.
func (l *lease) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held.Store(nil)
}

// leaseDuration is for how long a round lets this leader answer. Nobody's lease
// outlasts the silence of the next leader, also when the duration is lowered: the
// leader that proposes that is bound by its own setting already, and leases of
// earlier leaders were over before it began to serve.
func (r *Reader) leaseDuration() time.Duration {
	if r.opt.Lease == 0 {
		return 0
	}
	agreed, _, _ := r.opt.State.Settings()
	return min(r.opt.Lease, time.Duration(agreed)*time.Millisecond)
}

// leaseValid reports whether the leader of term may answer without a round, and
// the monotonic time at which that was so.
func (r *Reader) leaseValid(term uint64) (mono time.Duration, ok bool) {
	if r.opt.Lease == 0 {
		return 0, false
	}
	mono = r.opt.Shard.Mono()
	return mono, r.lease.valid(term, mono)
}

// GiveUpLease ends the lease of term for good: before somebody else may lead without a silence.
func (r *Reader) GiveUpLease(term uint64) { r.lease.giveUp(term) }

// DropLease ends the lease; a later round may take it again.
func (r *Reader) DropLease() { r.lease.drop() }

// Leased reports whether this node, if it leads, may answer without a round now.
func (r *Reader) Leased() bool {
	_, ok := r.leaseValid(r.opt.Shard.Serving())
	return ok
}
