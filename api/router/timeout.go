package router

import "time"

const (
	// leastRate is the slowest at which the bytes of a request are taken to advance, through
	// the logs of a majority: its deadline is later by the time that this takes.
	leastRate = 4 << 20 // per second
	// freeSize is the size up to which a request has no more time than others.
	freeSize = 1 << 20
)

// timeout returns how long a request of so many bytes may take.
func (r *Router) timeout(size int) time.Duration {
	if size <= freeSize {
		return r.cfg.RequestTimeout
	}
	return r.cfg.RequestTimeout + time.Duration(size)*time.Second/leastRate
}

// patience returns how long a batch of so many bytes may wait while there is no leader: a
// large one no longer than others. 0: its deadline says it.
func (r *Router) patience(size int) time.Duration {
	if size <= freeSize {
		return 0
	}
	return r.cfg.RequestTimeout
}
