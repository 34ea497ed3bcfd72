package wait

// Event is what happened at a topic, for those who watch it. Events are no part of the
// state: each node tells those of its own replica.
type Event struct {
	Topic Topic
	Index uint64 // of the log entry; 0 when that is not known
	What  any    // as the topic's kind says
}
