// Package view says what a node knows of the cluster as a whole: the nodes and where they are
// reached, the slots of each shard, and which nodes have a replica of it. All rooms ask it,
// instead of the options that a node was started with.
//
// A View never changes. Current has the one in force, which may be replaced by one of a higher
// epoch; who asks twice may get two answers. So views decide where a request is sent, and never
// what may be done with it: that is for the state machine of a shard to say, whose slots are
// part of its own state.
package view

import (
	"fmt"
	"slices"

	"github.com/lockstepkv/lockstep/store/keyslot"
)

// Peer is a node.
type Peer struct {
	ID   string
	Addr string // host:port for other nodes
}

// View is the cluster at one epoch.
type View struct {
	epoch   uint64
	peers   []Peer
	owners  [keyslot.Count]uint16
	holders [][]string // by shard
	slots   []*keyslot.Set
	ranges  [][][2]uint16
}

// Parts is what a View is made of.
type Parts struct {
	Epoch   uint64
	Peers   []Peer     // all nodes, in the order of the configuration
	Holders [][]string // by shard, the ids of the nodes that have a replica
	// ShardOf tells the shard of each slot.
	ShardOf func(slot uint16) int
}

// New makes a View.
func New(p Parts) (*View, error) {
	v := &View{epoch: p.Epoch, peers: slices.Clone(p.Peers), slots: make([]*keyslot.Set, len(p.Holders))}
	for shard, ids := range p.Holders {
		if len(ids) == 0 {
			return nil, fmt.Errorf("view: shard %d has no replica", shard)
		}
		for _, id := range ids {
			if _, known := v.Peer(id); !known {
				return nil, fmt.Errorf("view: shard %d has a replica on %q, which is no node", shard, id)
			}
		}
		v.holders = append(v.holders, slices.Clone(ids))
		v.slots[shard] = new(keyslot.Set)
	}
	for slot := range v.owners {
		shard := p.ShardOf(uint16(slot))
		if shard < 0 || shard >= len(v.holders) {
			return nil, fmt.Errorf("view: slot %d is on shard %d of %d", slot, shard, len(v.holders))
		}
		v.owners[slot] = uint16(shard)
		v.slots[shard].Add(uint16(slot))
	}
	for _, set := range v.slots {
		v.ranges = append(v.ranges, set.Ranges())
	}
	return v, nil
}

// Whole is the view of a cluster whose nodes all have a replica of each shard, with the slots
// where the ring places them.
func Whole(peers []Peer, shards int) *View {
	ids := make([]string, len(peers))
	for i, p := range peers {
		ids[i] = p.ID
	}
	v, err := New(Parts{Epoch: 1, Peers: peers, Holders: slices.Repeat([][]string{ids}, shards), ShardOf: RingOf(shards).ShardOf})
	if err != nil {
		panic(err) // of no shards
	}
	return v
}

// Epoch orders the views of a cluster.
func (v *View) Epoch() uint64 { return v.epoch }

// Shards is how many shards there are.
func (v *View) Shards() int { return len(v.holders) }

// Peers lists all nodes in the order of the configuration. The caller must not change it.
func (v *View) Peers() []Peer { return v.peers }

// Peer returns the node with the given id.
func (v *View) Peer(id string) (p Peer, known bool) {
	for _, p := range v.peers {
		if p.ID == id {
			return p, true
		}
	}
	return Peer{}, false
}

// ShardOf is the shard of a slot, which must be below keyslot.Count.
func (v *View) ShardOf(slot uint16) int { return int(v.owners[slot]) }

// SlotsOf returns the slots of a shard, which the caller must not change.
func (v *View) SlotsOf(shard int) *keyslot.Set { return v.slots[shard] }

// RangesOf lists the slots of a shard as Set.Ranges does. The caller must not change it.
func (v *View) RangesOf(shard int) [][2]uint16 { return v.ranges[shard] }

// HoldersOf lists the nodes that have a replica of a shard. The caller must not change it.
func (v *View) HoldersOf(shard int) []string { return v.holders[shard] }

// Holds reports whether a node has a replica of a shard.
func (v *View) Holds(node string, shard int) bool { return slices.Contains(v.holders[shard], node) }
