package shard

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/internal/clock"
	"github.com/lockstepkv/lockstep/internal/disk"
	"github.com/lockstepkv/lockstep/shard/session"
)

// A disk that gets full must not end the node. Below Options.DiskReserve what is left is
// for what makes room again: deletions, expiry, snapshots. Commands that need memory are
// refused before they are logged, as at maxmemory. Below a quarter of the reserve a leader
// logs only what frees (command.Table.Frees), below an eighth nothing. Down to a sixteenth
// followers take what a leader has logged, and catch up later with the rest.
//
// A shard's leader goes by its own disk, and by those of a majority: one follower whose
// disk is full costs nobody else anything.

// roomLevel is how full a disk is.
type roomLevel int

const (
	roomy    roomLevel = iota
	tight              // nothing may grow
	noneLeft           // nothing may be logged but what frees
)

// roomEvery is how often the free bytes are looked at, however little is appended.
const roomEvery = 500 * time.Millisecond

// roomOf judges what is free. A level is left only when an eighth more than it takes is
// free, so that it does not come and go.
func roomOf(free, reserve int64, before roomLevel) roomLevel {
	margin := func(level roomLevel) int64 {
		if before >= level {
			return reserve / 8
		}
		return 0
	}
	switch {
	case reserve <= 0 || free >= reserve+margin(tight):
		return roomy
	case free < reserve/4+margin(noneLeft):
		return noneLeft
	}
	return tight
}

func (o *Options) diskFree() (int64, error) {
	if o.DiskFree != nil {
		return o.DiskFree()
	}
	return disk.Free(o.DataDir)
}

// watchRoom follows how much of the disk is free.
func (n *Node) watchRoom(ctx context.Context) {
	clock.Every(ctx, n.opt.lookEvery, n.lookForRoom)
}

// lookForRoom looks at the disk.
func (n *Node) lookForRoom() {
	n.look(nil)
	n.metrics.disk.slow.Set(number(n.diskSlow()))
}

// look is lookForRoom unless, by the time that it is its turn, it is not wanted any more.
func (n *Node) look(wanted func() bool) {
	r := &n.disk.bytes
	r.looking.Lock()
	defer r.looking.Unlock()
	if wanted != nil && !wanted() {
		return
	}
	ended := r.ended.Load() // before the look, which sees all that had ended
	free, err := n.opt.diskFree()
	if err != nil {
		n.disk.looked.Store(false) // the log's own writes show what is wrong
		return
	}
	r.end.Store(ended + free)
	left := r.left()
	before := roomLevel(n.disk.room.Load())
	level := roomOf(left, n.opt.DiskReserve, before)
	n.disk.free.Store(free)
	n.disk.room.Store(int32(level))
	n.disk.looked.Store(true)
	n.metrics.disk.room.Set(float64(level))
	r.lookAt.Store(r.begun.Load() + min(nextLook(left, n.opt.DiskReserve, level), n.noteScarce()))
	if level != before {
		n.tellRoom(level, left)
	}
}

// noteScarce notes whether some node has no room, and returns how many bytes may be
// appended until that is to be asked again.
func (n *Node) noteScarce() (next int64) {
	next = math.MaxInt64
	n.mu.Lock() // not shared: what is noted last is newest
	defer n.mu.Unlock()
	scarce := roomLevel(n.disk.room.Load()) != roomy
	for _, p := range n.peers {
		level := n.levelOf(p.Disk)
		scarce = scarce || level != roomy
		if level == roomy {
			next = min(next, nextLook(n.left(p.Disk), p.Disk.Reserve, level))
		}
	}
	n.disk.scarce.Store(scarce)
	return min(next, math.MaxInt64/2)
}

func (n *Node) tellRoom(level roomLevel, free int64) {
	attrs := []any{"directory", n.opt.DataDir, "free_bytes", free, "disk_reserve", n.opt.DiskReserve}
	switch level {
	case roomy:
		n.opt.Logger.Info("there is room on the disk again", attrs...)
	case tight:
		n.opt.Logger.Error("the disk is nearly full: writes that grow are refused", attrs...)
	case noneLeft:
		n.opt.Logger.Error("the disk is full: only what frees is logged until there is room", attrs...)
	}
}

// roomFor is what transport asks on behalf of a shard's replica.
type roomFor struct{ n *Node }

// Append implements transport.Room. What a new leader logs to be one is short, and always
// taken: without it nobody could read.
func (r roomFor) Append(logs []*raft.Log) (done func(), ok bool) {
	if !slices.ContainsFunc(logs, func(l *raft.Log) bool { return l.Type == raft.LogCommand }) {
		return func() {}, true
	}
	bytes := bytesOf(logs)
	if !r.n.ask(bytes, keepsTaken) {
		return nil, false
	}
	return func() { r.n.answered(bytes) }, true
}

// Snapshot implements transport.Room. One that fits may be what makes room.
func (r roomFor) Snapshot(bytes int64) bool {
	return roomLevel(r.n.disk.room.Load()) != noneLeft || bytes <= r.n.disk.free.Load()/2
}

// tightest returns the level that a shard's leader goes by: that of its own disk or, if it
// is worse, the best that a majority has.
func (n *Node) tightest(g *Group, leader string) roomLevel {
	own := roomLevel(n.disk.room.Load())
	var levels []roomLevel
	leaders, voters := own, g.voters.lately()
	if voters.self {
		levels = append(levels, own)
	}
	n.mu.RLock()
	for _, peer := range voters.others {
		level := n.levelOf(n.peers[peer].Disk)
		levels = append(levels, level)
		if peer == leader {
			leaders = level
		}
	}
	n.mu.RUnlock()
	if len(levels) == 0 {
		return own
	}
	slices.SortFunc(levels, cmp.Compare)
	return max(leaders, levels[voters.quorum-1])
}

// room returns the level that holds for this shard, as its leader has told or this node
// knows.
func (g *Group) room() roomLevel {
	if !g.node.disk.scarce.Load() {
		return roomy
	}
	leader := g.Leader()
	level := g.node.tightest(g, leader)
	g.node.mu.RLock()
	defer g.node.mu.RUnlock()
	if groups := g.node.peers[leader].Groups; leader != g.self && int(g.id) < len(groups) {
		return max(level, groups[g.id].Room)
	}
	return level
}

// CountNoRoom counts a write that was refused for want of room.
func (g *Group) CountNoRoom() { g.metrics.refused() }

// NoRoom returns errors that wrap command.ErrNoRoom if writes are refused for want of room
// on disks: those that grow, and the rest but for those that free.
func (g *Group) NoRoom() (growth, rest error) { return refusedAt(g.room()) }

func refusedAt(level roomLevel) (growth, rest error) {
	switch level {
	case noneLeft:
		return session.ErrFull, session.ErrFull
	case tight:
		return command.ErrTight, nil
	}
	return nil, nil
}

// diskNotices are what an operator should know of the disk.
func (n *Node) diskNotices() (list []string) {
	if n.diskSlow() {
		list = append(list, "the disk is slow: a write of the log took longer than "+n.opt.slowFlush().String()+" within the last "+slowHold.String())
	}
	free := n.disk.free.Load()
	switch roomLevel(n.disk.room.Load()) {
	case tight:
		list = append(list, fmt.Sprintf("the disk is nearly full (%d bytes free, --disk-reserve %d): writes that grow are refused", free, n.opt.DiskReserve))
	case noneLeft:
		list = append(list, fmt.Sprintf("the disk is full (%d bytes free, --disk-reserve %d): only what frees is logged", free, n.opt.DiskReserve))
	}
	return list
}
