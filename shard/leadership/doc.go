// Package leadership opens and closes the service of a replica that Raft has made the leader, and hands its
// leadership over.
//
// That Raft leads is not enough: what was committed before must be applied, and the leases of earlier leaders be
// over (office.go). There is one transfer at a time, to a voter that has just answered (transfer.go).
//
// An Office knows its replica through the small interfaces of Options.
package leadership
