package shard

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/fsm/wait"
	"github.com/lockstepkv/lockstep/internal/wire"
	"github.com/lockstepkv/lockstep/shard/forward"
	"github.com/lockstepkv/lockstep/transport"
)

// What nodes without a replica of a shard ask of one that has it: reads, how its replica stands,
// and what happens to locks. Package forward has the other side.

// remoteNodes is how a shard elsewhere is read and followed.
type remoteNodes struct{ r *Remote }

// Order implements forward.Nodes and forward.Feeds.
func (m remoteNodes) Order() []string { return m.r.finder.Order() }

// Denied implements forward.Nodes.
func (m remoteNodes) Denied(node string) { m.r.finder.Denied(node) }

// Read implements forward.Nodes.
func (m remoteNodes) Read(ctx context.Context, node string, request ...[]byte) ([]byte, error) {
	msg := append([][]byte{appendGroup(nil, m.r.id)}, request...)
	reply, err := m.r.node.net.CallParts(ctx, node, methodRead, msg...)
	if remote := new(transport.RemoteError); errors.As(err, &remote) {
		err = fmt.Errorf("%w: %w", forward.ErrFinal, err)
	}
	return reply, err
}

// answerRead answers a read of a node that has no replica, by the rule of all reads. Its own error
// means that no node would answer it.
func (n *Node) answerRead(ctx context.Context, _ string, req []byte) ([]byte, error) {
	g, rest, err := n.groupOf(req)
	if errors.Is(err, forward.ErrNotHere) {
		return forward.AppendAnswer(nil, command.ReadInfo{}, nil, err), nil
	}
	if err != nil {
		return nil, err
	}
	opt, ask, units, err := forward.DecodeRequest(rest)
	if err == nil {
		err = g.opt.Table.CheckQuery(units, ask.Units.N)
	}
	if err != nil {
		return nil, err
	}
	// Not for as long as the client waits: the node that asked may have had its answer from another.
	ctx, cancel := context.WithTimeout(ctx, 2*n.opt.ElectionTimeout)
	defer cancel()
	var answer command.Answer
	var failed error
	info, err := g.Read(ctx, opt, func(c *command.Ctx) { answer, failed = c.Table.Query(c, &ask, units) })
	if failed != nil && err == nil {
		return nil, failed
	}
	return forward.AppendAnswer(nil, info, &answer, err), nil
}

// answerStanding says how this node's replica of a shard stands.
func (n *Node) answerStanding(_ context.Context, _ string, req []byte) ([]byte, error) {
	g, _, err := n.groupOf(req)
	if err != nil {
		return nil, err
	}
	// The term first: a node that serves in a later one says so the next time.
	term, serving := g.raft.CurrentTerm(), g.serving.Load()
	msg := binary.AppendUvarint(make([]byte, 0, 32), term)
	if serving != 0 && serving == term {
		msg = append(msg, 1)
	} else {
		msg = append(msg, 0)
	}
	return append(msg, g.Leader()...), nil
}

func decodeStanding(msg []byte) (s forward.Standing, err error) {
	term, rest, ok := wire.CutUvarint(msg)
	if !ok || len(rest) == 0 || rest[0] > 1 || term > transport.MaxNumber {
		return s, errMalformedMessage
	}
	return forward.Standing{Term: term, Serving: rest[0] == 1, Leader: string(rest[1:])}, nil
}

// feedMessage is what methodFollow and methodPoll carry, as JSON after the group.
type feedMessage struct {
	Feed  uint64      `json:"feed"`
	Fresh bool        `json:"fresh,omitempty"`
	Add   []feedTopic `json:"add,omitempty"`
	Drop  []feedTopic `json:"drop,omitempty"`
}

// feedTopic is a wait.Topic. Names are bytes, which JSON does not keep in strings.
type feedTopic struct {
	Kind wait.Kind `json:"kind"`
	Key  []byte    `json:"key"`
}

func (t feedTopic) topic() wait.Topic { return wait.Topic{Kind: t.Kind, Key: string(t.Key)} }

func feedTopics(list []wait.Topic) (out []feedTopic) {
	for _, t := range list {
		out = append(out, feedTopic{t.Kind, []byte(t.Key)})
	}
	return out
}

func topicsIn(list []feedTopic) (out []wait.Topic) {
	for _, t := range list {
		out = append(out, t.topic())
	}
	return out
}

