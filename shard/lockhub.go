package shard

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/transport"
)

// watchBuffer is how many events a watcher may be behind.
const watchBuffer = 64

// maxHeld bounds the events that wait to be told; see told. Beyond it they are
// dropped, and everybody looks for himself.
const maxHeld = 1 << 16

// lockHub tells this node's clients what happens to locks. Every node replicates
// every shard, so the state machine here knows; a follower's learns of a grant
// only with the leader's next message, so the leader also tells the node that
// waits, at once. Either may come first: a grant holds as soon as one replica has
// applied it.
type lockHub struct {
	g     *Group
	nudge chan struct{} // capacity 1: something is held

	mu      sync.Mutex
	held    []lock.Event                            // guarded by mu; may not be told yet
	waits   map[string][]chan lock.Event            // guarded by mu; by token
	watches map[string]map[chan lock.Event]struct{} // guarded by mu; by name
}

func newLockHub(g *Group) *lockHub {
	return &lockHub{g: g, nudge: make(chan struct{}, 1), waits: make(map[string][]chan lock.Event), watches: make(map[string]map[chan lock.Event]struct{})}
}

// changed is the state machine's call: see fsm.Options.OnLocks.
func (h *lockHub) changed(index uint64, events []lock.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if events == nil {
		h.lost()
		return
	}
	h.g.nudgeLockTimer()
	for _, e := range events {
		e.Index = index
		h.g.metrics.lockEvent(e)
		h.held = append(h.held, e)
	}
	if len(h.held) > maxHeld {
		h.lost()
		return
	}
	// Looked at after the events were applied, and told in their order.
	if !h.tellHeldLocked() {
		select {
		case h.nudge <- struct{}{}:
		default:
		}
	}
}

// tellHeld tells what is held, if it may be told, and reports whether nothing is
// held any more.
func (h *lockHub) tellHeld() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.tellHeldLocked()
}

func (h *lockHub) tellHeldLocked() bool {
	if len(h.held) == 0 {
		return true
	}
	if !h.g.told.may() || !h.g.sound() {
		return false
	}
	term := h.g.told.served.Load()
	for _, e := range h.held {
		h.wake(e)
		h.show(e)
		if h.g.serving.Load() == term && e.Kind == lock.EventGranted && e.Node != "" && e.Node != h.g.self {
			h.g.wg.Go(func() { h.g.pushGrant(term, e) })
		}
	}
	h.held = nil
	return true
}

// wake tells who waits with the event's token; mu is held.
func (h *lockHub) wake(e lock.Event) {
	if e.Token == "" {
		return
	}
	for _, ch := range h.waits[e.Token] {
		select {
		case ch <- e:
		default: // it was told already
		}
	}
}

// show tells who watches the event's lock; mu is held. Who is too far behind
// misses what comes next, and is told that by the end of the channel.
func (h *lockHub) show(e lock.Event) {
	if e.Kind == lock.EventWaiterGone {
		return
	}
	e.Token = "" // the holder's secret
	for ch := range h.watches[e.Name] {
		select {
		case ch <- e:
		default:
			h.dropWatch(e.Name, ch)
		}
	}
}

// lost is called, with mu held, when a snapshot was restored, and nobody knows what
// happened in between. Waiters look again; watchers begin again.
func (h *lockHub) lost() {
	h.held = nil
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
func (g *Group) Origin() (node string, boot uint64) { return g.self, g.boot }

// pushTimeout bounds the message that tells of a grant. It saves the waiter a few
// milliseconds; the log tells it anyway.
const pushTimeout = time.Second

// pushGrant tells the node whose client waits for it of a grant. term is that in
// which this node serves.
func (g *Group) pushGrant(term uint64, e lock.Event) {
	ctx, cancel := context.WithTimeout(context.Background(), pushTimeout)
	defer cancel()
	msg := appendGroup(nil, g.id)
	msg = binary.AppendUvarint(msg, term)
	msg = binary.AppendUvarint(msg, e.Fence)
	msg = binary.AppendUvarint(msg, uint64(e.ExpiresAt))
	_, _ = g.net.Call(ctx, e.Node, methodGranted, append(msg, e.Token...))
}

// answerGranted takes what pushGrant sent. Another term than this node's own is no
// matter: the log tells of the grant too.
func (g *Group) answerGranted(msg []byte) error {
	term, rest, err := cutUvarint(msg)
	if err != nil {
		return err
	}
	if !transport.PlausibleTerm(g.told.served.Load(), term) {
		return fmt.Errorf("%w: term %d", errMalformedMessage, term)
	}
	fence, rest, err := cutUvarint(rest)
	if err != nil {
		return err
	}
	at, token, err := cutUvarint(rest)
	if err != nil {
		return err
	}
	g.told.serves(term)
	if !g.told.may() || g.told.served.Load() != term {
		return nil
	}
	h := g.locks
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wake(lock.Event{Kind: lock.EventGranted, Token: string(token), Fence: fence, ExpiresAt: int64(at)})
	return nil
}
