package shard

import (
	"cmp"
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"github.com/lockstepkv/lockstep/internal/clock"
)

// A disk that is slow first costs the leadership, and only one that hangs the process.
//
// Raft's main loop waits for each flush of the log, while other goroutines go on sending
// heartbeats: a leader whose disk hangs is never deposed. So every node watches its
// flushes. When one takes longer than slowFlush, the leader lets another node be elected
// and sends nothing any more, and the node does not campaign until its disk has been well
// for slowHold. All that only while the others can do without this node: otherwise its
// disk is needed, leader or not. A disk that hangs now is worse than one that did lately.

const (
	// slowHold is for how long a disk counts as slow after its last slow flush.
	slowHold = 10 * time.Second
	// slowLeast is a flush that is never called slow.
	slowLeast = 500 * time.Millisecond
	// looksPerLimit is how often a flush is looked at before it counts as slow.
	looksPerLimit = 12
	// handoverPause is the time between two tries to hand a shard over.
	handoverPause = 2 * time.Second
)

// slowFlush is how long a flush of the log may take before it costs the leadership. It is
// the longest time that a follower waits for a leader that is silent: one that cannot log
// is worth no more.
func (o *Options) slowFlush() time.Duration { return max(2*o.HeartbeatTimeout, slowLeast) }

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

// poor reports whether a node with such a disk should rather not lead.
func (i diskInfo) poor() bool { return i.Slow || i.Room != roomy }

// watchDisk looks at the flushes of every shard.
func (n *Node) watchDisk(ctx context.Context) {
	limit := n.opt.slowFlush()
	step := limit / looksPerLimit
	last := n.opt.Clock.Mono()
	clock.Every(ctx, step, func() {
		now := n.opt.Clock.Mono()
		passed := min(now-last, 2*step) // more: this process got no processor
		last = now
		hangs := false
		for _, g := range n.Groups() {
			g.lookAtDisk(passed, limit)
			hangs = hangs || g.flushLasts.Load() > 0
		}
		n.disk.hangs.Store(hangs)
	})
}

// lookAtDisk does what the state of the disk asks for.
func (g *Group) lookAtDisk(passed, limit time.Duration) {
	lasts := g.flushes.look(passed)
	g.flushSeen.Store(int64(lasts))
	slow := lasts >= limit
	if slow {
		g.flushLasts.Store(int64(lasts))
		g.node.disk.slowUntil.Store(int64(g.clock.Mono() + slowHold))
	} else {
		g.flushLasts.Store(0)
	}
	g.setCampaigning()
	info := g.node.diskInfo()
	if g.raft.State() != raft.Leader || !info.poor() || !g.dispensable() {
		return
	}
	if slow {
		g.abdicate(lasts)
		return
	}
	g.handAway(info)
}

// setCampaigning says whether this node may be elected.
func (g *Group) setCampaigning() {
	unfit := g.keeper.Diverged() || g.node.diskInfo().poor() && g.dispensable()
	g.wire.SetCampaigning(!unfit)
}

// fit reports whether a node may lead g as far as this one knows.
func (n *Node) fit(node string, g *Group) bool { return n.caughtUp(node, g) && !n.diskOf(node).poor() }

func (n *Node) diskOf(node string) diskInfo {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.peers[node].Disk
}

// successors lists who may lead in this node's place: whoever's disk is best, and of those
// whoever has applied most first. While this node's own disk hangs, all whose does not will do.
func (g *Group) successors() []string {
	n, hangs := g.node, g.flushLasts.Load() > 0
	list := slices.DeleteFunc(slices.Clone(g.voters.now().others), func(id string) bool {
		d := n.diskOf(id)
		return !n.caughtUp(id, g) || d.Hangs || d.poor() && !hangs
	})
	n.mu.RLock()
	defer n.mu.RUnlock()
	slices.SortStableFunc(list, func(a, b string) int {
		return cmp.Or(cmp.Compare(number(n.peers[a].Disk.poor()), number(n.peers[b].Disk.poor())),
			cmp.Compare(n.peers[b].Groups[g.id].Applied, n.peers[a].Groups[g.id].Applied))
	})
	return list
}

// dispensable reports whether the other nodes whose disks are better are a majority
// without this one. Then one of them has whatever was committed, and can be elected.
func (g *Group) dispensable() bool { return len(g.successors()) >= g.voters.now().quorum }

// abdicate lets another node be elected while Raft's main loop waits for the disk: the
// library's own transfer would wait with it. This node sends nothing as a leader until it
// is none any more.
func (g *Group) abdicate(lasts time.Duration) {
	if !g.abdicating.CompareAndSwap(false, true) {
		return
	}
	g.wg.Go(func() {
		defer g.abdicating.Store(false)
		term := g.raft.CurrentTerm()
		g.logger.Warn("the disk is slow: giving the leadership away", "term", term, "flush_lasts", lasts.Round(time.Millisecond).String())
		g.metrics.givenAway("slow_disk")
		g.reader.GiveUpLease(term) // whoever is elected may serve at once
		g.wire.Mute(true)
		defer g.wire.Mute(false)
		g.callElection(g.life, term)
		g.awaitDeposed(g.life, term)
	})
}

// callElection asks the first of the successors that answers to stand for election.
func (g *Group) callElection(ctx context.Context, term uint64) {
	self := raft.ServerAddress(g.self)
	header := raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: g.wire.EncodePeer(raft.ServerID(g.self), self), Addr: g.wire.EncodePeer(raft.ServerID(g.self), self)}
	for _, node := range g.successors() {
		if g.canLead(ctx, term, node) != nil {
			continue
		}
		var resp raft.TimeoutNowResponse
		err := g.wire.TimeoutNow(raft.ServerID(node), raft.ServerAddress(node), &raft.TimeoutNowRequest{RPCHeader: header}, &resp)
		if err == nil {
			return
		}
	}
}

// awaitDeposed returns when this node does not lead in term any more; or when its disk is
// well again, and nobody has wanted the leadership.
func (g *Group) awaitDeposed(ctx context.Context, term uint64) {
	patience := 2*g.opt.raftTimeout() + time.Second
	over := g.clock.Mono() + patience
	for g.leads(term) && ctx.Err() == nil && g.clock.Mono() < over {
		if g.flushLasts.Load() > 0 {
			over = g.clock.Mono() + patience
		}
		clock.Pause(ctx, establishPause)
	}
}

// handAway hands the leadership to a node whose disk is better, while this one can still
// log.
func (g *Group) handAway(info diskInfo) {
	now := g.clock.Mono()
	if now < time.Duration(g.handoverAt.Load()) || !g.Serving() || !g.handing.CompareAndSwap(false, true) {
		return
	}
	g.handoverAt.Store(int64(now + handoverPause))
	g.wg.Go(func() {
		defer g.handing.Store(false)
		reason := "slow_disk"
		if !info.Slow {
			reason = "full_disk"
		}
		for _, node := range g.successors() {
			if err := g.TransferLeadership(g.life, node); err != nil {
				g.logger.Info("could not hand leadership over", "to", node, "error", err)
				continue
			}
			g.logger.Warn("the leadership was handed over for the sake of the disk", "to", node, "reason", reason)
			g.metrics.givenAway(reason)
			return
		}
	})
}
