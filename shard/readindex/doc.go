// Package readindex finds out which state a shard may answer a read from. It has the confirmation
// rounds of a leader, its lease, and the waiting for an index; the rules are in DESIGN.md of package shard.
//
// A Reader knows its replica through the small interfaces of Options.
package readindex
