package fsm

import (
	"context"

	"github.com/cespare/xxhash/v2"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/store"
)

// View runs fn on the state machine's store under the read lock, whatever its
// state. at is the log's time as its leader tells it, or zero. fn must not keep
// entries after it returns. due tells that fn met a key or a lock whose time is up
// by at but not by the newest entry.
func (f *FSM) View(at Stamp, fn func(*command.Ctx)) (index uint64, due bool) {
	index, due, _ = f.ViewAt(0, at, fn)
	return index, due
}

// ViewAt is View of a state that has reached index need, and reports whether this
// one has: a state has reached the newest command applied to it, and the index of
// the snapshot that it was restored from. It looks under the lock that fn runs
// under, since a restore can take the state back.
func (f *FSM) ViewAt(need uint64, at Stamp, fn func(*command.Ctx)) (index uint64, due, ok bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.reachedLocked() < need {
		return 0, false, false
	}
	ctx := command.Ctx{
		Table: f.opt.Table, Store: f.store, Slots: f.slots, Records: f.once, Locks: f.locks, Limits: &f.limits,
		Now: f.clock, Wall: max(at.Wall, f.clock), Mono: f.mono, MonoAhead: max(at.Mono, f.mono),
	}
	if f.reads.On() {
		ctx.ReadLog = &f.reads
	}
	fn(&ctx)
	return f.index, ctx.Due, true
}

func (f *FSM) reachedLocked() uint64 {
	return max(f.index, f.restored)
}

// ReadLog has the keys that View has shown, while it is switched on.
func (f *FSM) ReadLog() *store.ReadLog { return &f.reads }

// TouchAll counts reads that another replica has answered: hashes comes from its
// ReadLog. wall is the node's clock in Unix milliseconds.
func (f *FSM) TouchAll(hashes []uint64, wall int64) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	now := max(wall, f.clock)
	for _, h := range hashes {
		f.store.TouchHash(h, now)
	}
}

// Inspect runs fn on the store under the read lock, for statistics and for the
// leader's choice of victims.
func (f *FSM) Inspect(fn func(s *store.Store, clockMillis int64)) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	fn(f.store, f.clock)
}

// LocksDue returns when the next grant of a lock, or wait for one, is over by the
// log's monotonic time, in milliseconds; 0 means never.
func (f *FSM) LocksDue() int64 { return f.locksDue.Load() }

func (f *FSM) noteLocksDue() {
	at, _ := f.locks.NextDue()
	f.locksDue.Store(at)
}

// InspectLocks runs fn on the locks under the read lock.
func (f *FSM) InspectLocks(fn func(t *lock.Table)) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	fn(f.locks)
}

// Digest is what replicas of a shard compare: equal indexes must come with equal
// contents.
type Digest struct {
	Index uint64 `json:"index"`
	Keys  int    `json:"keys"`
	Sum   uint64 `json:"sum"`   // over keys, values, expiry times and versions
	State uint64 `json:"state"` // over clock, settings, sessions, idempotency records, locks
}

func sumOf(parts [][]byte) uint64 {
	h := xxhash.New()
	for _, p := range parts {
		_, _ = h.Write(p)
	}
	return h.Sum64()
}

// Digest returns the digest of the present state. It walks every key.
func (f *FSM) Digest() Digest {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return Digest{Index: f.index, Keys: f.store.Len(), Sum: f.store.Digest(), State: sumOf(f.encodeState())}
}

// Reconfigure runs fn on the store under the write lock: for the eviction
// policy, which is not replicated.
func (f *FSM) Reconfigure(fn func(s *store.Store)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fn(f.store)
}

// Stamp is a time of the log, in milliseconds.
type Stamp struct {
	Wall int64 // Unix time
	Mono int64 // how long there was a leader
}

// Stamp returns the stamp of the newest entry.
func (f *FSM) Stamp() Stamp {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return Stamp{Wall: f.clock, Mono: f.mono}
}

// Settings returns the replicated settings.
func (f *FSM) Settings() (leaseMillis, onceMillis, onceBytes uint64) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.lease, uint64(f.once.keepMillis), uint64(f.once.budget)
}

// Limits returns up to which sizes values are packed.
func (f *FSM) Limits() store.Limits {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.limits
}

// BootOf returns the newest start of a node that this state knows, 0 for none, and no number
// that is not plausible.
func (f *FSM) BootOf(node string) uint64 {
	f.mu.RLock()
	defer f.mu.RUnlock()
	var boot uint64
	for _, name := range []string{node, LargeBatches(node)} {
		if s := f.sessions[name]; s != nil {
			boot = max(boot, min(s.boot, lastBoot(f.clock)))
		}
	}
	return boot
}

// ReplyBytes is what the replies take that nodes have not said they have.
func (f *FSM) ReplyBytes() (n int) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	for _, s := range f.sessions {
		n += s.held
	}
	return n
}

// OnceFigures are about the ids of idempotent commands.
type OnceFigures struct {
	Replies    int   // kept
	Remembered int   // ids without a reply
	Bytes      int64 // that both take
	Budget     int64
	Refused    uint64 // for want of memory, since the process started
}

// OnceFigures returns them.
func (f *FSM) OnceFigures() OnceFigures {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return OnceFigures{
		Replies: len(f.once.records), Remembered: f.once.remembered(),
		Bytes: f.once.bytes, Budget: f.once.budget, Refused: f.once.refused,
	}
}

// Applied returns the index of the newest command entry applied. Raft's own
// AppliedIndex runs ahead of it and counts entries that never come here.
func (f *FSM) Applied() uint64 { return f.applied.Load() }

// Reached returns what the state has reached; see ViewAt. A restore can take it
// back.
func (f *FSM) Reached() uint64 { return f.reached.Load() }

// WaitReached returns when the state has reached index.
func (f *FSM) WaitReached(ctx context.Context, index uint64) error {
	if f.reached.Load() >= index {
		return nil
	}
	return f.waiters.wait(ctx, index, &f.reached)
}

// Counters returns how many keys were evicted and expired by entries, since the
// process started.
func (f *FSM) Counters() (evicted, expired uint64) { return f.evicted.Load(), f.expired.Load() }

// Used returns the bytes that the store uses, without waiting for an entry that is
// being applied.
func (f *FSM) Used() int64 { return f.used.Load() }

// UsedPeak returns the most bytes that the store has used after an entry, since
// the process started.
func (f *FSM) UsedPeak() int64 { return f.peak.Load() }

// Restores counts how often the state was replaced since the process started.
func (f *FSM) Restores() uint64 { return f.restores.Load() }
