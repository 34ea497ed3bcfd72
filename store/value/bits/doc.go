// Package bits reads and changes strings as arrays of bits, in which the first bit is the
// highest of the first byte, and as arrays of integers of any width (Redis's BITFIELD).
//
// Beyond its end a string counts as zeros to all that read. It has no state, and knows
// neither the store nor commands. What is long is done eight bytes at a time.
package bits
