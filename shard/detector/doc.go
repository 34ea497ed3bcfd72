// Package detector finds out early that the leader of a shard is gone, and calls for an election.
//
// How long a silence may last is decided in silence.go, whether others find the same in detector.go. Safety
// never rests on it: who is wrong here causes an election too many.
//
// A Detector knows its replica through the small interfaces of Options.
package detector
