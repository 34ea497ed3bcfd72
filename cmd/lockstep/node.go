package main

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/wait"
	"github.com/lockstepkv/lockstep/internal/config"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/shard"
	"github.com/lockstepkv/lockstep/shard/view"
)

// node lets the router see a shard.Node, also while that is still opening: it
// translates between the two rooms' words.
type node struct {
	self   router.NodeInfo
	limits func() map[string]string // of this node; nil: none
	view   *view.Current
	shards []router.Shard
	open   atomic.Pointer[openNode]
}

// openNode is a node whose shards are open.
type openNode struct {
	*shard.Node
	groups  []*shard.Group  // by shard; nil: no replica here
	remotes []*shard.Remote // by shard; nil: there is one
}

// newNode describes a node that opens the shards of a view.
func newNode(self router.NodeInfo, v *view.Current) *node {
	a := &node{self: self, view: v}
	for id := range v.Get().Shards() {
		a.shards = append(a.shards, nodeShard{a, id})
	}
	return a
}

// viewOf is the view of a cluster that is as it was configured.
func viewOf(members []config.Member, shards int) *view.Current {
	peers := make([]view.Peer, len(members))
	for i, m := range members {
		peers[i] = view.Peer{ID: m.ID, Addr: m.PeerAddr}
	}
	return view.NewCurrent(view.Whole(peers, shards))
}

// opened lets requests go to n.
func (a *node) opened(n *shard.Node) {
	open := &openNode{Node: n, remotes: n.Remotes()}
	for id := range a.shards {
		open.groups = append(open.groups, n.Group(id))
	}
	a.open.Store(open)
}

// leader is the node that leads a shard, as far as this one knows.
func (n *openNode) leader(shard int) string {
	if g := n.groups[shard]; g != nil {
		return g.Leader()
	}
	return n.remotes[shard].Leader()
}

// get is the node once it is open, else nil.
func (a *node) get() *shard.Node {
	if a == nil {
		return nil
	}
	if n := a.open.Load(); n != nil {
		return n.Node
	}
	return nil
}

func (a *node) Shards() []router.Shard { return a.shards }

func (a *node) ShardOfSlot(slot uint16) int { return a.view.Get().ShardOf(slot) }

func (a *node) IsLeader(shard int) bool {
	n := a.open.Load()
	if n == nil {
		return false
	}
	g := n.groups[shard]
	return g != nil && g.Serving()
}

// Holds implements router.Node. A node that is still opening goes by its view.
func (a *node) Holds(shard int) bool {
	if n := a.open.Load(); n != nil {
		return n.groups[shard] != nil
	}
	return a.view.Get().Holds(a.self.ID, shard)
}

func (a *node) Origin(shard int) (node string, boot uint64) {
	if n := a.open.Load(); n != nil {
		if g := n.groups[shard]; g != nil {
			return g.Origin()
		}
		return n.remotes[shard].Origin()
	}
	return a.self.ID, 0
}

func (a *node) TransferLeadership(ctx context.Context, shard int, node string) error {
	if n := a.open.Load(); n != nil {
		return n.TransferLeadership(ctx, shard, node)
	}
	return errOpening
}

// Cluster describes the cluster as this node sees it. A shard's leader is the
// node that this node's replica follows; its index and term are this node's own, 0 without
// a replica.
func (a *node) Cluster() router.ClusterInfo {
	n := a.open.Load()
	if n == nil {
		return a.unseen()
	}
	info := router.ClusterInfo{ID: n.ClusterID(), Self: a.self.ID, LogCache: n.LogCacheHeld()}
	replicas, v := n.Replicas(), a.view.Get()
	for _, r := range replicas {
		info.Nodes = append(info.Nodes, router.NodeInfo{ID: r.ID, HTTP: r.HTTP, RESP: r.RESP, Peer: r.Peer, State: stateOf(r), Version: r.Version, Limits: r.Limits})
	}
	for i, g := range n.groups {
		sh := router.ShardInfo{ID: i, Leader: n.leader(i), Replicas: v.HoldersOf(i), Slots: v.RangesOf(i)}
		if g != nil {
			gi, figures := g.Info(), g.Figures()
			sh.AppliedIndex, sh.Term = gi.Applied, gi.Term
			sh.Evicted, sh.Expired, sh.UsedPeak = figures.Evicted, figures.Expired, figures.UsedPeak
		} else {
			sh.Term = n.remotes[i].Term()
		}
		sh.States = statesOf(replicas, i, v.HoldersOf(i), sh.AppliedIndex)
		info.Shards = append(info.Shards, sh)
	}
	return info
}

