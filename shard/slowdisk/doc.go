// Package slowdisk keeps a replica from leading while its disk is slow or full: what is slow (flushes.go), what is
// to be done then (decide.go), and the doing (watch.go).
//
// A Watch knows its replica through the small interfaces of Options.
package slowdisk
