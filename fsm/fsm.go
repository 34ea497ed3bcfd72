package fsm

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/internal/bulk"
	"github.com/lockstepkv/lockstep/internal/failpoint"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/effect"
	"github.com/lockstepkv/lockstep/store/keyslot"
)

// reapPerEntry bounds how many expired keys one entry deletes, so that a
// million keys that expire together do not stop the shard. Keys whose time is
// up are invisible at once; this is about their memory.
const reapPerEntry = 2048

// BatchResult is what became of one batch of an entry.
type BatchResult struct {
	Replies []resp.Value // one per unit
	Index   uint64       // of the entry that was applied, or of a later one if that is not known any more
	Err     error        // ErrStaleBatch
}

// Options configure a state machine.
type Options struct {
	Table  *command.Table
	Store  store.Options
	Slots  *keyslot.Set // those that the shard is made with; nil: all. A restored state may have others
	Logger *slog.Logger
	Node   string // this replica's node, for failpoints

	// Effects are told what entries change in the store: not what a state that is restored
	// holds. Nil: nobody wants to know.
	Effects *effect.Log

	// Applied and Froze observe how long an entry took to apply and how long
	// the beginning of a snapshot held up the log. Either may be nil.
	Applied func(time.Duration)
	Froze   func(time.Duration)

	// OnLocks is told what the entry at index did to locks, in the order of the
	// log; without events, that a snapshot was restored and anything may have
	// happened. It must not block. Nil: nobody asks.
	OnLocks func(index uint64, events []lock.Event)

	// OnAudit is given the data as they are when an entry asks for an audit. It must
	// not block, and releases the snapshot. Nil: audits are left out.
	OnAudit func(index uint64, data *store.Snapshot)

	// OnUnsound is told that the data of this replica are not what they were: before
	// anybody sees a restored state, and when one is written. It must not block. Nil:
	// nobody asks.
	OnUnsound func(reason string)

	// OnRefused is told of a log entry that cannot be read, before anybody sees the state
	// without it. It must not block, and not look at the state. Nil: nobody asks.
	OnRefused func(r Refusal, err error)

	// Lend tells which large batches this node has in memory. It is called under the lock,
	// while an entry is applied. Nil: none.
	Lend Lender

	// Verify is called before a frozen state is written for a replica, with the index of
	// its newest command, and keeps it from being written by an error. Nil: all are.
	Verify func(index uint64) error
}

// FSM is the state machine of one shard. Raft applies entries to it one after
// the other; any number of goroutines may read.
type FSM struct {
	opt Options

	// mu guards state and scratch. Apply and Restore hold it for writing, View for reading.
	mu sync.RWMutex
	state
	scratch

	locksDue atomic.Int64  // when the next grant or wait is over, 0 for never
	applied  atomic.Uint64 // copy of index
	reached  atomic.Uint64 // what View calls reached, for those who wait without the lock
	waiters  waiters
	reads    store.ReadLog
	evicted  atomic.Uint64
	expired  atomic.Uint64
	peak     atomic.Int64 // most bytes that the store has used
	used     atomic.Int64 // what it uses since the newest entry
	restores atomic.Uint64
}

// state is what a snapshot has, and a restore replaces: the same on every replica at the
// same index.
type state struct {
	store    *store.Store
	slots    *keyslot.Set // those that the shard owns, nil for all; never changed in place
	clock    int64        // the log's wall clock, Unix milliseconds
	mono     int64        // the log's monotonic time, milliseconds
	index    uint64       // of the newest command applied
	restored uint64       // Raft's index of the snapshot that was restored last
	term     uint64
	lease    uint64 // SettingLeaseMillis
	sessions sessions
	once     *onceTable
	locks    *lock.Table
	leading  uint64 // term of the newest whole entry
	partial  assembly
	notes    notes
	refused  refusals
}

// scratch is what applying an entry uses again for the next one.
type scratch struct {
	entry  Entry
	reader command.UnitReader
	unit   command.Unit
	cmdCtx command.Ctx
}

var _ raft.BatchingFSM = (*FSM)(nil)

// New returns an empty state machine.
func New(o Options) *FSM {
	return &FSM{opt: o, state: state{
		store:    store.New(o.Store),
		slots:    o.Slots,
		sessions: make(sessions),
		once:     newOnceTable(),
		locks:    lock.NewTable(o.OnLocks != nil),
	}}
}

