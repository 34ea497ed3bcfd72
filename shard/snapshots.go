package shard

import (
	"context"
	"time"

	"github.com/lockstepkv/lockstep/shard/compact"
	"github.com/lockstepkv/lockstep/snapshot"
)

// newCompactor returns the compactor of a replica that has its Raft.
func newCompactor(g *Group) *compact.Compactor {
	c := compacting{g}
	return compact.New(compact.Options{
		Self: g.self, ID: int(g.id), Raft: g.raft, State: g.fsm, Log: g.log, Snapshots: g.snapshots, Shard: c, Peers: c,
		Disk: snapshotDisk{g.node}, Turn: g.node.snapshotting, Figures: g.metrics,
		LogBytes: g.opt.SnapshotLogBytes, Reserve: g.opt.DiskReserve, Clock: g.clock, Logger: g.logger,
	})
}

// hooks are asked while a snapshot is written.
func (g *Group) hooks() snapshot.Hooks {
	return snapshot.Hooks{Pace: g.compactor.Pace, Room: g.compactor.Room, Failed: g.compactor.Failed}
}

// WritesSnapshot reports whether the replica writes a snapshot.
func (i GroupInfo) WritesSnapshot() bool { return i.Compacting == compact.Writes }

// compacting is what a compactor asks of its replica.
type compacting struct{ g *Group }

// Writable implements compact.Shard.
func (c compacting) Writable() bool {
	return c.g.keeper.Sound() && !c.g.keeper.Undecided() && !c.g.replaying()
}

// Leader implements compact.Shard.
func (c compacting) Leader() string { return c.g.Leader() }

// Voters implements compact.Shard.
func (c compacting) Voters() []string { return c.g.voters.now().others }

// Holders implements compact.Shard.
func (c compacting) Holders() []string { return c.g.node.view.Get().HoldersOf(int(c.g.id)) }

// Doing implements compact.Peers.
func (c compacting) Doing(peer string) (compact.Doing, bool) {
	n := c.g.node
	n.mu.RLock()
	info := n.peers[peer]
	n.mu.RUnlock()
	return c.doing(peer, info)
}

// Ask implements compact.Peers.
func (c compacting) Ask(ctx context.Context, peer string) (compact.Doing, bool) {
	if !c.g.net.Health(peer).Connected {
		return compact.Nothing, false
	}
	info, ok := c.g.node.askInfo(ctx, peer)
	if !ok {
		return compact.Nothing, false
	}
	return c.doing(peer, info)
}

func (c compacting) doing(peer string, info NodeInfo) (compact.Doing, bool) {
	if int(c.g.id) >= len(info.Groups) || !c.g.net.Health(peer).Connected {
		return compact.Nothing, false
	}
	return info.Groups[c.g.id].Compacting, true
}

// snapshotDisk is what a compactor knows of the disk.
type snapshotDisk struct{ n *Node }

func (d snapshotDisk) level() roomLevel { return roomLevel(d.n.disk.room.Load()) }

// Scarce implements compact.Disk.
func (d snapshotDisk) Scarce() bool { return d.level() != roomy }

// Full implements compact.Disk.
func (d snapshotDisk) Full() bool { return d.level() == noneLeft }

// Free implements compact.Disk.
func (d snapshotDisk) Free() (int64, error) { return d.n.opt.diskFree() }

// Look implements compact.Disk.
func (d snapshotDisk) Look() (free int64, ok bool) {
	d.n.look(nil)
	return d.n.disk.free.Load(), d.n.disk.looked.Load()
}

// Keeps implements compact.Disk: what the log may still take or, where that is little already, enough for
// votes. A snapshot is what makes room there.
func (d snapshotDisk) Keeps() int64 {
	if d.level() == noneLeft {
		return d.n.opt.DiskReserve / keepsLast
	}
	return d.n.opt.DiskReserve / keepsAny
}

// Flushes implements compact.Disk.
func (d snapshotDisk) Flushes() (slowest, usual time.Duration) {
	return time.Duration(d.n.disk.slowest.Swap(0)), time.Duration(d.n.disk.usual.Load())
}

// Flushing implements compact.Disk.
func (d snapshotDisk) Flushing() (lasts time.Duration) {
	for _, g := range d.n.Groups() {
		lasts = max(lasts, g.disk.Flushing())
	}
	return lasts
}

// flushed notes how long a flush of the log took.
func (n *Node) flushed(took time.Duration) {
	d := &n.disk
	for old := d.slowest.Load(); int64(took) > old && !d.slowest.CompareAndSwap(old, int64(took)); old = d.slowest.Load() {
	}
	if !n.snapshotting.Taken() {
		usual := d.usual.Load()
		d.usual.Store(usual + (int64(took)-usual)/16) // an update that is lost does no harm
	}
}

// SnapshotTaken implements compact.Figures.
func (m *groupMetrics) SnapshotTaken(took time.Duration) {
	m.node.snapSeconds.WithLabelValues(m.label).Observe(took.Seconds())
}

// SnapshotBytes implements compact.Figures.
func (m *groupMetrics) SnapshotBytes(n int64) {
	m.node.snapBytes.WithLabelValues(m.label).Set(float64(n))
}

// SnapshotPaused implements compact.Figures.
func (m *groupMetrics) SnapshotPaused(d time.Duration) {
	m.node.disk.paused.WithLabelValues(m.label).Add(d.Seconds())
}
