package routertest

import (
	"sync"

	"github.com/lockstepkv/lockstep/fsm/lock"
)

// lockHub passes the events of a fake shard's locks on.
type lockHub struct {
	mu      sync.Mutex
	waits   map[chan lock.Event]string // guarded by mu; token by channel
	watches map[chan lock.Event]string // guarded by mu; lock by channel
}

func newLockHub() *lockHub {
	return &lockHub{waits: make(map[chan lock.Event]string), watches: make(map[chan lock.Event]string)}
}

func (h *lockHub) pass(index uint64, events []lock.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range events {
		e.Index = index
		for ch, token := range h.waits {
			if token != e.Token {
				continue
			}
			select {
			case ch <- e:
			default:
			}
		}
		e.Token = ""
		for ch, name := range h.watches {
			if name == e.Name && e.Kind != lock.EventWaiterGone {
				ch <- e
			}
		}
	}
}

// Origin implements router.Shard.
func (s *Shard) Origin() (node string, boot uint64) { return "n1", 1 }

// ExpectGrant implements router.Shard.
func (s *Shard) ExpectGrant(token string) (outcome <-chan lock.Event, stop func()) {
	ch := make(chan lock.Event, 1)
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.hub.waits[ch] = token
	return ch, func() {
		s.hub.mu.Lock()
		defer s.hub.mu.Unlock()
		delete(s.hub.waits, ch)
	}
}

// WatchLock implements router.Shard.
func (s *Shard) WatchLock(name string) (events <-chan lock.Event, stop func()) {
	ch := make(chan lock.Event, 64)
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.hub.watches[ch] = name
	return ch, func() {
		s.hub.mu.Lock()
		defer s.hub.mu.Unlock()
		delete(s.hub.watches, ch)
	}
}

// MissEvents tells all who wait that events may have been missed, as after the
// restore of a snapshot.
func (s *Shard) MissEvents() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	for ch := range s.hub.waits {
		select {
		case ch <- lock.Event{}:
		default:
		}
	}
}

// Waiters is how many wait for locks of the shard.
func (s *Shard) Waiters() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.locks.Waiters()
}

// DropNode takes the waiters of this node's clients out of their queues.
func (s *Shard) DropNode() {
	s.mu.Lock()
	s.locks.DropNode("n1", 2)
	events := s.locks.TakeEvents()
	s.mu.Unlock()
	s.hub.pass(s.applied.Load(), events)
}
