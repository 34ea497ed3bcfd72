package notify

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/lockstepkv/lockstep/fsm/wait"
)

const (
	// feedRoom is how many events a feed may be behind, feedTopics how many topics it has.
	feedRoom   = 4096
	feedTopics = 1 << 17
)

var (
	// ErrMissed is the error of a feed that something was missed of, or that there is not. Whoever
	// followed it begins a new one, and looks.
	ErrMissed = errors.New("the feed has missed something")
	// ErrFeedFull is the error of a feed that is to have too many topics.
	ErrFeedFull = errors.New("the feed has too many topics")
)

// Feeds are what nodes that have no replica of the shard follow here: one for each node, with the
// topics that its clients watch. What is told to watchers is put by for it until the node comes
// for it. The zero value has none.
type Feeds struct {
	some atomic.Bool // there is one: what happens is of interest

	mu sync.Mutex
	at map[string]*feed // by node; guarded by mu
}

// feed is what one node follows. The mutex of Feeds guards it.
type feed struct {
	id     uint64
	topics map[wait.Topic]struct{}
	events []wait.Event
	missed bool
	wake   chan struct{} // capacity 1
}

// Follow adds topics to a node's feed, and drops some. fresh makes a new one in place of any that
// the node has had.
func (f *Feeds) Follow(node string, id uint64, fresh bool, add, drop []wait.Topic) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fresh {
		if f.at == nil {
			f.at = make(map[string]*feed)
		}
		if old := f.at[node]; old != nil {
			old.lose()
		}
		f.at[node] = &feed{id: id, topics: make(map[wait.Topic]struct{}), wake: make(chan struct{}, 1)}
		f.some.Store(true)
	}
	d := f.at[node]
	if d == nil || d.id != id || d.missed {
		return ErrMissed
	}
	for _, t := range drop {
		delete(d.topics, t)
	}
	if len(d.topics)+len(add) > feedTopics {
		return ErrFeedFull
	}
	for _, t := range add {
		d.topics[t] = struct{}{}
	}
	return nil
}

// Poll returns what a node's feed has to tell, and waits for that as long as ctx lets it.
func (f *Feeds) Poll(ctx context.Context, node string, id uint64) ([]wait.Event, error) {
	for {
		f.mu.Lock()
		d := f.at[node]
		if d == nil || d.id != id || d.missed {
			if d != nil && d.id == id {
				f.remove(node)
			}
			f.mu.Unlock()
			return nil, ErrMissed
		}
		events := d.events
		d.events = nil
		f.mu.Unlock()
		if len(events) > 0 {
			return events, nil
		}
		select {
		case <-d.wake:
		case <-ctx.Done():
			return nil, nil
		}
	}
}

// remove is called with mu held.
func (f *Feeds) remove(node string) {
	delete(f.at, node)
	f.some.Store(len(f.at) > 0)
}

// hear puts an event by for those who follow its topic.
func (f *Feeds) hear(e wait.Event) {
	if !f.some.Load() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range f.at {
		if _, follows := d.topics[e.Topic]; !follows || d.missed {
			continue
		}
		if len(d.events) == feedRoom {
			d.lose()
			continue
		}
		d.events = append(d.events, e)
		d.tell()
	}
}

// missed ends all feeds: something has happened that nobody knows of.
func (f *Feeds) missed() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range f.at {
		d.lose()
	}
}

// lose forgets what the feed has, of which something is missing.
func (d *feed) lose() {
	d.missed, d.events, d.topics = true, nil, nil
	d.tell()
}

func (d *feed) tell() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}
