package fsm

import (
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

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
	limits   store.Limits
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
		limits:   store.DefaultLimits(),
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
		default:
			if l, ok := s.Setting.limit(); ok {
				f.limits.Set(l, int64(s.Value))
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
			Table: f.opt.Table, Store: f.store, Slots: f.slots, Once: f.once, Locks: f.locks, Limits: &f.limits, Effects: f.opt.Effects,
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

// largeBytes is how much has to go at once for its memory to be given back soon.
const largeBytes = 1 << 20

func (f *FSM) noteUsed() {
	used := f.store.Used()
	if less := f.used.Swap(used) - used; less >= largeBytes {
		bulk.Dropped(int(less)) // a large value is gone, or very many
	}
	f.peak.Store(max(f.peak.Load(), used))
}

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
