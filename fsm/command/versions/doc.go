// Package versions has Lockstep's own commands that tell an entry's version and ask for it:
// compare-and-set, on which the HTTP API is built.
//
// A version is the store's revision of the change that made the entry. Versions of one
// shard only grow, are the same on every replica, and never name two states of a key; an
// absent key has version 0.
package versions
