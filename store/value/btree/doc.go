// Package btree is a counted B+-tree in order of (64-bit key, name), with a value for each
// name, that can be frozen. Large collections of several types are made of it: what the key
// is, a hash or a score, is theirs to say. It knows none of them.
//
// # Idea
//
// A leaf is one block of bytes, without a pointer per record. Inner nodes count records, so
// that a record is found by its rank, and its rank is known, in O(log n).
//
// There is one writer. He changes a node in place unless somebody may still look at it as it
// was: then he copies it first, at most one leaf (less than 4 KiB) or one inner node (64 kids)
// at a time. Who looks is package epoch's to say; see Open and Fork.
//
// # Guarantees
//
//   - What can be seen depends on the records alone, not on the order in which they came.
//     Only the number and the size of nodes does.
//   - Records with equal keys cost no more than others.
//
// # Limits
//
// Fewer than 2^31 records. Names and values are shorter than 4 GiB.
package btree
