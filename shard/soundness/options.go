package soundness

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/internal/clock"
)

// Options are what a Keeper is made of.
type Options struct {
	ID      int // of the shard
	State   State
	Log     Log
	Shard   Shard
	Peers   Peers
	Marks   Marks
	Wants   Wants
	Service Service
	Figures Figures

	Clock         clock.Clock
	Logger        *slog.Logger
	AuditInterval time.Duration // between readings of all data; 0: never
	Unverified    bool          // states are written without asking the others
	Fatal         func(error)   // told when the node cannot go on
}

// State is what is asked of the state machine; *fsm.FSM is one.
type State interface {
	Applied() uint64
	// Restores tells states apart: it changes with each that is restored or rebuilt.
	Restores() uint64
	Notes(after uint64) []fsm.Note
	Unnoted() (newest uint64, due bool)
	Made(r fsm.Refusal) int
	WriteState(w io.Writer) (index uint64, err error)
	Rebuild(r io.Reader, entry func(index uint64) (*raft.Log, error)) error
}

// Log is what is asked of the log.
type Log interface {
	GetLog(index uint64, l *raft.Log) error
}

// Shard is what is asked of the replica.
type Shard interface {
	// Serving reports whether this node answers as the leader.
	Serving() bool
	// Voters returns the voters but for this node, and how many there are with it, if it is one. The list is not
	// changed.
	Voters() (others []string, size int)
	// Quarantined reports whether the replica has lost its log, and has no vote yet.
	Quarantined() bool
	CommitIndex() uint64
	// OpenedWith is the index of the newest log entry when the replica was opened.
	OpenedWith() uint64
}

// Question is what keepers ask each other. What is asked and answered is the keepers' own; see wire.go.
type Question int

// Questions.
const (
	AskNotes Question = iota // for notes of the state
	AskMade                  // what the replica has made of a log entry
	AskState                 // for the state itself, a piece at a time
)

// Peers is how the others' keepers are reached.
type Peers interface {
	// Ask puts a question to the keeper of a peer's replica, whose Answer comes back.
	Ask(ctx context.Context, peer string, q Question, msg []byte) ([]byte, error)
	// Sound reports whether a peer is connected, and its replica has not said that it is wrong or repaired itself.
	Sound(peer string) bool
}

// Marks is what outlasts a restart.
type Marks interface {
	Diverged(shard int) (bool, error)
	SetDiverged(shard int, on bool) error
	Settled(shard int) ([]fsm.Refusal, error)
	Settle(shard int, r fsm.Refusal) error
}

// Wants is what a keeper has logged.
type Wants interface {
	WantNote()
	WantAudit()
	// ProposeNothing has an entry logged that asks for a note and does nothing else.
	ProposeNothing(ctx context.Context) error
}

// Service is what the replica does when its state is found to be wrong, or is right again.
type Service interface {
	// StepAside ends this node's leadership and keeps it from leading.
	StepAside(ctx context.Context)
	// ReplaceSnapshots takes a snapshot and removes the older ones.
	ReplaceSnapshots(ctx context.Context) error
	// Forget drops what the wrong state said and clients have yet to hear.
	Forget()
	// Rebuilt says that the state is right again: the node may lead.
	Rebuilt()
	// Settled says that it is known what became of every log entry.
	Settled()
}

// Figures is told what is shown in metrics.
type Figures interface {
	Compared(index uint64, differing int)
	Condemned()
	Audited(took time.Duration)
	Refused()
	Skipped()
}
