package shard

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/fsm/wait"
	"github.com/lockstepkv/lockstep/shard/notify"
	"github.com/lockstepkv/lockstep/transport"
)

// maxHeld bounds the events that wait to be told; see told. Beyond it they are
// dropped, and everybody looks for himself.
const maxHeld = 1 << 16

// lockHub tells this node's clients what happens to locks. Every node replicates
// every shard, so the state machine here knows; a follower's learns of a grant
// only with the leader's next message, so the leader also tells the node that
// waits, at once. Either may come first: a grant holds as soon as one replica has
// applied it.
type lockHub struct {
	g        *Group
	nudge    chan struct{} // capacity 1: something is held
	watchers notify.Watchers

	mu   sync.Mutex
	held []heldEvent // guarded by mu; may not be told yet
}

type heldEvent struct {
	lock.Event
	index uint64
}

func newLockHub(g *Group) *lockHub { return &lockHub{g: g, nudge: make(chan struct{}, 1)} }

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
		h.g.metrics.lockEvent(e)
		h.held = append(h.held, heldEvent{e, index})
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
		for _, notice := range e.Notices(e.index) {
			h.watchers.Tell(notice)
		}
		if h.g.serving.Load() == term && e.Kind == lock.EventGranted && e.Node != "" && e.Node != h.g.self {
			h.g.wg.Go(func() { h.g.pushGrant(term, e.Event) })
		}
	}
	h.held = nil
	return true
}

// lost is called, with mu held, when a snapshot was restored, and nobody knows what
// happened in between. Everybody looks again.
func (h *lockHub) lost() {
	h.held = nil
	h.watchers.Missed()
}

// Watch follows what happens at a topic as this replica applies it, and of an outcome as
// soon as the leader tells of it. The channel is closed when events were missed.
func (g *Group) Watch(topic wait.Topic) (events <-chan wait.Event, stop func()) {
	return g.locks.watchers.Watch(topic)
}

// Origin names this life of this node in the shard, which those who wait carry.
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
	grant := lock.Event{Kind: lock.EventGranted, Token: string(token), Fence: fence, ExpiresAt: int64(at)}
	g.locks.watchers.Tell(wait.Event{Topic: lock.Outcome(grant.Token), What: grant})
	return nil
}
