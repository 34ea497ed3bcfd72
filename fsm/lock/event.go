package lock

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
	Index     uint64 // of the log entry; filled in by who passes the event on
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
