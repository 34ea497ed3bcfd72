package forward

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/lockstepkv/lockstep/internal/clock"
)

// Standing is what a node says of its replica of a shard.
type Standing struct {
	Leader  string // whom it follows; empty: nobody
	Term    uint64
	Serving bool // it answers as the leader itself
}

// Cluster is what a Finder asks about.
type Cluster interface {
	// Holders returns the nodes that have a replica, as the view in force says, without this one.
	Holders() []string
	// Changed returns a channel that is closed when the view is no longer in force.
	Changed() <-chan struct{}
	// Connected reports whether a node can be reached.
	Connected(node string) bool
	// Ask asks a node how its replica stands. An error says nothing of it, or that it has none.
	Ask(ctx context.Context, node string) (Standing, error)
}

const (
	// lookEvery is how often a leader that is known is asked whether it still is.
	lookEvery = 500 * time.Millisecond
	// lookAgain and lookAgainMost are the pauses while none is.
	lookAgain     = 10 * time.Millisecond
	lookAgainMost = 200 * time.Millisecond
	// askTimeout bounds one question.
	askTimeout = time.Second
)

// Finder knows which node leads a shard of which this node has no replica. What it knows is a
// hint: who is asked answers as a leader only if it is one.
type Finder struct {
	c       Cluster
	nudge   chan struct{} // capacity 1
	changed func()        // told when the leader is another one; never blocks

	mu     sync.Mutex
	leader string // guarded by mu; empty: none is known
	term   uint64 // guarded by mu; the newest in which one was known to
}

// NewFinder returns one that knows nothing. changed is called when the leader is another one.
func NewFinder(c Cluster, changed func()) *Finder {
	return &Finder{c: c, nudge: make(chan struct{}, 1), changed: changed}
}

// Leader returns the node that leads the shard as far as this one knows, or "".
func (f *Finder) Leader() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.leader
}

// Term returns the newest term in which a node was known to lead.
func (f *Finder) Term() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.term
}

// Order lists whom to ask for a read: the leader, then those that can be reached, then the rest.
func (f *Finder) Order() []string {
	leader := f.Leader()
	list := slices.Clone(f.c.Holders())
	rank := func(node string) int {
		switch {
		case node == leader:
			return 0
		case f.c.Connected(node):
			return 1
		}
		return 2
	}
	slices.SortStableFunc(list, func(a, b string) int { return rank(a) - rank(b) })
	return list
}

// Denied says that a node does not lead, or could not be asked.
func (f *Finder) Denied(node string) {
	f.mu.Lock()
	was := f.leader == node
	if was {
		f.leader = ""
	}
	f.mu.Unlock()
	if was {
		f.Look()
	}
}

// Look has the leader be looked for now.
func (f *Finder) Look() {
	select {
	case f.nudge <- struct{}{}:
	default:
	}
}

// Run looks for the leader until ctx ends.
func (f *Finder) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	pause := lookAgain
	for {
		changed := f.c.Changed()
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-f.nudge:
		case <-changed:
		}
		if f.look(ctx) {
			pause = lookAgain
			timer.Reset(lookEvery)
			continue
		}
		clock.Pause(ctx, lookAgain) // however often it is called: not in a tight loop
		timer.Reset(pause)
		pause = min(2*pause, lookAgainMost)
	}
}

// look finds out who leads, and reports whether that is known. A leader that says that it still
// serves saves asking the others.
func (f *Finder) look(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	holders := f.c.Holders()
	if leader := f.Leader(); leader != "" && slices.Contains(holders, leader) {
		if s, err := f.c.Ask(ctx, leader); err == nil && s.Serving {
			f.found(leader, s.Term)
			return true
		}
	}
	answers := make(chan found, len(holders))
	for _, node := range holders {
		go func() {
			s, err := f.c.Ask(ctx, node)
			answers <- found{node, s, err == nil}
		}()
	}
	var best found
	for range holders {
		a := <-answers
		if a.ok && a.Serving && (!best.ok || a.Term > best.Term) {
			best = a
		}
		if best.ok && a.ok && a.Term <= best.Term {
			break // nobody knows a later term so far, and one serves
		}
	}
	if !best.ok {
		f.found("", 0)
		return false
	}
	f.found(best.node, best.Term)
	return true
}

// found is one answer.
type found struct {
	node string
	Standing
	ok bool
}

func (f *Finder) found(leader string, term uint64) {
	f.mu.Lock()
	other := f.leader != leader
	f.leader, f.term = leader, max(f.term, term)
	f.mu.Unlock()
	if other {
		f.changed()
	}
}
