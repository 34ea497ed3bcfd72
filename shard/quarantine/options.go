package quarantine

import (
	"context"
	"log/slog"
	"time"

	"github.com/lockstepkv/lockstep/internal/clock"
)

// Options are what a Guard is made of.
type Options struct {
	ID    int // of the shard
	Marks Marks
	Shard Shard
	Peers Peers

	Clock  clock.Clock
	Logger *slog.Logger
}

// Marks is what outlasts a restart.
type Marks interface {
	Quarantined(shard int) (bool, error)
	SetQuarantine(shard int, on bool) error
}

// Shard is what is asked of the replica.
type Shard interface {
	// Others are the voters but for this node.
	Others() []string
	// SetVoting says whether this replica may vote, campaign and confirm leaders.
	SetVoting(may bool)
	// SetTerm sets the term of a replica whose Raft has not been started.
	SetTerm(term uint64) error
	// Admitting is called when the others are about to be asked; damaged tells that the replica once had
	// something.
	Admitting(damaged bool)
	// Waits is called each time that not all have answered, with how long that has lasted.
	Waits(since time.Duration)
	// Outnumber gives this start of the node a higher number than those that others know.
	Outnumber(known []Admission) error

	// Caught reports whether the replica holds everything that the leader had logged, committed or not, when it was asked
	// just now, and up to which index.
	Caught(ctx context.Context) (index uint64, all bool)
}

// Peers is how the others are asked.
type Peers interface {
	// Ask asks a voter what it knows of the group. An error that is ErrMalformed is the end of it.
	Ask(ctx context.Context, peer string) (Admission, error)
}
