// Package keys has the commands that work on keys whatever is under them: existence,
// names, lifetimes, the walks over the whole keyspace, and what OBJECT and MEMORY tell of
// an entry.
//
// A key whose time is up by the log clock is absent to all of them, though it may not have
// been reaped yet. The walks hold up writers, so each call is bounded: by a count, by the
// room for its reply, and by the steps that its pattern may take.
package keys
