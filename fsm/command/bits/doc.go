// Package bits has the commands on strings as arrays of bits and of small integers: SETBIT,
// BITCOUNT, BITPOS, BITOP, BITFIELD.
//
// What they do to the bytes is in store/value/bits. A change of a few bits of a long string
// costs no copy of it: see Overwrite in package store. As in Redis a string that one of these
// has written is raw, also when nothing changed.
package bits
