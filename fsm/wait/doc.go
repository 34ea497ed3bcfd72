// Package wait is the queues of those who wait for a change of a shard's state: for a lock,
// for an element of a list, for an entry of a stream, for a value that another client is
// computing.
//
// A waiter waits at one topic or at several, each a kind and a key, until it is served, its
// deadline is over, it leaves, or the session that it belongs to is gone. At each topic
// waiters stand in the order in which the log brought them, so who is served first is a
// fact of the log and survives every change of leader. What a waiter wants is opaque here:
// it is an argument for whoever serves the topic.
//
// The package is pure: it has no clock, no goroutines and no randomness, and the same calls
// give the same state on every replica. Time is the monotonic time of the log.
//
// Snapshots are written by who owns the queues: the waiters in the order of All. Joined
// again in that order they make the same queues. Whoever lets a waiter leave tells it so:
// that is an event of this replica and no state.
//
// Queues are not safe for concurrent use.
package wait
