package slowdisk

import (
	"context"
	"log/slog"
	"time"

	"github.com/lockstepkv/lockstep/internal/clock"
)

// Options are what a Watch is made of.
type Options struct {
	Shard   Shard
	Disk    Disk
	Figures Figures

	Limit    time.Duration // see Limit
	Patience time.Duration // how long a leader that sends nothing may take to be deposed
	Clock    clock.Clock
	Logger   *slog.Logger
}

// Shard is what is asked of the replica.
type Shard interface {
	// Leading returns the term in which this node leads, served or not, or 0. Serving reports whether it serves.
	Leading() (term uint64)
	Serving() bool
	// Sound reports whether the state is not known to be wrong.
	Sound() bool
	// Others are the voters but for this node as it knows them, Quorum how many of all are a majority.
	Others() []Candidate
	Quorum() int

	// SetCampaigning says whether this node may be elected.
	SetCampaigning(may bool)
	// GiveUpLease ends the leases of a term.
	GiveUpLease(term uint64)
	// Mute has a leader send nothing.
	Mute(on bool)
	// StandFor asks a node that gives a sign of life to stand for election.
	StandFor(ctx context.Context, term uint64, node string) error
	// HandOver hands the leadership over, which takes the log.
	HandOver(ctx context.Context, node string) error
}

// Disk is the node's disk.
type Disk interface {
	// Condition is how it is, Slowed notes that a flush was slow.
	Condition() Condition
	Slowed()
}

// Condition is how a disk is.
type Condition struct {
	Slow bool // now, or lately
	Full bool // at least nearly
}

// Poor reports whether a node with such a disk should rather not lead.
func (c Condition) Poor() bool { return c.Slow || c.Full }

// Figures is told what is shown in metrics.
type Figures interface {
	// GivenAway counts leaderships by the reason, one of Reasons.
	GivenAway(reason string)
}

// Reasons to give a leadership away.
const (
	reasonSlow = "slow_disk"
	reasonFull = "full_disk"
)

// Reasons lists them.
func Reasons() []string { return []string{reasonSlow, reasonFull} }
