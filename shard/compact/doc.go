// Package compact decides when a replica takes a snapshot, which lets its log be dropped, and how gently it
// is written.
//
// Replicas of a shard take turns (turns.go), a snapshot is put off while there is no room for it or nobody
// knows whether the state is right (compact.go), and its writer leaves half of the disk to the log
// (pace.go).
//
// A Compactor knows its replica through the small interfaces of Options.
package compact
