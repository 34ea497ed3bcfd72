package shard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/internal/disk"
)

// Snapshots that the replicas of a shard write at the same time slow down a majority of
// the disks that a write waits for. So they take turns: the followers are due before the
// leader, each at its own share of the threshold, and a replica begins only when none of
// the others that it can reach is writing, or waits with an earlier turn. That costs an
// overdue log half a threshold at most.

const (
	// compactEvery is how often the length of the log is looked at.
	compactEvery = 500 * time.Millisecond
	// putOffFor is when a snapshot is tried again that no majority has confirmed.
	putOffFor = 30 * time.Second
	// roomPutOffFor is when one is that had no room. To look for room costs nothing.
	roomPutOffFor = 5 * time.Second
)

// compacting is what a replica does about its snapshot, as others are told.
type compacting int32

const (
	notDue compacting = iota
	due               // and waits for its turn
	claims            // wants to begin, and asks the others
	writes
)

// WritesSnapshot reports whether the replica writes a snapshot.
func (i GroupInfo) WritesSnapshot() bool { return i.Compacting == writes }

// compactor takes snapshots when they are due. one is shared by the node's
// shards: a node writes one snapshot at a time.
func (g *Group) compactor(ctx context.Context, one turn) {
	every(ctx, compactEvery, func() {
		if !g.compactionDue() {
			g.compacting.Store(int32(notDue))
			return
		}
		g.compacting.Store(int32(due))
		if !one.take(ctx) {
			return
		}
		defer one.giveBack()
		if g.claimTurn(ctx) {
			g.compacting.Store(int32(writes))
			g.compact()
			g.compacting.Store(int32(notDue))
		}
	})
}

// threshold is how much log makes a snapshot due. It grows with the data, so that a shard
// does not spend its disk on snapshots.
func (g *Group) threshold() (bytes int64) { return max(g.opt.SnapshotLogBytes, g.fsm.Used()/2) }

// place is this shard's place of a node among those that write snapshots, from 0, and how
// many places there are. The leader comes last; which follower is first differs by shard.
func place(node, leader string, members []string, shard uint32) (at, of int) {
	var followers []string
	for _, id := range members {
		if id != leader {
			followers = append(followers, id)
		}
	}
	if node == leader || len(followers) == 0 {
		return len(members) - 1, len(members)
	}
	i := slices.Index(followers, node)
	return (i + int(shard)) % len(followers), len(members)
}

// dueAt is when a snapshot is due: between three quarters of the threshold and all of it.
func dueAt(threshold int64, at, of int) int64 {
	return threshold*3/4 + threshold/4*int64(at+1)/int64(of)
}

// compactionDue reports whether enough log was written since the last snapshot.
func (g *Group) compactionDue() bool {
	if g.wrong() || g.undecided.Load() || g.clock.Mono() < time.Duration(g.notBefore.Load()) {
		return false // what is wrong must not replace what may be right
	}
	if g.replaying() {
		return false // it would hold a part of what the log holds, and be due again soon
	}
	at, of := place(g.self, g.Leader(), g.holders(), g.id)
	return g.log.BytesAfter(g.snapshotAt.Load()) >= dueAt(g.threshold(), at, of) || g.wouldFree()
}

// leastFreed is what a snapshot must free to be taken for that alone.
const leastFreed = 1 << 20

// wouldFree reports whether the disk is nearly full, and a snapshot of what is left of the
// data would free some of it: without that, deletions would make no room.
func (g *Group) wouldFree() bool {
	if roomLevel(g.node.disk.room.Load()) == roomy || g.fsm.Applied() <= g.snapshotAt.Load() {
		return false
	}
	list, err := g.snapshots.List()
	if err != nil {
		return false
	}
	freed := g.log.BytesAfter(g.snapshotAt.Load()) - g.fsm.Used()
	for _, s := range list {
		freed += s.Size
	}
	return freed >= max(leastFreed, g.opt.DiskReserve/16)
}

// claimTurn reports whether this replica may write its snapshot now. It says that it does
// before it asks the others, so that of two that want to at once at least one is told.
func (g *Group) claimTurn(ctx context.Context) bool {
	others := g.voters.now().others
	if len(others) == 0 || g.log.BytesAfter(g.snapshotAt.Load()) >= g.threshold()*3/2 {
		return true
	}
	at, _ := place(g.self, g.Leader(), g.holders(), g.id)
	for _, peer := range others { // as they were a moment ago; costs nothing
		g.node.mu.RLock()
		info := g.node.peers[peer]
		g.node.mu.RUnlock()
		if g.goesFirst(peer, info, at) {
			return false
		}
	}
	g.compacting.Store(int32(claims))
	for _, peer := range others {
		if !g.net.Health(peer).Connected {
			continue
		}
		if info, ok := g.node.askInfo(ctx, peer); ok && g.goesFirst(peer, info, at) {
			g.compacting.Store(int32(due))
			return false
		}
	}
	return ctx.Err() == nil
}

