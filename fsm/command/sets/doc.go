// Package sets has the commands on sets: SADD and SREM with their relatives, SPOP and
// SRANDMEMBER, the algebra of sets, and SSCAN.
//
// A set changes in place (store/value/set), so replies have copies of what is short. What SPOP
// takes is a fact of the log: its chance is seeded by the entry. The form of a set, which
// OBJECT ENCODING tells, is that which Redis 7.2 would give it, also after SINTERSTORE and
// SDIFFSTORE, where it depends on how Redis computes them.
package sets
