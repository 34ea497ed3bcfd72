package slowdisk

import (
	"sync"
	"time"
)

// flushes knows which writes of a replica's log are under way.
//
// How long one takes is counted by whoever looks, in the time that he has seen pass. A
// process that gets no processor sees little of it, so that its disk is not blamed.
type flushes struct {
	mu      sync.Mutex
	running [kindsOfFlush]int    // guarded by mu
	number  [kindsOfFlush]uint64 // guarded by mu; changes with each write that the disk is given

	seen   [kindsOfFlush]time.Duration // of the write with the number below; the looker's own
	looked [kindsOfFlush]uint64
}

// Flush tells what a write of the log is for.
type Flush int

const (
	Append   Flush = iota // entries, terms, votes: Raft waits for them
	Truncate              // removes entries, and holds up appends meanwhile
	kindsOfFlush
)

// truncationsTake is how much longer a truncation may take than an append: log engine
// bolt has to touch every entry.
const truncationsTake = 4

// track notes a write until the function that it returns is called.
func (f *flushes) track(k Flush) (end func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running[k]++
	f.number[k]++
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.running[k]--
		f.number[k]++
		if k == Truncate {
			f.number[Append]++ // what waited for it begins now
		}
	}
}

// look returns for how long the oldest write has been seen to last; passed is the time
// since the last look. A truncation counts less. One goroutine looks.
func (f *flushes) look(passed time.Duration) (lasts time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for k := range kindsOfFlush {
		idle := f.running[k] == 0 || k == Append && f.running[Truncate] > 0
		switch {
		case idle || f.looked[k] != f.number[k]:
			f.seen[k], f.looked[k] = 0, f.number[k]
		default:
			f.seen[k] += passed
		}
	}
	return max(f.seen[Append], f.seen[Truncate]/truncationsTake)
}
