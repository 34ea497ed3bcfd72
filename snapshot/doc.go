// Package snapshot turns the store of one shard into files and back: Raft
// snapshots, backups, files of Redis, append-only files for Redis.
//
// # Idea
//
// There is one format, RDB, Redis's own. A Raft snapshot is an RDB file of
// version 10 that redis-server 7 loads and redis-check-rdb accepts. What Redis
// has no place for (versions of keys, exact access data, the state of the state
// machine) stands in AUX fields, which Redis skips when it does not know their
// names. DESIGN.md says what they hold.
//
// Write and Read stream: they hold a buffer, one key and the versions of a few
// thousand keys. Store keeps the snapshots of a Raft group on disk. AOFWriter
// and Recorder turn a snapshot and the log behind it into an append-only file.
//
// # Guarantees
//
//   - Read gives back exactly the store that Write was given: keys, values,
//     expiry times, versions, revision, access data.
//   - Read returns a store only after the whole file was read and its checksum
//     was right. Every error says the file and the byte offset.
//   - No input makes Read panic, hang, or allocate more than a small multiple of
//     the bytes that it was really given.
//   - A snapshot that Store lists was complete and durable (file and directories
//     synced) before it got its name. Open checks all of it again before it hands
//     out the first byte. A damaged one is an error; an older one never takes its
//     place.
//   - redis-server that replays an append-only file of AOFWriter has the keys,
//     values and expiry times of the store whose changes were recorded.
//
// # Limits
//
// Strings, and hashes for those who ask for them (ReadOptions.Hashes); database 0
// only. Anything else in a file of Redis is refused by the name of the key and its
// type. RDB files of every version are read, of
// Valkey too, as long as all that is in them is known. Written files are not
// compressed. Read keeps AUX values in memory. A checksum finds damage, not forgery.
package snapshot
