package routertest

import (
	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/fsm/wait"
)

// tell passes the events of a fake shard's locks on.
func (s *Shard) tell(events []lock.Event) {
	for _, e := range events {
		for _, notice := range e.Notices(s.applied.Load()) {
			s.watchers.Tell(notice)
		}
	}
}

// Origin implements router.Node.
func (n *Node) Origin(int) (node string, boot uint64) { return "n1", 1 }

// Watch implements router.Shard.
func (s *Shard) Watch(topic wait.Topic) (events <-chan wait.Event, stop func()) {
	return s.watchers.Watch(topic)
}

// MissEvents tells all who watch that events may have been missed, as after the
// restore of a snapshot.
func (s *Shard) MissEvents() { s.watchers.Missed() }

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
	s.tell(events)
}
