package shard

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// What is free is judged by bytes, not only by time: a disk can be filled between two looks
// at it. Every append to a log is counted before it is written, of all shards together, and
// taken off what the last look found. Before the counted bytes can have come to the next
// level the disk is looked at again.
//
// All nodes append much the same, so what another node has told is free goes down by this
// node's bytes as well, until it tells anew.

// leastLook is how many bytes are always appended between two looks.
const leastLook = 64 << 10

// entryOverhead is what an entry takes beside its data, never too low.
const entryOverhead = 64

// roomBytes counts. The zero value has the disk looked at with the first append.
type roomBytes struct {
	looking sync.Mutex // one look at a time
	begun   atomic.Int64
	ended   atomic.Int64 // what of begun was written, or has failed
	end     atomic.Int64 // what begun may come to until nothing is free
	lookAt  atomic.Int64 // what begun may come to until the next look
	asked   atomic.Int64 // bytes of entries that are about to be appended, or were just now
}

// left is what is free, as far as this node knows without a look.
func (r *roomBytes) left() int64 { return r.end.Load() - r.begun.Load() }

func bytesOf(logs []*raft.Log) (sum int64) {
	for _, l := range logs {
		sum += int64(len(l.Data)+len(l.Extensions)) + entryOverhead
	}
	return sum
}

// appends counts an append that begins, and returns what tells of its end.
func (n *Node) appends(logs []*raft.Log) (ended func()) {
	r, bytes := &n.disk.bytes, bytesOf(logs)
	if begun := r.begun.Add(bytes); n.opt.DiskReserve > 0 && begun >= r.lookAt.Load() {
		n.look(func() bool { return r.begun.Load() >= r.lookAt.Load() })
	}
	return func() { r.ended.Add(bytes) }
}

// Parts of the reserve that stay free.
const (
	keepsAny   = 4  // below that a leader logs only what frees,
	keepsFrees = 8  // below that nothing;
	keepsTaken = 16 // down to that a follower takes what a leader has logged;
	keepsLast  = 32 // and that is left by this node's snapshots, where the log has little: for votes
)

// spare is what is free beyond a part of the reserve.
func spare(free, reserve, part int64) int64 {
	if reserve <= 0 {
		return math.MaxInt64
	}
	return free - reserve/part
}

// ask reports whether entries of so many bytes fit on this node's disk. Then answered is
// called, maybe piece by piece, when they have been appended, or will not be.
func (n *Node) ask(bytes, part int64) bool {
	return n.askFor(bytes, func() int64 { return spare(n.disk.bytes.left(), n.opt.DiskReserve, part) })
}

// askFor is ask of what is free by another measure.
func (n *Node) askFor(bytes int64, left func() int64) bool {
	if n.opt.DiskReserve <= 0 {
		return true
	}
	asked := n.disk.bytes.asked.Add(bytes)
	if left() >= asked && n.disk.looked.Load() {
		return true
	}
	n.look(nil)
	if left() >= n.disk.bytes.asked.Load() || !n.disk.looked.Load() {
		return true
	}
	n.answered(bytes)
	return false
}

func (n *Node) answered(bytes int64) {
	if n.opt.DiskReserve > 0 {
		n.disk.bytes.asked.Add(-bytes)
	}
}

// ask is Node.ask for what this node logs as the shard's leader: it must fit on the disks
// of a majority as well.
func (g *Group) ask(bytes, part int64) bool {
	return g.node.askFor(bytes, func() int64 { return g.spare(g.self, part) })
}

// spare is what is free beyond a part of the reserve for a leader of the shard: on its own
// disk, and on those of a majority.
func (g *Group) spare(leader string, part int64) int64 {
	n := g.node
	own, voters := spare(n.disk.bytes.left(), n.opt.DiskReserve, part), g.voters.lately()
	var all []int64
	leaders := own
	if voters.self {
		all = append(all, own)
	}
	n.mu.RLock()
	for _, peer := range voters.others {
		d := n.peers[peer].Disk
		all = append(all, spare(n.left(d), d.Reserve, part))
		if peer == leader {
			leaders = all[len(all)-1]
		}
	}
	n.mu.RUnlock()
	if len(all) == 0 {
		return own
	}
	slices.Sort(all)
	return min(leaders, all[len(all)-voters.quorum])
}

// left is what is free on another node's disk, as far as this one knows.
func (n *Node) left(d diskInfo) int64 { return d.Free - (n.disk.bytes.begun.Load() - d.at) }

// levelOf is the level that another node has told, or has come to since.
func (n *Node) levelOf(d diskInfo) roomLevel {
	if d.Reserve <= 0 {
		return d.Room
	}
	return max(d.Room, roomOf(n.left(d), d.Reserve, d.Room))
}

// sooner has the disk looked at when so many bytes more have been appended.
func (r *roomBytes) sooner(bytes int64) {
	want := r.begun.Load() + bytes
	for at := r.lookAt.Load(); want < at && !r.lookAt.CompareAndSwap(at, want); {
		at = r.lookAt.Load()
	}
}

// nextLook is how many bytes may be appended until a disk may have come to another level.
func nextLook(left, reserve int64, level roomLevel) int64 {
	if reserve <= 0 {
		return math.MaxInt64
	}
	switch level {
	case roomy:
		left -= reserve
	case tight:
		left -= reserve / keepsAny
	}
	return max(left/2, leastLook)
}
