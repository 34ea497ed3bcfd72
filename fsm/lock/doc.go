// Package lock is the state of a shard's locks: who holds which, who waits in
// which order, and what fences were given out and seen.
//
// A lock is held with a secret token for a time to live. Each grant has a fence,
// a number that only grows, so that a resource can tell the writes of a holder
// who lost the lock from those of the present one (Kleppmann, "How to do
// distributed locking", 2016; the sequencers of Burrows, "The Chubby lock
// service", 2006). Who does not get a lock may wait for it; waiters are served in
// the order in which they came. Package wait has their queues.
//
// The package is pure: it has no clock, no goroutines and no randomness. Time is
// the log clock in Unix milliseconds, tokens come with the requests, and the same
// calls give the same state on every replica, whatever happened before them was
// replayed or read from a snapshot.
//
// Guarantees:
//   - At most one grant of a lock is in force by the log clock.
//   - Fences strictly grow within a table, over any restart and restore. They
//     follow the clock, so that they also grow over the restore of an older
//     backup elsewhere, as long as clocks do.
//   - A grant ends by its holder's token or by its time, which counts from the
//     last renewal; after LeaderStart it counts from then.
//
// A Table is not safe for concurrent use.
package lock
