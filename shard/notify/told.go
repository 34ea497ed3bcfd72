package notify

import (
	"sync/atomic"
)

// Told decides what this replica may tell its clients unasked: grants of locks,
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
type Told struct {
	term   func() uint64 // Raft's, nil until Raft has started
	ready  atomic.Bool   // term is set
	served atomic.Uint64 // the newest term that is known to serve
}

// Open says that Raft has started.
func (t *Told) Open(term func() uint64) {
	t.term = term
	t.ready.Store(true)
}

// Serves notes that a leader serves in term. Of another term than the node's own
// it takes no note: it would be looked at again anyway.
func (t *Told) Serves(term uint64) {
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

// May reports whether what was applied before the call may be told.
func (t *Told) May() bool {
	if !t.ready.Load() {
		return false
	}
	return t.term() == t.served.Load()
}

// Served returns the newest term that is known to serve.
func (t *Told) Served() uint64 { return t.served.Load() }
