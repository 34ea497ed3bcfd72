package router

import (
	"sync"
	"time"
)

const evictionLogInterval = 10 * time.Second

// evictionLog bounds what the log tells of clients that were closed for want of memory.
type evictionLog struct {
	mu     sync.Mutex
	last   time.Time // guarded by mu
	untold int       // since the last line; guarded by mu
}

// tellEviction says now and then that clients are closed for want of memory.
func (r *Router) tellEviction(s *Session) {
	e := &r.evictions
	e.mu.Lock()
	defer e.mu.Unlock()
	e.untold++
	if now := r.now(); e.last.IsZero() || now.Sub(e.last) >= evictionLogInterval {
		r.log.Warn("closing the clients that hold most memory, all together have more than maxmemory-clients",
			"client", s.addr, "bytes", s.mem.Total(), "limit", r.clients.Limit(), "closed_since_last_told", e.untold)
		e.last, e.untold = now, 0
	}
}
