// Package soundness watches over one replica's state: whether it is the right one, and what happens
// if it is not.
//
// Replicas of a shard compare notes of their states, and a majority tells who is right (compare.go,
// judge.go). Now and then each reads all of its data (audit.go). A log entry that cannot be read is
// passed over only when every other voter has told what it made of it (unread.go). A state that is wrong
// is replaced by another replica's (rebuild.go, handout.go).
//
// The package decides; what it needs of the replica around it stands in options.go.
package soundness
