package leadership

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/lockstepkv/lockstep/internal/clock"
)

// Options are what an Office is made of.
type Options struct {
	Self string // this node
	ID   uint32 // of the shard

	// Served is the term in which this node answers as leader; 0 if it does not. The office alone begins that. It is a
	// word of the replica's, since each request looks at it.
	Served *atomic.Uint64

	Raft    Raft
	Shard   Shard
	Service Service
	Peers   Peers
	Figures Figures

	Timeout time.Duration // Raft's own: how long a leader goes on without a quorum
	Clock   clock.Clock
	Logger  *slog.Logger
}

// Raft is what is asked of Raft.
type Raft interface {
	Term() uint64
	// Leads reports whether it leads in term.
	Leads(term uint64) bool
	// Barrier waits until everything is applied that was committed before.
	Barrier() error
	// Transfer hands the leadership over, however long that takes.
	Transfer(node string) error
}

// Shard is what is asked of the replica.
type Shard interface {
	// Sound reports whether the state is known to be right.
	Sound() bool
	// Silence is longer than any lease that an earlier leader can hold: leases are a tenth shorter than
	// the setting, by their holder's clock.
	Silence() time.Duration
	// ClockOff waits a moment until the clocks of others are known, and reports whether this node's differs.
	ClockOff(ctx context.Context) bool
	// Others are the voters but for this node.
	Others() []string
	// HandOver hands the leadership to any node that takes it.
	HandOver(ctx context.Context)
	// Mute has a leader send nothing.
	Mute(on bool)
}

// Service is what begins and ends with the leadership.
type Service interface {
	// Prepare is called before this node serves, Served as soon as it does, Opened when it goes on.
	Prepare()
	Served(term uint64)
	Opened(term uint64)
	// Closed is called when it leads no more, and before it leads anew.
	Closed()
	// GiveUpLease ends the leases of a term, for good.
	GiveUpLease(term uint64)
}

// Peers is what is known of the others, and asked of them.
type Peers interface {
	// Confirm reports whether a voter's term is the given one.
	Confirm(ctx context.Context, node string, term uint64) bool
	// Seen is when something came of a node last.
	Seen(node string) time.Time
	// Wrong reports whether a node has said that its replica is wrong or repaired itself.
	Wrong(node string) bool
}

// Figures is told what is shown in metrics.
type Figures interface {
	// Election counts those that were won.
	Election(outcome string)
}
