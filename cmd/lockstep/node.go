package main

import (
	"context"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/shard"
)

// node lets the router see a shard.Node: it translates between the two rooms'
// words and has no state of its own.
type node struct {
	*shard.Node
	self   string
	shards []router.Shard
	slots  [][][2]uint16 // by shard
}

func newNode(n *shard.Node, self string) *node {
	a := &node{Node: n, self: self}
	for _, g := range n.Groups() {
		a.shards = append(a.shards, g)
		a.slots = append(a.slots, n.Ring().Ranges(g.ID()))
	}
	return a
}

func (a *node) Shards() []router.Shard { return a.shards }

func (a *node) ShardOfSlot(slot uint16) int { return a.Ring().ShardOf(slot) }

func (a *node) IsLeader(shard int) bool { return a.Groups()[shard].Serving() }

func (a *node) TransferLeadership(ctx context.Context, shard int, node string) error {
	return a.Node.TransferLeadership(ctx, shard, node)
}

// Cluster describes the cluster as this node sees it. A shard's leader is the
// node that this node's replica follows; its index and term are this node's own.
func (a *node) Cluster() router.ClusterInfo {
	info := router.ClusterInfo{ID: a.ClusterID(), Self: a.self, LogCache: a.LogCacheHeld()}
	var ids []string
	replicas := a.Replicas()
	for _, r := range replicas {
		state := "up"
		if !r.Up {
			state = "down"
		}
		ids = append(ids, r.ID)
		info.Nodes = append(info.Nodes, router.NodeInfo{ID: r.ID, HTTP: r.HTTP, RESP: r.RESP, Peer: r.Peer, State: state, Version: r.Version, Limits: r.Limits})
	}
	for i, g := range a.Groups() {
		gi, figures := g.Info(), g.Figures()
		info.Shards = append(info.Shards, router.ShardInfo{
			ID: gi.ID, Leader: gi.Leader, Replicas: ids, Slots: a.slots[i], AppliedIndex: gi.Applied, Term: gi.Term,
			Evicted: figures.Evicted, Expired: figures.Expired, UsedPeak: figures.UsedPeak, States: statesOf(replicas, i, gi.Applied),
		})
	}
	return info
}

// statesOf lists what the nodes have told of their replicas of a shard.
func statesOf(replicas []shard.Replica, shard int, applied uint64) (list []router.ReplicaState) {
	for _, r := range replicas {
		s := router.ReplicaState{Node: r.ID, Role: "unknown"}
		if r.Up && shard < len(r.Groups) {
			g := r.Groups[shard]
			s.Role, s.Applied, s.Lag = g.Role(r.ID), g.Applied, applied-min(applied, g.Applied)
		}
		list = append(list, s)
	}
	return list
}
