// Package batch puts every batch that waits for a shard's leader, its own node's and those that other
// nodes sent, into log entries: one at a time, and a large one, in fragments, besides. It decides what
// an entry carries along (the time, evictions, settings), when to wait for more, and which errors of
// Raft prove that nothing was logged.
//
// It knows the replica that it packs for through the small interfaces of Options.
package batch