// feedEvent is one event of a feed: a lock.Event.
type feedEvent struct {
	Topic     feedTopic      `json:"topic"`
	Index     uint64         `json:"index"`
	Kind      lock.EventKind `json:"kind"`
	Reason    lock.Reason    `json:"reason,omitempty"`
	Name      []byte         `json:"name"`
	Owner     []byte         `json:"owner,omitempty"`
	Token     []byte         `json:"token,omitempty"`
	Fence     uint64         `json:"fence,omitempty"`
	ExpiresAt int64          `json:"expires_at,omitempty"`
	Node      string         `json:"node,omitempty"`
	Boot      uint64         `json:"boot,omitempty"`
}

func feedEventOf(e wait.Event, l lock.Event) feedEvent {
	return feedEvent{
		Topic: feedTopic{e.Topic.Kind, []byte(e.Topic.Key)}, Index: e.Index, Kind: l.Kind, Reason: l.Reason,
		Name: []byte(l.Name), Owner: []byte(l.Owner), Token: []byte(l.Token), Fence: l.Fence, ExpiresAt: l.ExpiresAt, Node: l.Node, Boot: l.Boot,
	}
}

func (e feedEvent) event() wait.Event {
	return wait.Event{Topic: e.Topic.topic(), Index: e.Index, What: lock.Event{
		Kind: e.Kind, Reason: e.Reason, Name: string(e.Name), Owner: string(e.Owner), Token: string(e.Token),
		Fence: e.Fence, ExpiresAt: e.ExpiresAt, Node: e.Node, Boot: e.Boot,
	}}
}

// pollFor is how long a node waits for something to tell: less than the other one waits for it.
const pollFor = time.Second

// Follow implements forward.Feeds.
func (m remoteNodes) Follow(ctx context.Context, node string, feed uint64, fresh bool, add, drop []wait.Topic) error {
	_, err := m.feed(ctx, node, methodFollow, feedMessage{feed, fresh, feedTopics(add), feedTopics(drop)})
	return err
}

// Poll implements forward.Feeds.
func (m remoteNodes) Poll(ctx context.Context, node string, feed uint64) ([]wait.Event, error) {
	reply, err := m.feed(ctx, node, methodPoll, feedMessage{Feed: feed})
	if err != nil {
		return nil, err
	}
	var told []feedEvent
	if err := json.Unmarshal(reply, &told); err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformedMessage, err)
	}
	events := make([]wait.Event, len(told))
	for i, e := range told {
		events[i] = e.event()
	}
	return events, nil
}

func (m remoteNodes) feed(ctx context.Context, node string, method transport.Method, msg feedMessage) ([]byte, error) {
	encoded, err := json.Marshal(msg)
	if err != nil {
		return nil, err
	}
	reply, err := m.r.node.net.Call(ctx, node, method, append(appendGroup(nil, m.r.id), encoded...))
	if err != nil && ctx.Err() == nil {
		m.r.finder.Denied(node)
	}
	return reply, err
}

// answerFollow adds to what another node follows here.
func (n *Node) answerFollow(_ context.Context, from string, req []byte) ([]byte, error) {
	g, msg, err := n.feedOf(req)
	if err != nil {
		return nil, err
	}
	return nil, g.hub.Feeds().Follow(from, msg.Feed, msg.Fresh, topicsIn(msg.Add), topicsIn(msg.Drop))
}

// answerPoll tells another node what has happened at the topics that it follows.
func (n *Node) answerPoll(ctx context.Context, from string, req []byte) ([]byte, error) {
	g, msg, err := n.feedOf(req)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, pollFor)
	defer cancel()
	events, err := g.hub.Feeds().Poll(ctx, from, msg.Feed)
	if err != nil {
		return nil, err
	}
	told := make([]feedEvent, 0, len(events))
	for _, e := range events {
		if what, known := e.What.(lock.Event); known {
			told = append(told, feedEventOf(e, what))
		}
	}
	return json.Marshal(told)
}

func (n *Node) feedOf(req []byte) (g *Group, msg feedMessage, err error) {
	g, rest, err := n.groupOf(req)
	if err != nil {
		return nil, msg, err
	}
	if err := json.Unmarshal(rest, &msg); err != nil {
		return nil, msg, fmt.Errorf("%w: %w", errMalformedMessage, err)
	}
	return g, msg, nil
}
