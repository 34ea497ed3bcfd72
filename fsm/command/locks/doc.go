// Package locks has the commands of locks. The names of locks are routed like keys, but locks
// are none: they live beside the store (package lock), and what is done to them cannot be
// taken back with it.
//
// LOCK waits, which nothing in a state machine may do: the router runs it, and logs LS.LOCK,
// LS.LOCKCANCEL and the others that are Internal. The functions here that make their
// arguments are for those who log them.
package locks
