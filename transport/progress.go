package transport

import (
	"sync"
	"time"
)

// progress is how far the followers of a group have come, as they told this node, its leader.
type progress struct {
	mu     sync.Mutex
	stored map[string]storedUpTo // guarded by mu; by peer
}

type storedUpTo struct {
	index uint64
	at    time.Time
}

func (p *progress) note(peer string, index uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stored == nil {
		p.stored = map[string]storedUpTo{}
	}
	p.stored[peer] = storedUpTo{index, time.Now()}
}

// Behind reports whether a follower that has taken entries since has less than index of them.
func (g *Group) Behind(index uint64, since time.Time) bool {
	p := &g.progress
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.stored {
		if s.index < index && s.at.After(since) {
			return true
		}
	}
	return false
}
