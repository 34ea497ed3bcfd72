package readindex

import (
	"context"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/fsm/command"
)

// Options are what a Reader is made of.
type Options struct {
	Self  string // this node
	Raft  Raft
	State State
	Log   Log
	Shard Shard
	Peers Peers

	Lease   time.Duration            // 0: every read is confirmed by a quorum
	Timeout time.Duration            // of one round, however long its readers wait
	Round   func(took time.Duration) // told of every round that confirmed the leader
}

// Raft is what is asked of Raft; *raft.Raft is one.
type Raft interface {
	CurrentTerm() uint64
	CommitIndex() uint64
	LastIndex() uint64
	State() raft.RaftState
}

// State is what is asked of the state machine; *fsm.FSM is one.
type State interface {
	Reached() uint64
	WaitReached(ctx context.Context, index uint64) error
	Applied() uint64
	ViewAt(need uint64, at fsm.Stamp, fn func(*command.Ctx)) (index uint64, due, ok bool)
	Settings() (leaseMillis, onceMillis, onceBytes uint64)
}

// Log is what is asked of the log.
type Log interface {
	// NewestCommand returns the index of the newest command at or below index.
	NewestCommand(index uint64) uint64
}

// Shard is what is asked of the replica.
type Shard interface {
	// Serving returns the term in which this node answers as leader, or 0.
	Serving() (term uint64)
	// Sound reports whether the state is known to be right.
	Sound() bool
	// Mono is the node's monotonic time, StampAt the log's time at a reading of it.
	Mono() time.Duration
	StampAt(mono time.Duration) fsm.Stamp
	// Voters returns the voters but for this node, and whether it is one. The list is not changed.
	Voters() (others []string, self bool)
}

// Peers is what other nodes are asked.
type Peers interface {
	// Confirm reports whether a voter's term is the given one.
	Confirm(ctx context.Context, peer string, term uint64) bool
	// AskLeader asks the leader, which is another node, for what it notes.
	AskLeader(ctx context.Context) (Noted, error)
}
