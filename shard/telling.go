package shard

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/fsm/wait"
	"github.com/lockstepkv/lockstep/transport"
)

// telling is what a hub asks of its replica.
type telling struct{ g *Group }

// Serving implements notify.Replica.
func (t telling) Serving() (term uint64) { return t.g.serving.Load() }

// Sound implements notify.Replica.
func (t telling) Sound() bool { return t.g.keeper.Sound() }

// Seen implements notify.Replica.
func (t telling) Seen(events []lock.Event) {
	t.g.nudgeLockTimer()
	for _, e := range events {
		t.g.metrics.lockEvent(e)
	}
}

// Push implements notify.Replica.
func (t telling) Push(term uint64, grant lock.Event) {
	t.g.wg.Go(func() { t.g.pushGrant(term, grant) })
}

// AskLeader implements notify.Replica.
func (t telling) AskLeader(ctx context.Context) error { return t.g.reader.AskLeader(ctx) }

// Watch follows what happens at a topic as this replica applies it, and of an outcome as
// soon as the leader tells of it. The channel is closed when events were missed.
func (g *Group) Watch(topic wait.Topic) (events <-chan wait.Event, stop func()) {
	return g.hub.Watch(topic)
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

// answerGranted takes what pushGrant sent.
func (g *Group) answerGranted(msg []byte) error {
	term, grant, err := decodeGrant(msg)
	if err != nil {
		return err
	}
	if !transport.PlausibleTerm(g.told.Served(), term) {
		return fmt.Errorf("%w: term %d", errMalformedMessage, term)
	}
	g.hub.Pushed(term, grant)
	return nil
}

func decodeGrant(msg []byte) (term uint64, grant lock.Event, err error) {
	var fence, at uint64
	for _, v := range [...]*uint64{&term, &fence, &at} {
		if *v, msg, err = cutUvarint(msg); err != nil {
			return 0, lock.Event{}, err
		}
	}
	return term, lock.Event{Kind: lock.EventGranted, Token: string(msg), Fence: fence, ExpiresAt: int64(at)}, nil
}