func stateOf(r shard.Replica) string {
	switch {
	case !r.Up:
		return router.StateDown
	case r.Starting:
		return router.StateStarting
	}
	return router.StateUp
}

// unseen is the cluster of a node that has not seen it yet.
func (a *node) unseen() router.ClusterInfo {
	info, v := router.ClusterInfo{Self: a.self.ID}, a.view.Get()
	for _, m := range v.Peers() {
		n := router.NodeInfo{ID: m.ID, Peer: m.Addr, State: router.StateUnknown}
		if m.ID == a.self.ID {
			n = a.self
			if a.limits != nil {
				n.Limits = a.limits()
			}
		}
		info.Nodes = append(info.Nodes, n)
	}
	for id := range v.Shards() {
		info.Shards = append(info.Shards, router.ShardInfo{ID: id, Replicas: v.HoldersOf(id), Slots: v.RangesOf(id)})
	}
	return info
}

// statesOf lists what the holders of a shard have told of their replicas.
func statesOf(replicas []shard.Replica, shard int, holders []string, applied uint64) (list []router.ReplicaState) {
	for _, r := range replicas {
		if !slices.Contains(holders, r.ID) {
			continue
		}
		s := router.ReplicaState{Node: r.ID, Role: "unknown"}
		if r.Up && shard < len(r.Groups) {
			g := r.Groups[shard]
			s.Role, s.Applied, s.Lag = g.Role(r.ID), g.Applied, applied-min(applied, g.Applied)
		}
		list = append(list, s)
	}
	return list
}

var errOpening = fmt.Errorf("%w: this node is still opening its shards", command.ErrUnavailable)

// nodeShard is a shard of a node, which may not be open yet.
type nodeShard struct {
	a  *node
	id int
}

// group is this node's replica, if there is one.
func (s nodeShard) group() *shard.Group {
	if n := s.a.open.Load(); n != nil {
		return n.groups[s.id]
	}
	return nil
}

// remote is the way to the nodes that have a replica, if this one has none.
func (s nodeShard) remote() *shard.Remote {
	if n := s.a.open.Load(); n != nil {
		return n.remotes[s.id]
	}
	return nil
}

func (s nodeShard) ID() int { return s.id }

func (s nodeShard) Propose(ctx context.Context, b command.Batch) ([]resp.Value, error) {
	if g := s.group(); g != nil {
		return g.Propose(ctx, b)
	}
	if r := s.remote(); r != nil {
		return r.Propose(ctx, b)
	}
	return nil, errOpening
}

func (s nodeShard) Read(ctx context.Context, opt command.ReadOptions, q command.Query) (command.ReadInfo, error) {
	if g := s.group(); g != nil {
		return g.Read(ctx, opt, q.Run)
	}
	if r := s.remote(); r != nil {
		return r.Read(ctx, opt, q.Sent)
	}
	return command.ReadInfo{}, errOpening
}

// OutOfMemory implements router.Shard. Without a replica the log alone decides.
func (s nodeShard) OutOfMemory() bool {
	g := s.group()
	return g != nil && g.OutOfMemory()
}

func (s nodeShard) NoRoom() (growth, rest error) {
	if g := s.group(); g != nil {
		return g.NoRoom()
	}
	if r := s.remote(); r != nil {
		return r.NoRoom()
	}
	return nil, nil
}

func (s nodeShard) CountNoRoom() {
	if g := s.group(); g != nil {
		g.CountNoRoom()
	} else if r := s.remote(); r != nil {
		r.CountNoRoom()
	}
}

func (s nodeShard) Watch(topic wait.Topic) (events <-chan wait.Event, stop func()) {
	if g := s.group(); g != nil {
		return g.Watch(topic)
	}
	if r := s.remote(); r != nil {
		return r.Watch(topic)
	}
	missed := make(chan wait.Event)
	close(missed)
	return missed, func() {}
}