// goesFirst reports whether a peer writes a snapshot of this shard, or is to before a
// replica with the given place.
func (g *Group) goesFirst(peer string, info NodeInfo, at int) bool {
	if int(g.id) >= len(info.Groups) || !g.net.Health(peer).Connected {
		return false
	}
	switch info.Groups[g.id].Compacting {
	case claims, writes:
		return true
	case due:
		its, _ := place(peer, g.Leader(), g.holders(), g.id)
		return its < at
	}
	return false
}

// compact takes a snapshot and lets Raft drop the log before it except for a
// tail, bounded in bytes, from which slow followers can catch up. Where the disk is nearly
// full the tail is short.
func (g *Group) compact() {
	rc := g.raft.ReloadableConfig()
	tail := g.opt.SnapshotLogBytes / 2
	if roomLevel(g.node.disk.room.Load()) != roomy {
		tail = min(tail, leastFreed)
	}
	rc.TrailingLogs = max(g.log.TrailingWithin(tail), 1)
	if err := g.raft.ReloadConfig(rc); err != nil {
		g.logger.Error("could not set the length of the log's tail", "error", err)
		return
	}
	if err := g.makeRoom(); err != nil {
		g.putOffSnapshot(err, roomPutOffFor)
		return
	}
	g.takeSnapshot()
}

func (g *Group) takeSnapshot() {
	started := time.Now()
	g.putOff.Store(false)
	err := g.raft.Snapshot().Error()
	if errors.Is(err, raft.ErrNothingNewToSnapshot) {
		return
	}
	if err != nil {
		if g.putOff.Load() {
			g.putOffSnapshot(err, putOffFor)
			return
		}
		g.logger.Error("snapshot failed", "error", err)
		g.snapshotAt.Store(g.fsm.Applied()) // try again after as much log once more
		return
	}
	if newest := g.noteSnapshot(); newest != nil {
		g.logger.Info("snapshot taken", "index", newest.Index, "bytes", newest.Size, "took", time.Since(started))
		g.metrics.snapshot(time.Since(started))
	}
	if roomLevel(g.node.disk.room.Load()) != roomy {
		if err := g.snapshots.KeepNewest(); err != nil {
			g.logger.Warn("old snapshots are not removed", "error", err)
		}
	}
}

func (g *Group) putOffSnapshot(err error, by time.Duration) {
	if text := err.Error(); text != g.toldPutOff || by == putOffFor {
		g.logger.Warn("snapshot put off", "error", err)
		g.toldPutOff = text
	}
	g.notBefore.Store(int64(g.clock.Mono() + by))
}

// makeRoom removes the snapshot before the newest one if there is no room for another. A
// snapshot takes about as much as the data.
func (g *Group) makeRoom() error {
	free, err := g.opt.diskFree()
	keep := g.snapshotKeeps()
	need := g.fsm.Used() + keep
	if g.opt.DiskReserve == 0 || err != nil || free >= need {
		return nil
	}
	if err := g.snapshots.KeepNewest(); err != nil {
		return err
	}
	if free, err = g.opt.diskFree(); err != nil || free >= need {
		return nil
	}
	return fmt.Errorf("%w: it needs about %d MiB beside the %d MiB of --disk-reserve that stay free", errNoRoomForSnapshot, g.fsm.Used()>>20, keep>>20)
}

// snapshotKeeps is how much a snapshot of this node leaves free: what the log may still take
// or, where that is little already, enough for votes. A snapshot is what makes room there.
func (g *Group) snapshotKeeps() int64 {
	if roomLevel(g.node.disk.room.Load()) == noneLeft {
		return g.opt.DiskReserve / keepsLast
	}
	return g.opt.DiskReserve / keepsAny
}

var errNoRoomForSnapshot = errors.New("no room on disk for a snapshot")

// snapshotFailed notes that the lack of room was to blame.
func (g *Group) snapshotFailed(err error) {
	if disk.IsFull(err) || errors.Is(err, errNoRoomForSnapshot) {
		g.putOff.Store(true)
	}
}

// roomForSnapshot ends the writing of a snapshot before the log finds the disk full. One
// that comes from the leader of a node on which nothing is logged goes on, since it fits and
// makes room.
func (g *Group) roomForSnapshot() error {
	least := g.snapshotKeeps()
	if own := compacting(g.compacting.Load()) == writes; !own && roomLevel(g.node.disk.room.Load()) == noneLeft {
		least = 0
	}
	g.node.look(nil) // what snapshots take counts for the log as well
	free := g.node.disk.free.Load()
	if g.opt.DiskReserve == 0 || !g.node.disk.looked.Load() || free >= least {
		return nil
	}
	return fmt.Errorf("%w: %d MiB are free", errNoRoomForSnapshot, free>>20)
}
