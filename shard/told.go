package shard

import (
	"context"
	"sync/atomic"

	"github.com/lockstepkv/lockstep/internal/clock"
	"github.com/lockstepkv/lockstep/internal/mutant"
	"github.com/lockstepkv/lockstep/shard/session"
)

// told decides what this replica may tell its clients unasked: grants of locks,
// and other events of its state machine. What a client is told counts as an
// answer. A new leader may have to be silent, because the one before it still
// answers under a lease; what its followers have applied meanwhile must not be
// told either. So an event is told only when, after it was applied, the node's
// term is one that is known to serve: its own, or one in which the leader has
// answered this node.
//
// A flag that says whether this node serves would not do: it is cleared only
// after Raft has said that the leadership is lost, and by then the state machine
// may have gone on in another term.
type told struct {
	term   func() uint64 // Raft's, nil until Raft has started
	ready  atomic.Bool   // term is set
	served atomic.Uint64 // the newest term that is known to serve
}

// open says that Raft has started.
func (t *told) open(term func() uint64) {
	t.term = term
	t.ready.Store(true)
}

// serves notes that a leader serves in term. Of another term than the node's own
// it takes no note: it would be looked at again anyway.
func (t *told) serves(term uint64) {
	if !t.ready.Load() || t.term() != term {
		return
	}
	for {
		old := t.served.Load()
		if old >= term || t.served.CompareAndSwap(old, term) {
			return
		}
	}
}

// may reports whether what was applied before the call may be told.
func (t *told) may() bool {
	if !t.ready.Load() {
		return false
	}
	return t.term() == t.served.Load() || mutant.On(mutant.ToldInSilence)
}

// tell finds out whether the present term serves while there are events to be
// told, and tells them then.
func (g *Group) tell(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.locks.nudge:
		}
		for !g.locks.tellHeld() {
			if g.serving.Load() == 0 {
				ask, cancel := context.WithTimeout(ctx, refreshEvery)
				_ = g.reader.AskLeader(ask) // an answer says that its term serves
				cancel()
			}
			if g.locks.tellHeld() {
				break
			}
			clock.Pause(ctx, session.RetryPause)
			if ctx.Err() != nil {
				return
			}
		}
	}
}
