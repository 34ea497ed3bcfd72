package view

import (
	"encoding/binary"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/lockstepkv/lockstep/store/keyslot"
)

// DefaultVirtualNodes is the number of points that each shard has on the ring.
const DefaultVirtualNodes = 160

// ringSeed is part of the on-disk contract: another value would send existing
// keys to other shards. Tried were the integers from 1 upwards; this one keeps
// the fullest shard within 1.113 times the mean in every cluster of 1 to 32
// shards (ids 0..N-1, DefaultVirtualNodes), where most reach 1.2.
const ringSeed uint64 = 35186

// Ring places the slots on shards by consistent hashing (Karger et al., 1997)
// with virtual nodes. A slot's own position is not hashed: slot s lies at s/16384
// of the circle, so a shard owns runs of neighbouring slots, few enough to be
// listed in CLUSTER SLOTS, and only the points of the shards are random.
//
// Adding a shard moves slots onto that shard only, removing one moves its slots
// only. A variant with bounded loads (Mirrokni et al., 2016) would balance any
// set of shards, but moves slots between old shards when the bound changes; the
// choice of the seed gives the balance without that.
//
// A Ring never changes after NewRing and is safe for concurrent use.
type Ring struct {
	points []ringPoint          // ordered by position
	slots  [keyslot.Count]int32 // slot -> shard, precomputed
	shards []int                // ascending
}

type ringPoint struct {
	position uint64
	shard    int32
}

// NewRing builds the ring of the given shards, which must be distinct and not
// negative; their order does not matter. vnodes < 1 means DefaultVirtualNodes.
// Without shards every slot belongs to shard -1.
func NewRing(shards []int, vnodes int) *Ring {
	if vnodes < 1 {
		vnodes = DefaultVirtualNodes
	}
	r := &Ring{shards: slices.Clone(shards)}
	slices.Sort(r.shards)
	r.shards = slices.Compact(r.shards)
	r.points = make([]ringPoint, 0, len(r.shards)*vnodes)
	for _, id := range r.shards {
		for v := range vnodes {
			r.points = append(r.points, ringPoint{pointPosition(ringSeed, id, v), int32(id)})
		}
	}
	slices.SortFunc(r.points, comparePoints)
	for slot := range r.slots {
		r.slots[slot] = r.owner(slotPosition(uint16(slot)))
	}
	return r
}

// RingOf is the ring of a node with so many shards.
func RingOf(n int) *Ring {
	shards := make([]int, n)
	for i := range shards {
		shards[i] = i
	}
	return NewRing(shards, DefaultVirtualNodes)
}

// pointPosition is where virtual node v of a shard lies on the circle.
func pointPosition(seed uint64, shard, v int) uint64 {
	var b [24]byte
	binary.LittleEndian.PutUint64(b[0:], seed)
	binary.LittleEndian.PutUint64(b[8:], uint64(shard))
	binary.LittleEndian.PutUint64(b[16:], uint64(v))
	return xxhash.Sum64(b[:])
}

// slotPosition spreads the 2^14 slots evenly over the 2^64 positions.
func slotPosition(slot uint16) uint64 { return uint64(slot) << 50 }

// comparePoints breaks a tie of positions by shard, so that the order in which
// shards were given never matters.
func comparePoints(a, b ringPoint) int {
	switch {
	case a.position < b.position:
		return -1
	case a.position > b.position:
		return 1
	default:
		return int(a.shard) - int(b.shard)
	}
}

// owner is the shard of the first point at or after position, clockwise.
// It takes O(log(shards * vnodes)).
func (r *Ring) owner(position uint64) int32 {
	if len(r.points) == 0 {
		return -1
	}
	i, _ := slices.BinarySearchFunc(r.points, position, func(p ringPoint, pos uint64) int {
		switch {
		case p.position < pos:
			return -1
		case p.position > pos:
			return 1
		default:
			return 0
		}
	})
	if i == len(r.points) {
		i = 0
	}
	return r.points[i].shard
}

// ShardOf is the shard that owns slot; slot must be below keyslot.Count.
func (r *Ring) ShardOf(slot uint16) int { return int(r.slots[slot]) }

// Shards lists the shards in ascending order. The caller must not change it.
func (r *Ring) Shards() []int { return r.shards }

// SlotsOf returns the slots of a shard.
func (r *Ring) SlotsOf(shard int) *keyslot.Set {
	set := new(keyslot.Set)
	for slot, of := range r.slots {
		if int(of) == shard {
			set.Add(uint16(slot))
		}
	}
	return set
}

// Ranges lists the slots of a shard as inclusive [first, last] pairs in
// ascending order, as CLUSTER SLOTS and GET /v1/cluster show them.
func (r *Ring) Ranges(shard int) [][2]uint16 { return r.SlotsOf(shard).Ranges() }
