package forward

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/lockstepkv/lockstep/fsm/wait"
	"github.com/lockstepkv/lockstep/internal/clock"
	"github.com/lockstepkv/lockstep/shard/notify"
)

// Feeds is where a Follower follows: a node with a replica.
type Feeds interface {
	// Order lists the nodes with a replica; the first is asked.
	Order() []string
	// Follow adds topics to a feed at a node, and drops some. fresh makes a new one of it. Once it
	// has returned nothing of the topics is missed.
	Follow(ctx context.Context, node string, feed uint64, fresh bool, add, drop []wait.Topic) error
	// Poll waits a while for what the feed has to tell. An error means that something may be missed.
	Poll(ctx context.Context, node string, feed uint64) ([]wait.Event, error)
}

const (
	// gather is how long topics are gathered before a node is told of them: most locks are free, and
	// nobody watches them for long.
	gather = 5 * time.Millisecond
	// followTimeout bounds one message.
	followTimeout = 2 * time.Second
	// followPause is how long after a feed has failed there is another one.
	followPause = 50 * time.Millisecond
)

// Follower tells this node's clients what happens to locks of a shard of which it has no replica.
// Another node's hub tells it, by the rule that it tells its own clients. One that misses
// something says so to those who watch, who look then.
type Follower struct {
	feeds    Feeds
	watchers notify.Watchers
	nudge    chan struct{} // capacity 1

	mu     sync.Mutex
	topics map[wait.Topic]*following // guarded by mu
}

// following is a topic that somebody watches, or has watched until a moment ago.
type following struct {
	watch int
	live  bool // the feed has it
}

// NewFollower returns one that follows nothing.
func NewFollower(feeds Feeds) *Follower {
	return &Follower{feeds: feeds, nudge: make(chan struct{}, 1), topics: make(map[wait.Topic]*following)}
}

// Watch follows a topic until stop is called. The channel is closed when events may have been
// missed, as they may be before the other node knows of the topic.
func (f *Follower) Watch(t wait.Topic) (events <-chan wait.Event, stop func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.topics[t]
	if s == nil {
		s = new(following)
		f.topics[t] = s
	}
	s.watch++
	events, end := f.watchers.Watch(t)
	if !s.live {
		f.kick()
	}
	var once sync.Once
	return events, func() {
		once.Do(func() {
			end()
			f.mu.Lock()
			defer f.mu.Unlock()
			s.watch--
		})
	}
}

func (f *Follower) kick() {
	select {
	case f.nudge <- struct{}{}:
	default:
	}
}

// Tell passes something on that was told besides.
func (f *Follower) Tell(e wait.Event) { f.watchers.Tell(e) }

// Run follows until ctx ends.
func (f *Follower) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.nudge:
		}
		for ctx.Err() == nil && f.wanted() {
			if f.follow(ctx) == nil {
				break
			}
			f.forget()
			clock.Pause(ctx, followPause)
		}
	}
}

// wanted reports whether somebody watches.
func (f *Follower) wanted() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.topics {
		if s.watch > 0 {
			return true
		}
	}
	clear(f.topics)
	return false
}

// forget is called when a feed has failed: those who watched it look for themselves.
func (f *Follower) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for t, s := range f.topics {
		if s.live {
			s.live = false
			f.watchers.MissedAt(t)
		}
	}
}

var errNobody = errors.New("no node is known to have a replica")

// follow follows at one node until that fails, or nobody watches any more.
func (f *Follower) follow(ctx context.Context) error {
	order := f.feeds.Order()
	if len(order) == 0 {
		return errNobody
	}
	node, feed := order[0], rand.Uint64()
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	polls := false
	defer func() {
		cancel()
		if polls {
			<-ended
		}
	}()
	for fresh := true; ; fresh = false {
		clock.Pause(ctx, gather)
		add, drop := f.changes()
		if len(add)+len(drop) > 0 {
			if err := f.update(ctx, node, feed, fresh, add, drop); err != nil {
				return err
			}
		}
		if !f.wanted() {
			return nil
		}
		if !polls {
			polls = true
			go func() { ended <- f.poll(ctx, node, feed) }()
		}
		select {
		case <-f.nudge:
		case err := <-ended:
			polls = false
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// changes lists what the feed is to have, and what it need not have any more.
func (f *Follower) changes() (add, drop []wait.Topic) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for t, s := range f.topics {
		switch {
		case s.watch > 0 && !s.live:
			add = append(add, t)
		case s.watch == 0 && s.live:
			drop = append(drop, t)
			delete(f.topics, t)
		case s.watch == 0:
			delete(f.topics, t)
		}
	}
	return add, drop
}

func (f *Follower) update(ctx context.Context, node string, feed uint64, fresh bool, add, drop []wait.Topic) error {
	ctx, cancel := context.WithTimeout(ctx, followTimeout)
	defer cancel()
	if err := f.feeds.Follow(ctx, node, feed, fresh, add, drop); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range add {
		if s := f.topics[t]; s != nil {
			s.live = true
		}
		f.watchers.MissedAt(t) // what happened before
	}
	return nil
}

// poll passes on what a feed tells.
func (f *Follower) poll(ctx context.Context, node string, feed uint64) error {
	for ctx.Err() == nil {
		pctx, cancel := context.WithTimeout(ctx, followTimeout)
		events, err := f.feeds.Poll(pctx, node, feed)
		cancel()
		if err != nil {
			return err
		}
		for _, e := range events {
			f.watchers.Tell(e)
		}
	}
	return ctx.Err()
}
