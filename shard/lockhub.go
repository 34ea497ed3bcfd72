package shard

import (
	"context"
	"encoding/binary"
	"sync"
	"time"

	"github.com/lockstepkv/lockstep/fsm/lock"
)

// watchBuffer is how many events a watcher may be behind.
const watchBuffer = 64

// lockHub tells this node's clients what happens to locks. Every node replicates
// every shard, so the state machine here knows; a follower's learns of a grant
// only with the leader's next message, so the leader also tells the node that
// waits, at once. Either may come first: a grant holds as soon as one replica has
// applied it.
type lockHub struct {
	g *Group

	mu      sync.Mutex
	waits   map[string][]chan lock.Event            // guarded by mu; by token
	watches map[string]map[chan lock.Event]struct{} // guarded by mu; by name
}

func newLockHub(g *Group) *lockHub {
	return &lockHub{g: g, waits: make(map[string][]chan lock.Event), watches: make(map[string]map[chan lock.Event]struct{})}
}

// changed is the state machine's call: see fsm.Options.OnLocks.
func (h *lockHub) changed(index uint64, events []lock.Event) {
	if events == nil {
		h.lost()
		return
	}
	h.g.nudgeLockTimer()
	leads := h.g.serving.Load() != 0
	for _, e := range events {
		e.Index = index
		h.g.metrics.lockEvent(e)
		h.wake(e)
		h.show(e)
		if leads && e.Kind == lock.EventGranted && e.Node != "" && e.Node != h.g.self {
			h.g.wg.Go(func() { h.g.pushGrant(e) })
		}
	}
}

// wake tells who waits with the event's token.
func (h *lockHub) wake(e lock.Event) {
	if e.Token == "" {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, ch := range h.waits[e.Token] {
		select {
		case ch <- e:
		default: // it was told already
		}
	}
}

// show tells who watches the event's lock. Who is too far behind misses what
// comes next, and is told that by the end of the channel.
func (h *lockHub) show(e lock.Event) {
	if e.Kind == lock.EventWaiterGone {
		return
	}
	e.Token = "" // the holder's secret
	h.mu.Lock()
	defer h.mu.Unlock()
	for ch := range h.watches[e.Name] {
		select {
		case ch <- e:
		default:
			h.dropWatch(e.Name, ch)
		}
	}
}

// lost is called when a snapshot was restored, and nobody knows what happened in
// between. Waiters look again; watchers begin again.
func (h *lockHub) lost() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, list := range h.waits {
		for _, ch := range list {
			select {
			case ch <- lock.Event{}:
			default:
			}
		}
	}
	for name, set := range h.watches {
		for ch := range set {
			h.dropWatch(name, ch)
		}
	}
}

func (h *lockHub) dropWatch(name string, ch chan lock.Event) {
	if _, there := h.watches[name][ch]; !there {
		return
	}
	close(ch)
	if delete(h.watches[name], ch); len(h.watches[name]) == 0 {
		delete(h.watches, name)
	}
}

// ExpectGrant listens for what becomes of a request with the given token, which
// the caller is about to send. The channel gets one event: a grant, the end of
// the wait, or one without a kind when events may have been missed.
func (g *Group) ExpectGrant(token string) (outcome <-chan lock.Event, stop func()) {
	h, ch := g.locks, make(chan lock.Event, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waits[token] = append(h.waits[token], ch)
	return ch, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		list := h.waits[token]
		for i := range list {
			if list[i] == ch {
				list[i] = list[len(list)-1]
				h.waits[token] = list[:len(list)-1]
				break
			}
		}
		if len(h.waits[token]) == 0 {
			delete(h.waits, token)
		}
	}
}

// WatchLock follows the grants and losses of a lock as this replica applies them.
// The channel is closed when events were missed.
func (g *Group) WatchLock(name string) (events <-chan lock.Event, stop func()) {
	h, ch := g.locks, make(chan lock.Event, watchBuffer)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watches[name] == nil {
		h.watches[name] = make(map[chan lock.Event]struct{})
	}
	h.watches[name][ch] = struct{}{}
	return ch, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.dropWatch(name, ch)
	}
}

// Origin names this life of this node, which requests for locks carry.
func (g *Group) Origin() (node string, boot uint64) { return g.self, g.opt.Boot }

// pushTimeout bounds the message that tells of a grant. It saves the waiter a few
// milliseconds; the log tells it anyway.
const pushTimeout = time.Second

// pushGrant tells the node whose client waits for it of a grant.
func (g *Group) pushGrant(e lock.Event) {
	ctx, cancel := context.WithTimeout(context.Background(), pushTimeout)
	defer cancel()
	msg := appendGroup(nil, g.id)
	msg = binary.AppendUvarint(msg, e.Fence)
	msg = binary.AppendUvarint(msg, uint64(e.ExpiresAt))
	_, _ = g.net.Call(ctx, e.Node, methodGranted, append(msg, e.Token...))
}

// answerGranted takes what pushGrant sent.
func (g *Group) answerGranted(msg []byte) error {
	fence, rest, err := cutUvarint(msg)
	if err != nil {
		return err
	}
	at, token, err := cutUvarint(rest)
	if err != nil {
		return err
	}
	g.locks.wake(lock.Event{Kind: lock.EventGranted, Token: string(token), Fence: fence, ExpiresAt: int64(at)})
	return nil
}
