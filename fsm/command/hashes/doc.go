// Package hashes has the commands on hashes: HSET and HGET with their relatives, HINCRBY,
// HRANDFIELD and HSCAN.
//
// A hash changes in place (store/value/hash), so replies have copies of what is short, and
// what is written is copied when it is put. Small hashes answer in the order in which their
// fields came, as Redis's do.
//
// When a hash takes its large form ("hashtable") is decided by the limits that Redis has by
// default, 512 fields and 64 bytes. They are not a setting yet: every replica must use the
// same, so another value has to come by the log.
package hashes
