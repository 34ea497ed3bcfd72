// Package store is the in-memory store of one shard: keys, values, expiry
// times, memory accounting, and the choice of eviction victims.
//
// # Idea
//
// A store is a fixed array of 16384 hash tables. The top 14 bits of a key's
// 64-bit hash choose the table, and inside a table the entries stand in
// ascending hash order (linear probing with ordered runs). Walking the tables
// from first to last therefore visits every key in hash order, whatever the
// history of insertions and deletions was. SCAN cursors, RANDOMKEY and the
// contents of a snapshot depend on that order alone.
//
// An Entry never changes once it is in a table, except for one atomic word that
// records accesses. Changing a key makes a new Entry with a new version. Small ones
// stand in segments without pointers, which are written once, from front to back;
// what lives in a segment of which much has died is moved to another. So a
// frozen view of the store is an array of table pointers and one of segments: the
// writer replaces a table by its copy before the first change after Freeze. Collections
// change in place and go by the same rule, node by node (UpdateHash).
//
// # Guarantees
//
//   - Determinism: two stores that got the same calls of mutating methods, or
//     of which one was filled with Restore from the entries of the other, agree
//     on Digest, Used, Len, VolatileLen, the order of Scan and Each, the choice
//     of Random, and the order of Reap. No method reads a clock, and none of
//     the mutating ones draws randomness.
//   - Scan returns every key that exists during the whole iteration, once.
//   - Used is arithmetic over lengths, not a measurement of the heap.
//   - A Snapshot sees the store exactly as it was when Freeze was called.
//
// # Concurrency
//
// One writer at a time. Any number of readers, which the owner keeps out while
// the writer is at work (a sync.RWMutex). Touch counts as reading. Victims
// counts as reading too, but there may be only one call at a time. A Snapshot
// needs none of the owner's locks. Nor does a view of a hash, which a reader takes
// while it keeps the writer out.
//
// # Limits
//
// Keys and values are shorter than 4 GiB. Segments hold 16 GiB; further small entries
// cost more. Who keeps a key or a short value for long keeps a copy: it is part of a
// segment. Access data (recency, frequency) are not replicated state: each node has its
// own, and Digest leaves them out. The hash is not keyed, since SCAN cursors must mean
// the same on every replica; a client that crafts colliding keys slows down the tables
// that hold them.
package store
