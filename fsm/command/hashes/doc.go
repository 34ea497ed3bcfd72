// Package hashes has the commands on hashes: HSET and HGET with their relatives, HINCRBY,
// HRANDFIELD and HSCAN.
//
// A hash changes in place (store/value/hash), so replies have copies of what is short, and
// what is written is copied when it is put. Small hashes answer in the order in which their
// fields came, as Redis's do.
//
// When a hash takes its large form ("hashtable") is decided by the limits of the log
// (store.Limits), which every replica has at the same entry.
package hashes
