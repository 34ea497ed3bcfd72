package shard

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/internal/disk"
)

// A disk that gets full must not end the node. Below Options.DiskReserve what is left is
// for what makes room again: deletions, expiry, snapshots. Commands that need memory are
// refused before they are logged, as at maxmemory. Below a quarter of the reserve nothing
// is logged at all: as a leader the node refuses every write, as a follower it takes no
// entries, and catches up later.
//
// A shard's leader goes by its own disk, and by those of a majority: one follower whose
// disk is full costs nobody else anything.

// roomLevel is how full a disk is.
type roomLevel int

const (
	roomy    roomLevel = iota
	tight              // nothing may grow
	noneLeft           // nothing may be logged
)

// roomEvery is how often the free bytes are looked at.
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
	every(ctx, roomEvery, n.lookForRoom)
}

func (n *Node) lookForRoom() {
	free, err := n.opt.diskFree()
	if err != nil {
		return // the log's own writes show what is wrong
	}
	before := roomLevel(n.disk.room.Load())
	level := roomOf(free, n.opt.DiskReserve, before)
	n.disk.free.Store(free)
	n.disk.room.Store(int32(level))
	n.metrics.disk.room.Set(float64(level))
	n.metrics.disk.slow.Set(number(n.diskSlow()))
	n.mu.RLock()
	scarce := level != roomy
	for _, p := range n.peers {
		scarce = scarce || p.Disk.Room != roomy
	}
	n.mu.RUnlock()
	n.disk.scarce.Store(scarce)
	for _, g := range n.Groups() {
		g.wire.SetStoring(level != noneLeft, free/2)
	}
	if level == before {
		return
	}
	attrs := []any{"directory", n.opt.DataDir, "free_bytes", free, "disk_reserve", n.opt.DiskReserve}
	switch level {
	case roomy:
		n.opt.Logger.Info("there is room on the disk again", attrs...)
	case tight:
		n.opt.Logger.Error("the disk is nearly full: writes that grow are refused", attrs...)
	case noneLeft:
		n.opt.Logger.Error("the disk is full: nothing is logged until there is room", attrs...)
	}
}

// tightest returns the level that a shard's leader goes by: that of its own disk or, if it
// is worse, the best that a majority has.
func (n *Node) tightest(g *Group) roomLevel {
	own := roomLevel(n.disk.room.Load())
	levels := []roomLevel{own}
	n.mu.RLock()
	for _, peer := range g.peers {
		levels = append(levels, n.peers[peer].Disk.Room)
	}
	n.mu.RUnlock()
	slices.SortFunc(levels, cmp.Compare)
	return max(own, levels[g.quorum-1])
}

// room returns the level that holds for this shard, as its leader has told.
func (g *Group) room() roomLevel {
	if !g.node.disk.scarce.Load() {
		return roomy
	}
	leader := g.Leader()
	if leader == g.self || leader == "" {
		return g.node.tightest(g)
	}
	g.node.mu.RLock()
	defer g.node.mu.RUnlock()
	if groups := g.node.peers[leader].Groups; int(g.id) < len(groups) {
		return groups[g.id].Room
	}
	return roomy
}

// CountNoRoom counts a write that was refused for want of room.
func (g *Group) CountNoRoom() { g.metrics.refused() }

var errFull = fmt.Errorf("%w: the disk of the shard's leader, or of a majority, is full", command.ErrNoRoom)

// NoRoom returns errors that wrap command.ErrNoRoom if writes are refused for want of room
// on disks: those that grow, or any.
func (g *Group) NoRoom() (growth, any error) {
	switch g.room() {
	case noneLeft:
		return errFull, errFull
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
		list = append(list, fmt.Sprintf("the disk is full (%d bytes free, --disk-reserve %d): nothing is logged", free, n.opt.DiskReserve))
	}
	return list
}
