// Package rdb is Redis's RDB format: the data of one shard as a stream of bytes and back,
// and one value by itself, as DUMP and RESTORE pass it.
//
// # Idea
//
// There is one format, Redis's own. A Raft snapshot is an RDB file of version 10 that
// redis-server 7 loads and redis-check-rdb accepts. What Redis has no place for (versions
// of keys, exact access data, the state of the state machine) stands in AUX fields, which
// Redis skips when it does not know their names. DESIGN.md says what they hold.
//
// Write and Read stream: they hold a buffer, one key and the versions of a few
// thousand keys. AppendDump and ReadDump hold one value. The package is pure: it reads and
// writes what it is given, so that it may run in the state machine.
//
// # Guarantees
//
//   - Read gives back exactly the store that Write was given: keys, values,
//     expiry times, versions, revision, access data.
//   - Read returns a store only after the whole file was read and its checksum
//     was right. Every error says the file and the byte offset.
//   - ReadDump gives back the value that AppendDump was given. Both depend on their
//     arguments alone. Redis restores what one makes, the other reads what Redis dumps. It
//     unpacks no more than it is told to.
//   - No input makes Read or ReadDump panic, hang, or allocate more than a small multiple of
//     the bytes that it was really given.
//
// # Limits
//
// Strings, and hashes, lists, sets and sorted sets for those who ask for them (ReadOptions.Packed);
// database 0 only. Anything else in a file of Redis is refused by the name of the key and its
// type. RDB files of every version are read, of
// Valkey too, as long as all that is in them is known. What is written is not
// compressed. Read keeps AUX values in memory. A checksum finds damage, not forgery.
package rdb
