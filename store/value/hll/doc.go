// Package hll estimates how many different elements were added to a set, by HyperLogLog with
// 2^14 registers of six bits, in the strings that Redis keeps them in: byte by byte the same.
//
//	"HYLL" encoding:1 unused:3 cardinality:8 registers
//
// The cardinality, little endian, is a cache; the highest bit of its last byte says that it is
// out of date. Nothing here fills it, and all that changes a register sets the bit. The
// encodings of the registers:
//
//   - dense: all of them, six bits each, the lowest bits of a byte first.
//   - sparse: runs, in the order of the registers. 00xxxxxx: x+1 zeros. 01xxxxxx yyyyyyyy: xy+1
//     zeros. 1vvvvvxx: x+1 registers of v+1. What no run can say, or would take more than
//     SparseBytes, becomes dense, for good.
//
// The estimate is that of Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog
// sketches", arXiv:1702.01284, algorithm 6. Elements are hashed by MurmurHash64A.
//
// A string may come from anywhere: what is malformed is an error, ErrInvalid for what is no
// such string, ErrCorrupt for runs that do not fit.
package hll
