package lock

import "github.com/lockstepkv/lockstep/fsm/wait"

// EventKind says what happened to a lock.
type EventKind uint8

// Kinds of events.
const (
	EventGranted    EventKind = iota + 1
	EventLost                 // Reason: Released, Expired or Forced
	EventWaiterGone           // Reason: TimedOut, NodeGone or Cancelled
)

// Reason says why a grant or a wait ended.
type Reason uint8

// Reasons.
const (
	Released Reason = iota + 1
	Expired
	TimedOut
	NodeGone
	Cancelled
	Forced // released by an operator
)

// String is the word that clients read.
func (r Reason) String() string {
	switch r {
	case Released:
		return "released"
	case Expired:
		return "expired"
	case TimedOut:
		return "timed_out"
	case NodeGone:
		return "node_gone"
	case Cancelled:
		return "cancelled"
	case Forced:
		return "forced"
	}
	return ""
}

// Event is a change of a lock that somebody may wait for. Events are no part of
// the state: each node uses those of its own replica.
type Event struct {
	Kind      EventKind
	Reason    Reason
	Name      string
	Owner     string
	Token     string // Granted, WaiterGone
	Fence     uint64 // Granted, Lost
	ExpiresAt int64  // Granted; the log's wall clock, Unix milliseconds
	Node      string // Granted, WaiterGone: where the client is connected
	Boot      uint64
}

// Outcome is where those watch who want to know what becomes of a request.
func Outcome(token string) wait.Topic { return wait.Topic{Kind: wait.Outcome, Key: token} }

// Topic is where those wait who want a lock, and those watch who want to know what happens
// to it.
func Topic(name string) wait.Topic { return wait.Topic{Kind: wait.Lock, Key: name} }

// Notices are what is told of the event at index, to those who watch the request and to
// those who watch the lock. These learn neither the holder's secret nor who waited.
func (e Event) Notices(index uint64) (list []wait.Event) {
	if e.Token != "" {
		list = append(list, wait.Event{Topic: Outcome(e.Token), Index: index, What: e})
	}
	if e.Kind != EventWaiterGone {
		e.Token = ""
		list = append(list, wait.Event{Topic: Topic(e.Name), Index: index, What: e})
	}
	return list
}

func (t *Table) emit(e Event) {
	if t.collect {
		t.events = append(t.events, e)
	}
}

// TakeEvents returns what happened since the last call, in order.
func (t *Table) TakeEvents() []Event {
	list := t.events
	t.events = nil
	return list
}
