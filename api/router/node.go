package router

import (
	"context"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/wait"
	"github.com/lockstepkv/lockstep/resp"
)

// Shard is one Raft group as the router sees it: a replica here, or nodes that have one.
type Shard interface {
	ID() int

	// Propose runs the units of b in order and returns one reply per unit. An
	// error wraps command.ErrUnavailable, ErrOverloaded, ErrNoRoom (nothing
	// happened) or ErrInDoubt. Propose may keep b after it returned.
	Propose(ctx context.Context, b command.Batch) ([]resp.Value, error)

	// Read answers q: by its Run under the store's read lock where there is a replica here,
	// else from another node's. It touches q no more after it returned. Errors are definite.
	Read(ctx context.Context, opt command.ReadOptions, q command.Query) (command.ReadInfo, error)

	// OutOfMemory reports whether commands that need memory would be refused as
	// far as this node can tell. Must be cheap.
	OutOfMemory() bool

	// NoRoom returns errors that wrap command.ErrNoRoom if writes are to be refused because
	// disks are full: those that need memory, and the rest but for those that free. Must be cheap.
	NoRoom() (growth, rest error)
	// CountNoRoom counts a write that was refused so.
	CountNoRoom()

	// Watch follows what happens at a topic as this node's replica learns of it, or the one
	// that it asks, until stop is called. The channel is closed when events may have been missed.
	Watch(topic wait.Topic) (events <-chan wait.Event, stop func())
}

// Node is what the router needs of the node it runs on.
type Node interface {
	// Shards returns all shards, Shards()[i].ID() == i.
	Shards() []Shard
	// ShardOfSlot tells which shard holds a slot as far as this node knows: where to send
	// what concerns it. It may change at any time, the number of shards does not. Must be cheap.
	ShardOfSlot(slot uint16) int
	Cluster() ClusterInfo
	// IsLeader reports whether this node leads the shard. Must be cheap.
	IsLeader(shard int) bool
	// Holds reports whether this node has a replica of the shard. Must be cheap.
	Holds(shard int) bool
	TransferLeadership(ctx context.Context, shard int, node string) error
	// Origin names this life of this node in a shard, which those who wait carry.
	Origin(shard int) (node string, boot uint64)
}

// ClusterInfo is this node's view of the cluster.
type ClusterInfo struct {
	ID     string // of the cluster
	Self   string // id of this node
	Nodes  []NodeInfo
	Shards []ShardInfo

	LogCache int64 // bytes that the newest log entries take in this node's memory
}

// NodeInfo describes one node. The addresses are host:port as clients reach them.
type NodeInfo struct {
	ID    string
	HTTP  string
	RESP  string
	Peer  string
	State string // one of those below

	Version string
	Limits  map[string]string // settings that ought to be the same on all nodes
}

// States of a node, as this one sees it.
const (
	StateUp       = "up"
	StateStarting = "starting" // it answers, and has not served data yet
	StateDown     = "down"     // there is no connection with it
	StateUnknown  = "unknown"  // this node has only just started and has not looked
)

// ShardInfo describes one shard.
type ShardInfo struct {
	ID           int
	Leader       string // node id; empty when none is known
	Replicas     []string
	Slots        [][2]uint16 // ranges, both ends included
	AppliedIndex uint64
	Term         uint64
	States       []ReplicaState

	// Of this node's replica, since the process started.
	Evicted, Expired uint64 // keys
	UsedPeak         int64  // bytes
}

// ReplicaState is what a node has told of its replica of a shard.
type ReplicaState struct {
	Node    string
	Role    string // such as "leader" and "follower"
	Applied uint64
	Lag     uint64 // entries that this node's replica has applied and that one has not
}

// node returns the node with the given id, or nil.
func (c *ClusterInfo) node(id string) *NodeInfo {
	for i := range c.Nodes {
		if c.Nodes[i].ID == id {
			return &c.Nodes[i]
		}
	}
	return nil
}

// shard returns the shard with the given id, or nil.
func (c *ClusterInfo) shard(id int) *ShardInfo {
	for i := range c.Shards {
		if c.Shards[i].ID == id {
			return &c.Shards[i]
		}
	}
	return nil
}
