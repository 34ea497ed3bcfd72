// Package history holds what the clients of a test run did and saw, in a form
// that checkers can judge and that can be kept in a file and judged again.
//
// An operation has an interval: it was called at Call and answered at Return,
// both on one monotonic clock that is shared by all clients of the run. One of
// three outcomes is recorded:
//
//   - OK: the operation happened, exactly once, at some moment of its interval;
//   - Fail: it did not happen and never will;
//   - InDoubt: it may have happened, may happen at any later time, or never.
//     Its interval has no end (Return is Forever).
//
// Checkers rely on these words. A client that reports Fail for an operation
// that took effect makes a correct system look wrong; one that reports InDoubt
// for a definite answer hides faults. An operation that was still running when
// the history was taken is in doubt.
//
// A client is sequential: it has one operation running at a time. After an
// operation in doubt a client may go on, but a checker draws no conclusion
// from the order of the two.
//
// Intervals are closed: an operation that returns at t and one that is called
// at t are concurrent, since a clock may give the same reading twice.
package history
