package slowdisk

import (
	"cmp"
	"slices"
	"time"
)

const (
	// slowLeast is a flush that is never called slow.
	slowLeast = 500 * time.Millisecond
	// looksPerLimit is how often a flush is looked at before it counts as slow.
	looksPerLimit = 12
)

// Limit is how long a flush of the log may take before it costs the leadership. It is
// the longest time that a follower waits for a leader that is silent: one that cannot log
// is worth no more.
func Limit(heartbeat time.Duration) time.Duration { return max(2*heartbeat, slowLeast) }

// Step is how often a flush is to be looked at.
func Step(limit time.Duration) time.Duration { return limit / looksPerLimit }

// Candidate is another voter, as this node knows it.
type Candidate struct {
	ID       string
	CaughtUp bool // it is connected, close behind, and sound
	Hangs    bool // a flush of its log is slow now
	Poor     bool // its disk is slow or full
	Applied  uint64
}

// successors lists who may lead in this node's place: whoever's disk is best, and of those
// whoever has applied most first. While this node's own disk hangs, all whose does not will do.
func successors(list []Candidate, hangs bool) []Candidate {
	list = slices.DeleteFunc(slices.Clone(list), func(c Candidate) bool {
		return !c.CaughtUp || c.Hangs || c.Poor && !hangs
	})
	slices.SortStableFunc(list, func(a, b Candidate) int {
		return cmp.Or(compareBool(a.Poor, b.Poor), cmp.Compare(b.Applied, a.Applied))
	})
	return list
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// action is what a replica does for the sake of its disk.
type action int

const (
	stay     action = iota
	abdicate        // while Raft's main loop waits for the disk
	handOver        // while the log can still be written
)

// decide tells what to do. dispensable says that the others whose disks are better are a majority; otherwise this disk
// is needed, leader or not. mayLead says whether this node may be elected.
func decide(leads, sound, slow bool, disk Condition, dispensable bool) (do action, mayLead bool) {
	away := disk.Poor() && dispensable
	switch {
	case !leads || !away:
		do = stay
	case slow:
		do = abdicate
	default:
		do = handOver
	}
	return do, sound && !away
}
