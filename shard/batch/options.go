package batch

import (
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/shard/session"
	"github.com/lockstepkv/lockstep/store"
)

// Options are what a packer is made of.
type Options struct {
	Session    *session.Session // this node's own batches
	Shard      Shard
	State      State
	Log        Log
	Followers  Followers
	Disks      Disks
	ValueLimit int64 // how long a value may grow in an entry of this leader
}

// Shard is what a packer asks of the replica that it packs for.
type Shard interface {
	// Leading returns the term in which this node may log what waits, or 0.
	Leading() (term uint64)
	// MayAcknowledge reports whether an entry that was packed in term, and is applied now,
	// may be acknowledged.
	MayAcknowledge(term uint64) bool
	// Stamp is the log's time.
	Stamp() fsm.Stamp
	// MemoryLimit returns what the data may take, 0 for no limit, and whether keys may be evicted
	// to keep to it.
	MemoryLimit() (bytes int64, evicts bool)
	// Settings returns the replicated settings that are to be changed.
	Settings() []fsm.SettingChange
	// Plausible reports whether an entry may reach the log; the node ends if not.
	Plausible(e *fsm.Entry) bool
	// Logged is told how long an entry took, and what was in it.
	Logged(took time.Duration, units, batches int)
}

// State is what a packer asks of the state machine; *fsm.FSM is one.
type State interface {
	Stamp() fsm.Stamp // of the newest entry
	Inspect(fn func(s *store.Store, clockMillis int64))
}

// Log is the shard's log.
type Log interface {
	// Append begins to have data logged and applied.
	Append(data []byte) raft.ApplyFuture
	// Await waits for what Append returned, or until the log is closed.
	Await(f raft.Future) error
	LastIndex() uint64
}

// Followers tells whether one that has answered since then lacks entries up to index;
// *transport.Group is one.
type Followers interface {
	Behind(index uint64, since time.Time) bool
}

// Disks is what a packer asks about room, on this node's disk and those of a majority.
type Disks interface {
	// Tight reports whether nothing may grow, Full whether only what frees may be logged.
	Tight() bool
	Full() bool
	// Frees reports whether all units of b do.
	Frees(b *fsm.Batch) bool
	// Ask reports whether an entry of so many bytes fits; frees: it may take from what is kept for
	// such. Then Answered is called for them, maybe piece by piece, when they have been logged or
	// will not be.
	Ask(bytes int64, frees bool) bool
	Answered(bytes int64)
}