// Apply implements raft.FSM.
func (f *FSM) Apply(l *raft.Log) any { return f.ApplyBatch([]*raft.Log{l})[0] }

// ApplyBatch implements raft.BatchingFSM. The response to a command entry is a
// []BatchResult in the order of the entry's batches; to an unfinished fragment
// it is nil, and to an entry that cannot be read an error.
func (f *FSM) ApplyBatch(logs []*raft.Log) []any {
	out := make([]any, len(logs))
	for i, l := range logs {
		if l.Type == raft.LogCommand {
			out[i] = f.applyLog(l)
		}
	}
	return out
}

func (f *FSM) applyLog(l *raft.Log) any {
	if failpoint.Enabled {
		_ = failpoint.Inject("fsm/apply/" + f.opt.Node)
	}
	started := time.Now()
	f.mu.Lock()
	if l.Index <= f.index {
		// A state that was rebuilt from a peer's has this entry already.
		f.mu.Unlock()
		return nil
	}
	results, err := f.applyLocked(l.Index, l.Term, l.Data)
	if err != nil {
		f.refuse(err)
	}
	f.applied.Store(l.Index)
	f.reached.Store(f.reachedLocked())
	events := f.locks.TakeEvents()
	f.noteLocksDue()
	f.noteUsed()
	f.mu.Unlock()
	if f.opt.Applied != nil {
		f.opt.Applied(time.Since(started))
	}
	f.waiters.wake(f.reached.Load())
	if len(events) > 0 {
		f.opt.OnLocks(l.Index, events)
	}
	switch {
	case err != nil:
		return err
	case results == nil:
		return nil
	}
	return results
}

// applyLocked applies an entry. With an error, an *unreadable, it has changed nothing but
// the index, the term and an unfinished entry.
func (f *FSM) applyLocked(index, term uint64, data []byte) ([]BatchResult, error) {
	f.note(index)
	f.index, f.term = index, term
	var lent [][]byte
	if len(data) > 1 && data[1] == kindFragment {
		f.notes.due = true
		whole, rest, complete, err := f.partial.add(term, data, f.opt.Lend)
		if err != nil {
			f.partial = assembly{}
			return nil, f.unreadable(err, data)
		}
		if !complete {
			return nil, nil
		}
		data, lent = whole, rest
		f.store.Adopt(longest(data, lent)) // a large value stays where it was assembled, or was before
		defer f.letGo()
	} else {
		f.partial.see(term)
	}
	e := &f.entry
	if err := f.decode(data, lent, e); err != nil {
		return nil, f.unreadable(err, append([][]byte{data}, lent...)...)
	}
	f.noteIfAsked(e)
	before := f.sums()
	f.begin(e, term)
	results := make([]BatchResult, len(e.Batches))
	for i := range e.Batches {
		results[i] = f.applyBatch(e, i)
	}
	f.notes.due = f.notes.due || e.changes() || f.sums() != before
	return results, nil
}

func longest(found []byte, others [][]byte) []byte {
	for _, p := range others {
		if len(p) > len(found) {
			found = p
		}
	}
	return found
}

// letGo forgets a large entry, which what is used again would keep in memory.
func (f *FSM) letGo() {
	f.store.Adopt(nil)
	f.scratch = scratch{}
}

// begin does what comes before the batches: clock, expiry, evictions, settings.
func (f *FSM) begin(e *Entry, term uint64) {
	f.clock, f.mono = max(f.clock, e.StampMillis), max(f.mono, e.MonoMillis)
	f.locks.SetWall(f.clock - f.mono)
	if term > f.leading {
		// Another leader serves. Nobody could renew a lock before it did.
		f.leading = term
		f.locks.LeaderStart(f.mono)
	}
	f.locks.Advance(f.mono)
	f.store.Advance(f.clock)
	f.expired.Add(uint64(f.reap()))
	f.once.age(f.mono)
	f.evict(e.Evictions)
	for _, s := range e.Settings {
		switch s.Setting {
		case SettingLeaseMillis:
			f.lease = s.Value
		case SettingOnceMillis:
			f.once.keepMillis = int64(s.Value)
		case SettingOnceBytes:
			f.once.budget = int64(s.Value)
		case Audit:
			if f.opt.OnAudit != nil {
				f.opt.OnAudit(f.index, f.store.Freeze())
			}
		}
	}
}

