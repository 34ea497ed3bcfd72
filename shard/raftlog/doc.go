// Package raftlog keeps one Raft group's log and its stable values (term, vote) on disk. A Store is a
// raft.LogStore, raft.MonotonicLogStore and raft.StableStore over one of two engines: `wal` (segment files of
// hashicorp/raft-wal) and `bolt` (hashicorp/raft-boltdb/v2). engine.go says what an engine owes, method by
// method, and has the table of engines; TestContract holds each of them to it.
//
// What a Store adds to the engines:
//
//   - Every entry and stable value has a checksum that is verified on every read. Damage is reported as a
//     *CorruptError with file, offset and index, never returned as data and never taken for the end of
//     the log. The remains of a write that a crash cut short were never acknowledged; those, and only
//     those, are removed when the log is opened.
//   - A write that fails leaves the Store failed: nothing is acknowledged after it (ErrFailed), entries
//     that were durable before can still be read, and only reopening helps. After a failed fsync nobody
//     knows what the disk holds.
//   - A watchdog reports a write that hangs in the kernel.
//   - The newest entries are kept in memory, bounded by bytes, and the bytes of any range of the log are
//     known without reading it, so that compaction can be bounded by bytes instead of entries.
//
// Durability: StoreLogs, DeleteRange, Set and SetUint64 return after fsync. Concurrency: all methods are
// safe for concurrent use; writes are serial; entries handed out share their Data, which nobody may
// modify. The log is contiguous with either engine: StoreLogs refuses an index that does not follow the
// last one, and DeleteRange refuses to leave a hole. IsMonotonic is therefore true with either engine.
//
// Limits: damage to the very last acknowledged batch in the same moment as a power failure can look like
// an unfinished write if the watermark, synced every second, is older than that batch. bbolt has no
// checksums on its inner pages: with engine bolt a lost stable value is noticed only if its page no
// longer parses. See DESIGN.md.
package raftlog
