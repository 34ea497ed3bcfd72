// Package check judges histories of test runs (package history) against what
// Lockstep promises. Each checker is a pure function from a history to a
// Verdict:
//
//	Register    linearizable registers with compare and set, key by key
//	Set         grow-only sets: nothing lost, stale, duplicate or invented
//	Counter     counters within the bounds that increments allow
//	ListAppend  strictly serializable transactions (package elle)
//	Session     read your writes and monotonic reads across nodes, fresh reads
//	Stale       stale reads that are no older than they say
//	Expiry      keys that go at their time, not before, and stay gone
//	Eviction    volatile-* policies that only touch keys with an expiry
//	Once        idempotency ids with one effect and one reply
//	Locks       mutual exclusion and fencing
//	Replicas    replicas that agree at the same index
//
// # Guarantees
//
// All checkers are sound: an anomaly is a contradiction between the history and
// the promise, whatever the operations in doubt did and whatever order
// concurrent operations took. Set is also complete, and Register but for writes
// in doubt that nobody saw; the others look for necessary conditions that their
// comments state.
// Operations are ordered only when one returned strictly before the other was
// called.
//
// A checker that had nothing to judge does not say "valid": a run without reads,
// without a read after the last acknowledged add, without any key seen expired,
// or a search that ran out of time gives a verdict that is Unknown and not
// Valid.
//
// # What workloads must do
//
// Start with absent keys. Write unique values within a key. Record Fail only for
// what certainly did not happen. Finish with reads of everything once all
// clients are done, where a checker is about loss (Set, Once, Counter,
// ListAppend).
//
// # Limits
//
// A history is held in memory. Counter, Stale and Expiry get weaker the more
// operations are in doubt, since each of them may explain an answer for good.
// Locks judges the times of holders only as far as their intervals are certain;
// fences are what it relies on.
package check
