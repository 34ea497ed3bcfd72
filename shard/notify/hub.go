package notify

import (
	"context"
	"sync"
	"time"

	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/fsm/wait"
	"github.com/lockstepkv/lockstep/internal/clock"
)

// maxHeld bounds the events that wait to be told; see Told. Beyond it they are
// dropped, and everybody looks for himself.
const maxHeld = 1 << 16

const (
	// askTimeout is how long a question to the leader may take, askPause how long after it there is another one.
	askTimeout = 250 * time.Millisecond
	askPause   = 5 * time.Millisecond
)

// Replica is what a hub asks of the replica whose events it tells.
type Replica interface {
	// Serving returns the term in which this node answers as leader, or 0.
	Serving() (term uint64)
	// Sound reports whether the state is known to be right.
	Sound() bool
	// Seen is told of events that were applied, before anybody else is. It never blocks.
	Seen(events []lock.Event)
	// Push tells the node whose client waits for it of a grant that was applied while this node
	// served in term. It never blocks.
	Push(term uint64, grant lock.Event)
	// AskLeader asks the leader, if that is another node, whether its term serves: Told hears of
	// the answer.
	AskLeader(ctx context.Context) error
}

// Hub tells this node's clients what happens to locks, and nodes that have no replica
// of the shard. The state machine here knows; a follower's learns of a grant
// only with the leader's next message, so the leader also tells the node that
// waits, at once. Either may come first: a grant holds as soon as one replica has
// applied it.
type Hub struct {
	self     string
	told     *Told
	replica  Replica
	nudge    chan struct{} // capacity 1: something is held
	watchers Watchers
	feeds    Feeds

	mu   sync.Mutex
	held []heldEvent // guarded by mu; may not be told yet
}

type heldEvent struct {
	lock.Event
	index uint64
}

// NewHub returns the hub of node self.
func NewHub(self string, told *Told, r Replica) *Hub {
	return &Hub{self: self, told: told, replica: r, nudge: make(chan struct{}, 1)}
}

// Watch follows what is told of a topic from now on; see Watchers.Watch.
func (h *Hub) Watch(topic wait.Topic) (events <-chan wait.Event, stop func()) {
	return h.watchers.Watch(topic)
}

// Feeds are what other nodes follow here.
func (h *Hub) Feeds() *Feeds { return &h.feeds }

// Changed is the state machine's call: see fsm.Options.OnLocks.
func (h *Hub) Changed(index uint64, events []lock.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if events == nil {
		h.lost()
		return
	}
	h.replica.Seen(events)
	for _, e := range events {
		h.held = append(h.held, heldEvent{e, index})
	}
	if len(h.held) > maxHeld {
		h.lost()
		return
	}
	// Looked at after the events were applied, and told in their order.
	if !h.tellHeldLocked() {
		select {
		case h.nudge <- struct{}{}:
		default:
		}
	}
}

// tellHeld tells what is held, if it may be told, and reports whether nothing is
// held any more.
func (h *Hub) tellHeld() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.tellHeldLocked()
}

func (h *Hub) tellHeldLocked() bool {
	if len(h.held) == 0 {
		return true
	}
	if !h.told.May() || !h.replica.Sound() {
		return false
	}
	term := h.told.Served()
	for _, e := range h.held {
		for _, notice := range e.Notices(e.index) {
			h.watchers.Tell(notice)
			h.feeds.hear(notice)
		}
		if h.replica.Serving() == term && e.Kind == lock.EventGranted && e.Node != "" && e.Node != h.self {
			h.replica.Push(term, e.Event)
		}
	}
	h.held = nil
	return true
}

// lost is called, with mu held, when a snapshot was restored, and nobody knows what
// happened in between. Everybody looks again.
func (h *Hub) lost() {
	h.held = nil
	h.watchers.Missed()
	h.feeds.missed()
}

// Pushed is told of a grant that the leader of term has pushed. Another term than this node's own is
// no matter: the log tells of the grant too.
func (h *Hub) Pushed(term uint64, grant lock.Event) {
	h.told.Serves(term)
	if !h.told.May() || h.told.Served() != term {
		return
	}
	h.watchers.Tell(wait.Event{Topic: lock.Outcome(grant.Token), What: grant})
}

// Run finds out, until ctx ends, whether the present term serves while there are events to be
// told, and tells them then.
func (h *Hub) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.nudge:
		}
		for !h.tellHeld() {
			if h.replica.Serving() == 0 {
				ask, cancel := context.WithTimeout(ctx, askTimeout)
				_ = h.replica.AskLeader(ask) // an answer says that its term serves
				cancel()
			}
			if h.tellHeld() {
				break
			}
			clock.Pause(ctx, askPause)
			if ctx.Err() != nil {
				return
			}
		}
	}
}
