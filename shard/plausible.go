package shard

import (
	"fmt"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/transport"
)

// Numbers that only ever grow, and that every replica remembers, must not be taken from
// a peer when no cluster can come to them: the owner could never get past them.

// maxClockMillis is how far ahead of this node's clock a time may be on which such a
// number rests. It is a year more than what the log allows by its own clock: a node
// whose clock is behind the log's must be able to take the number after the last one that the
// log holds for plausible (package fsm).
const maxClockMillis = fsm.BootAheadMillis + 365*24*3600*1000

// plausibleBatch checks a batch that the node from proposes.
func plausibleBatch(b fsm.Batch, from string, wallMillis int64) error {
	switch {
	case b.Node != from && b.Node != fsm.LargeBatches(from):
		return fmt.Errorf("%w: node %q proposes for %q", errMalformedMessage, from, b.Node)
	case b.Seq > transport.MaxNumber || b.Acked > b.Seq:
		return fmt.Errorf("%w: batch %d of node %q, resolved up to %d", errMalformedMessage, b.Seq, from, b.Acked)
	case !plausibleBoot(b.Boot, wallMillis):
		return fmt.Errorf("%w: start %d of node %q", errMalformedMessage, b.Boot, from)
	}
	return nil
}

// plausibleEntry checks what this node, as leader, is about to log, its own batches included.
func plausibleEntry(e *fsm.Entry, wallMillis int64) error {
	for _, b := range e.Batches {
		if !plausibleBoot(b.Boot, wallMillis) {
			return fmt.Errorf("start %d of node %q is a century ahead of the clock", b.Boot, b.Node)
		}
	}
	return nil
}

// plausibleBoot checks the number of a start; see nextBoot for what it is made of.
func plausibleBoot(boot uint64, wallMillis int64) bool {
	return boot>>fsm.BootBits <= uint64(wallMillis+maxClockMillis)
}