// evict removes what the leader chose, if it is still what it chose.
func (f *FSM) evict(victims []Eviction) {
	for _, v := range victims {
		if !f.store.Evict(v.Key, v.Version) {
			continue
		}
		f.evicted.Add(1)
		if f.opt.Effects != nil {
			f.opt.Effects.Gone(string(v.Key), effect.Eviction)
		}
	}
}

// reap deletes keys whose time is up.
func (f *FSM) reap() int {
	if f.opt.Effects == nil {
		return f.store.Reap(f.clock, reapPerEntry, nil)
	}
	return f.store.Reap(f.clock, reapPerEntry, func(e *store.Entry) { f.opt.Effects.Gone(e.Key(), effect.Expiry) })
}

func (f *FSM) applyBatch(e *Entry, position int) BatchResult {
	b := &e.Batches[position]
	last := lastBoot(f.clock)
	if b.Boot > last {
		return BatchResult{Err: ErrBootAhead}
	}
	if f.sessions.bury(b.Node, last) {
		f.locks.DropNode(b.Node, void)
	}
	if old := f.sessions[b.Node]; old != nil && b.Boot > old.boot {
		f.locks.DropNode(b.Node, b.Boot) // nobody is there to be told any more
	}
	s, recorded, fresh, err := f.sessions.admit(b)
	if err != nil {
		return BatchResult{Err: err}
	}
	if !fresh {
		return BatchResult{Replies: recorded, Index: f.index}
	}
	replies := make([]resp.Value, 0, min(b.Units, b.UnitBytes()))
	b.read(&f.reader)
	for n := uint64(0); !f.reader.Done(); n++ {
		if err := f.reader.Next(&f.unit); err != nil {
			panic(err) // decode has read them all
		}
		f.cmdCtx = command.Ctx{
			Table: f.opt.Table, Store: f.store, Slots: f.slots, Once: f.once, Locks: f.locks, Effects: f.opt.Effects,
			Now: f.clock, Wall: f.clock, Mono: f.mono, MonoAhead: f.mono, InLog: true, Owner: f.unit.Owner,
			OOMLimit: e.OOMLimit, FormerSizes: e.FormerSizes, ValueLimit: e.ValueLimit, ReplyBytes: s.held, Seed: f.index<<24 ^ uint64(position)<<20 ^ n,
		}
		reply := f.runUnit().Detach() // kept for the session
		s.held += command.ReplyCost(reply)
		replies = append(replies, reply)
	}
	s.replies[b.Seq] = replies
	return BatchResult{Replies: replies, Index: f.index}
}

func (f *FSM) runUnit() resp.Value {
	return f.opt.Table.RunUnit(&f.cmdCtx, &f.unit)
}

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
		Table: f.opt.Table, Store: f.store, Slots: f.slots, Records: f.once, Locks: f.locks,
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

// largeBytes is how much has to go at once for its memory to be given back soon.
const largeBytes = 1 << 20

func (f *FSM) noteUsed() {
	used := f.store.Used()
	if less := f.used.Swap(used) - used; less >= largeBytes {
		bulk.Dropped(int(less)) // a large value is gone, or very many
	}
	f.peak.Store(max(f.peak.Load(), used))
}

// Used returns the bytes that the store uses, without waiting for an entry that is
// being applied.
func (f *FSM) Used() int64 { return f.used.Load() }

// UsedPeak returns the most bytes that the store has used after an entry, since
// the process started.
func (f *FSM) UsedPeak() int64 { return f.peak.Load() }

// Restores counts how often the state was replaced since the process started.
func (f *FSM) Restores() uint64 { return f.restores.Load() }

// Snapshot implements raft.FSM. It holds up the log only for as long as it takes
// to freeze the store and to encode the sessions.
func (f *FSM) Snapshot() (raft.FSMSnapshot, error) {
	z, _ := f.freeze()
	return z, nil
}

func (f *FSM) freeze() (z *frozen, index uint64) {
	started := time.Now()
	f.mu.Lock()
	z = &frozen{store: f.store.Freeze(), state: f.encodeState(), clock: f.clock, fence: f.locks.LastFence(), index: f.index, fsm: f, of: f.restores.Load()}
	z.reached = f.reachedLocked()
	index = f.index
	f.mu.Unlock()
	if f.opt.Froze != nil {
		f.opt.Froze(time.Since(started))
	}
	return z, index
}

// Restore implements raft.FSM. The new state is built aside and then swapped in.
func (f *FSM) Restore(r io.ReadCloser) error {
	defer r.Close()
	return f.RestoreFrom(r)
}
