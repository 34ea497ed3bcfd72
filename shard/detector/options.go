package detector

import (
	"context"
	"log/slog"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/internal/clock"
)

// Options are what a Detector is made of.
type Options struct {
	Self      string // this node
	Raft      Raft
	Log       Log
	Snapshots Snapshots
	Shard     Shard
	Peers     Peers
	Figures   Figures

	Heartbeat time.Duration // --heartbeat-timeout
	Clock     clock.Clock
	Logger    *slog.Logger
}

// Raft is what is asked of Raft; *raft.Raft is one.
type Raft interface {
	State() raft.RaftState
	CurrentTerm() uint64
	LastIndex() uint64
	LastContact() time.Time
}

// Log is what is asked of the log.
type Log interface {
	GetLog(index uint64, l *raft.Log) error
}

// Snapshots are those on the disk; *snapshot.Store is one.
type Snapshots interface {
	List() ([]*raft.SnapshotMeta, error)
}

// Shard is what is asked of the replica.
type Shard interface {
	// Leader is who leads as far as this node knows, or "".
	Leader() string
	// Leads reports whether this node leads in term, and is not giving that up.
	Leads(term uint64) bool
	// Voters returns the voters but for this node, and whether it is one. The list is not changed.
	Voters() (others []string, self bool)
	// MayVote and MayCampaign report what this replica may do in an election.
	MayVote() bool
	MayCampaign() bool
	// Campaign has Raft stand for election at once.
	Campaign(ctx context.Context) error
}

// Question is what detectors ask each other.
type Question int

// Questions.
const (
	AskLeads    Question = iota // whether the node leads in a term; see AnswerLeads
	AskElection                 // whether it wants the asking one to lead; see AnswerElection
)

// Peers is how the others are reached.
type Peers interface {
	Ask(ctx context.Context, peer string, q Question, msg []byte) ([]byte, error)
	// Health tells whether there is a connection, and when something came last.
	Health(peer string) (connected bool, seen time.Time)
}

// Figures is told what is shown in metrics.
type Figures interface {
	// Election counts those that were called and those that the others declined.
	Election(outcome string)
}
