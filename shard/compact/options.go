package compact

import (
	"context"
	"log/slog"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/internal/clock"
)

// Options are what a Compactor is made of.
type Options struct {
	Self      string // this node
	ID        int    // of the shard
	Raft      Raft
	State     State
	Log       Log
	Snapshots Snapshots
	Shard     Shard
	Peers     Peers
	Disk      Disk
	Turn      Turn // one snapshot at a time on a node
	Figures   Figures

	LogBytes int64 // log written since the last snapshot that makes another one due
	Reserve  int64 // bytes of the disk that are to stay free; 0: no such bound
	Clock    clock.Clock
	Logger   *slog.Logger
}

// Raft is what is asked of Raft; *raft.Raft is one.
type Raft interface {
	ReloadableConfig() raft.ReloadableConfig
	ReloadConfig(raft.ReloadableConfig) error
	Snapshot() raft.SnapshotFuture
}

// State is what is asked of the state machine; *fsm.FSM is one.
type State interface {
	Applied() uint64
	Used() int64
}

// Log is what is asked of the log.
type Log interface {
	// BytesAfter is the size of the entries above an index.
	BytesAfter(index uint64) int64
	// TrailingWithin is how many of the newest entries fit into so many bytes.
	TrailingWithin(bytes int64) uint64
}

// Snapshots are those on the disk; *snapshot.Store is one.
type Snapshots interface {
	List() ([]*raft.SnapshotMeta, error)
	KeepNewest() error
}

// Shard is what is asked of the replica.
type Shard interface {
	// Writable reports whether the state may be written: it is known to be right, and nearly as new as the log.
	Writable() bool
	Leader() string
	// Voters returns the voters but for this node, Holders every node that has a replica, in the same order
	// on each. The lists are not changed.
	Voters() (others []string)
	Holders() []string
}

// Peers is what is known of the others' snapshots.
type Peers interface {
	// Doing tells what a peer does about its snapshot of this shard as it was a moment ago, Ask as it is now. They are
	// false for one that is not connected or has not told.
	Doing(peer string) (d Doing, known bool)
	Ask(ctx context.Context, peer string) (d Doing, known bool)
}

// Disk is the node's disk.
type Disk interface {
	// Scarce reports whether it is nearly full, Full whether only what frees may be logged.
	Scarce() bool
	Full() bool
	// Free looks how many bytes are free. Look does so for everybody on the node, and is false where that is not known.
	Free() (int64, error)
	Look() (free int64, ok bool)
	// Keeps is how many bytes a snapshot of this node leaves free.
	Keeps() int64
	// Flushes tells the longest flush of the log since the last call, and what is usual without a snapshot. Flushing is
	// for how long one is under way.
	Flushes() (slowest, usual time.Duration)
	Flushing() time.Duration
}

// Figures is told what is shown in metrics.
type Figures interface {
	SnapshotTaken(took time.Duration)
	SnapshotBytes(n int64)
	SnapshotPaused(d time.Duration)
}
