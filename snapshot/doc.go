// Package snapshot keeps the snapshots of a Raft group on disk.
//
// # Idea
//
// Store is a raft.SnapshotStore. It does not know what is in a snapshot beyond that it is
// an RDB file (package rdb), which ends with its own checksum: so a sink can tell whether
// what it wrote, or was sent by another node, is whole.
//
// # Guarantees
//
//   - A snapshot that Store lists was complete and durable (file and directories
//     synced) before it got its name. Open checks all of it again before it hands
//     out the first byte. A damaged one is an error; an older one never takes its
//     place.
//   - Writing neither fills the disk's cache nor holds up the fsyncs of the log (Hooks).
package snapshot
