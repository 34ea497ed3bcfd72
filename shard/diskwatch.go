package shard

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/internal/clock"
	"github.com/lockstepkv/lockstep/shard/slowdisk"
)

// slowHold is for how long a disk counts as slow after its last slow flush.
const slowHold = 10 * time.Second

// slowFlush is how long a flush of the log may take before it costs the leadership.
func (o *Options) slowFlush() time.Duration { return slowdisk.Limit(o.HeartbeatTimeout) }

// diskState is what a node knows of its disk.
type diskState struct {
	slowUntil atomic.Int64 // monotonic time
	hangs     atomic.Bool  // a flush is slow now
	free      atomic.Int64 // bytes
	bytes     roomBytes
	room      atomic.Int32 // a roomLevel
	usual     atomic.Int64 // how long a flush takes while no snapshot is written, on the average
	slowest   atomic.Int64 // flush since the writer of a snapshot looked
	scarce    atomic.Bool  // some node has no room, as it has told or has come to since
	looked    atomic.Bool  // at what is free
}

// diskInfo is what a node tells of its disk.
type diskInfo struct {
	Slow  bool      `json:"slow,omitempty"`  // now, or lately
	Hangs bool      `json:"hangs,omitempty"` // a flush is slow now
	Room  roomLevel `json:"room,omitempty"`

	// Free bytes, and how many of them are to stay free; none are told without a reserve.
	Free    int64 `json:"free,omitempty"`
	Reserve int64 `json:"reserve,omitempty"`

	at int64 // what this node had begun to append when the other was asked
}

func (n *Node) diskInfo() diskInfo {
	i := diskInfo{Slow: n.diskSlow(), Hangs: n.disk.hangs.Load(), Room: roomLevel(n.disk.room.Load())}
	if n.opt.DiskReserve > 0 && n.disk.looked.Load() {
		i.Free, i.Reserve = n.disk.bytes.left(), n.opt.DiskReserve
	}
	return i
}

func (n *Node) diskSlow() bool {
	return n.opt.Clock.Mono() < time.Duration(n.disk.slowUntil.Load())
}

// condition is what such a disk is for a leader.
func (i diskInfo) condition() slowdisk.Condition {
	return slowdisk.Condition{Slow: i.Slow, Full: i.Room != roomy}
}

// poor reports whether a node with such a disk should rather not lead.
func (i diskInfo) poor() bool { return i.condition().Poor() }

// watchDisk looks at the flushes of every shard.
func (n *Node) watchDisk(ctx context.Context) {
	step := slowdisk.Step(n.opt.slowFlush())
	last := n.opt.Clock.Mono()
	clock.Every(ctx, step, func() {
		now := n.opt.Clock.Mono()
		passed := min(now-last, 2*step) // more: this process got no processor
		last = now
		hangs := false
		for _, g := range n.Groups() {
			g.disk.Look(passed)
			hangs = hangs || g.disk.Hangs() > 0
		}
		n.disk.hangs.Store(hangs)
	})
}

// fit reports whether a node may lead g as far as this one knows.
func (n *Node) fit(node string, g *Group) bool { return n.caughtUp(node, g) && !n.diskOf(node).poor() }

func (n *Node) diskOf(node string) diskInfo {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.peers[node].Disk
}

// newDiskWatch returns what watches over the disk of a replica, which may have no Raft yet.
func newDiskWatch(g *Group) *slowdisk.Watch {
	w := watching{g}
	return slowdisk.New(slowdisk.Options{
		Shard: w, Disk: w, Figures: g.metrics, Limit: g.opt.slowFlush(), Patience: 2*g.opt.raftTimeout() + time.Second,
		Clock: g.clock, Logger: g.logger,
	})
}

// watching is what the watch over a disk asks of its replica.
type watching struct{ g *Group }

// Leading implements slowdisk.Shard.
func (w watching) Leading() (term uint64) {
	if term = w.g.raft.CurrentTerm(); w.g.raft.State() != raft.Leader {
		return 0
	}
	return term
}

// Serving implements slowdisk.Shard.
func (w watching) Serving() bool { return w.g.Serving() }

// Sound implements slowdisk.Shard.
func (w watching) Sound() bool { return !w.g.keeper.Diverged() }

// Quorum implements slowdisk.Shard.
func (w watching) Quorum() int { return w.g.voters.now().quorum }

// Others implements slowdisk.Shard.
func (w watching) Others() []slowdisk.Candidate {
	n, others := w.g.node, w.g.voters.now().others
	list := make([]slowdisk.Candidate, len(others))
	for i, id := range others {
		d := n.diskOf(id)
		list[i] = slowdisk.Candidate{ID: id, CaughtUp: n.caughtUp(id, w.g), Hangs: d.Hangs, Poor: d.poor(), Applied: n.appliedOf(id, w.g)}
	}
	return list
}

// appliedOf is what a peer's replica has applied, as it has told.
func (n *Node) appliedOf(peer string, g *Group) uint64 {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if groups := n.peers[peer].Groups; int(g.id) < len(groups) {
		return groups[g.id].Applied
	}
	return 0
}

// SetCampaigning implements slowdisk.Shard.
func (w watching) SetCampaigning(may bool) { w.g.wire.SetCampaigning(may) }

// GiveUpLease implements slowdisk.Shard.
func (w watching) GiveUpLease(term uint64) { w.g.reader.GiveUpLease(term) }

// Mute implements slowdisk.Shard.
func (w watching) Mute(on bool) { w.g.wire.Mute(on) }

// StandFor implements slowdisk.Shard.
func (w watching) StandFor(ctx context.Context, term uint64, node string) error {
	g := w.g
	if err := g.office.CanLead(ctx, term, node); err != nil {
		return err
	}
	self := g.wire.EncodePeer(raft.ServerID(g.self), raft.ServerAddress(g.self))
	header := raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: self, Addr: self}
	var resp raft.TimeoutNowResponse
	return g.wire.TimeoutNow(raft.ServerID(node), raft.ServerAddress(node), &raft.TimeoutNowRequest{RPCHeader: header}, &resp)
}

// HandOver implements slowdisk.Shard.
func (w watching) HandOver(ctx context.Context, node string) error {
	return w.g.TransferLeadership(ctx, node)
}

// Condition implements slowdisk.Disk.
func (w watching) Condition() slowdisk.Condition { return w.g.node.diskInfo().condition() }

// Slowed implements slowdisk.Disk.
func (w watching) Slowed() { w.g.node.disk.slowUntil.Store(int64(w.g.clock.Mono() + slowHold)) }
