package compact

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/internal/clock"
	"github.com/lockstepkv/lockstep/internal/disk"
)

const (
	// compactEvery is how often the length of the log is looked at.
	compactEvery = 500 * time.Millisecond
	// putOffFor is when a snapshot is tried again that no majority has confirmed.
	putOffFor = 30 * time.Second
	// roomPutOffFor is when one is that had no room. To look for room costs nothing.
	roomPutOffFor = 5 * time.Second
	// LeastFreed is what a snapshot must free to be taken for that alone, and the tail of the log that is kept
	// where the disk is nearly full.
	LeastFreed = 1 << 20
)

// Compactor takes a replica's snapshots.
type Compactor struct {
	opt Options

	putOff    atomic.Bool   // the newest snapshot was, for want of room or because no majority confirmed the state
	told      string        // why the newest snapshot was; its loop's own
	notBefore atomic.Int64  // monotonic time before which no snapshot is tried again
	doing     atomic.Int32  // a Doing
	at        atomic.Uint64 // index of the newest snapshot
	millis    atomic.Int64  // Unix time of that snapshot; 0: none
	rests     rests         // of the writer of a snapshot

	life context.Context // ends with Close
	stop context.CancelFunc
}

// New returns a compactor that knows of the snapshots there are.
func New(opt Options) *Compactor {
	c := &Compactor{opt: opt}
	c.life, c.stop = context.WithCancel(context.Background())
	c.Note()
	return c
}

// Run takes snapshots when they are due, until ctx ends.
func (c *Compactor) Run(ctx context.Context) {
	clock.Every(ctx, compactEvery, func() {
		if !c.Due() {
			c.doing.Store(int32(Nothing))
			return
		}
		c.doing.Store(int32(Due))
		if !c.opt.Turn.Take(ctx) {
			return
		}
		defer c.opt.Turn.GiveBack()
		if c.claimTurn(ctx) {
			c.doing.Store(int32(Writes))
			c.Compact()
			c.doing.Store(int32(Nothing))
		}
	})
}

// Close ends the rests of a writer.
func (c *Compactor) Close() { c.stop() }

// Doing is what this replica does about its snapshot.
func (c *Compactor) Doing() Doing { return Doing(c.doing.Load()) }

// At is the index of the newest snapshot, 0 if there is none. Millis is the Unix time at which it was taken.
func (c *Compactor) At() uint64    { return c.at.Load() }
func (c *Compactor) Millis() int64 { return c.millis.Load() }

// PutOff says that the snapshot that is being written will not be, by no fault of the disk: it is tried again
// later.
func (c *Compactor) PutOff() { c.putOff.Store(true) }

// Waits reports whether a snapshot was put off, and is not tried again yet.
func (c *Compactor) Waits() bool { return c.opt.Clock.Mono() < time.Duration(c.notBefore.Load()) }

// threshold is how much log makes a snapshot due. It grows with the data, so that a shard
// does not spend its disk on snapshots.
func (c *Compactor) threshold() (bytes int64) { return max(c.opt.LogBytes, c.opt.State.Used()/2) }

// unsaved is the log since the newest snapshot.
func (c *Compactor) unsaved() (bytes int64) { return c.opt.Log.BytesAfter(c.at.Load()) }

// Due reports whether enough log was written since the last snapshot. What is wrong must not replace what may be
// right; and a snapshot of a replica that is still applying its log would hold a part of what the log
// holds, and be due again soon.
func (c *Compactor) Due() bool {
	if c.Waits() || !c.opt.Shard.Writable() {
		return false
	}
	at, of := c.place(c.opt.Self)
	return c.unsaved() >= dueAt(c.threshold(), at, of) || c.wouldFree()
}

// wouldFree reports whether the disk is nearly full, and a snapshot of what is left of the
// data would free some of it: without that, deletions would make no room.
func (c *Compactor) wouldFree() bool {
	if !c.opt.Disk.Scarce() || c.opt.State.Applied() <= c.at.Load() {
		return false
	}
	list, err := c.opt.Snapshots.List()
	if err != nil {
		return false
	}
	freed := c.unsaved() - c.opt.State.Used()
	for _, s := range list {
		freed += s.Size
	}
	return freed >= max(LeastFreed, c.opt.Reserve/16)
}

// Compact takes a snapshot and lets Raft drop the log before it except for a
// tail, bounded in bytes, from which slow followers can catch up. Where the disk is nearly
// full the tail is short.
func (c *Compactor) Compact() {
	rc := c.opt.Raft.ReloadableConfig()
	tail := c.opt.LogBytes / 2
	if c.opt.Disk.Scarce() {
		tail = min(tail, LeastFreed)
	}
	rc.TrailingLogs = max(c.opt.Log.TrailingWithin(tail), 1)
	if err := c.opt.Raft.ReloadConfig(rc); err != nil {
		c.opt.Logger.Error("could not set the length of the log's tail", "error", err)
		return
	}
	if err := c.makeRoom(); err != nil {
		c.wait(err, roomPutOffFor)
		return
	}
	c.take()
}

func (c *Compactor) take() {
	started := time.Now()
	c.putOff.Store(false)
	err := c.opt.Raft.Snapshot().Error()
	if errors.Is(err, raft.ErrNothingNewToSnapshot) {
		return
	}
	if err != nil {
		if c.putOff.Load() {
			c.wait(err, putOffFor)
			return
		}
		c.opt.Logger.Error("snapshot failed", "error", err)
		c.at.Store(c.opt.State.Applied()) // try again after as much log once more
		return
	}
	if newest := c.Note(); newest != nil {
		c.opt.Logger.Info("snapshot taken", "index", newest.Index, "bytes", newest.Size, "took", time.Since(started))
		c.opt.Figures.SnapshotTaken(time.Since(started))
	}
	if c.opt.Disk.Scarce() {
		if err := c.opt.Snapshots.KeepNewest(); err != nil {
			c.opt.Logger.Warn("old snapshots are not removed", "error", err)
		}
	}
}

// Note notes which snapshot is the newest, and returns it; nil if there is none.
func (c *Compactor) Note() *raft.SnapshotMeta {
	list, err := c.opt.Snapshots.List()
	if err != nil || len(list) == 0 {
		return nil
	}
	c.at.Store(list[0].Index)
	c.millis.Store(takenMillis(list[0].ID))
	c.opt.Figures.SnapshotBytes(list[0].Size)
	return list[0]
}

// takenMillis is when a snapshot was taken, which is the end of its id; 0 if that says nothing.
func takenMillis(id string) int64 {
	millis, err := strconv.ParseInt(id[strings.LastIndexByte(id, '-')+1:], 10, 64)
	if err != nil {
		return 0
	}
	return millis
}

// wait has a snapshot tried again after a while.
func (c *Compactor) wait(err error, by time.Duration) {
	if text := err.Error(); text != c.told || by == putOffFor {
		c.opt.Logger.Warn("snapshot put off", "error", err)
		c.told = text
	}
	c.notBefore.Store(int64(c.opt.Clock.Mono() + by))
}

// makeRoom removes the snapshot before the newest one if there is no room for another. A
// snapshot takes about as much as the data.
func (c *Compactor) makeRoom() error {
	free, err := c.opt.Disk.Free()
	keep := c.opt.Disk.Keeps()
	used := c.opt.State.Used()
	need := used + keep
	if c.opt.Reserve == 0 || err != nil || free >= need {
		return nil
	}
	if err := c.opt.Snapshots.KeepNewest(); err != nil {
		return err
	}
	if free, err = c.opt.Disk.Free(); err != nil || free >= need {
		return nil
	}
	return fmt.Errorf("%w: it needs about %d MiB beside the %d MiB of --disk-reserve that stay free", errNoRoom, used>>20, keep>>20)
}

var errNoRoom = errors.New("no room on disk for a snapshot")

// Failed is told why a snapshot could not be written, and notes that the lack of room was to blame.
func (c *Compactor) Failed(err error) {
	if disk.IsFull(err) || errors.Is(err, errNoRoom) {
		c.PutOff()
	}
}

// Room ends the writing of a snapshot before the log finds the disk full. One
// that comes from the leader of a node on which nothing is logged goes on, since it fits and
// makes room.
func (c *Compactor) Room() error {
	least := c.opt.Disk.Keeps()
	if c.Doing() != Writes && c.opt.Disk.Full() {
		least = 0
	}
	free, ok := c.opt.Disk.Look() // what snapshots take counts for the log as well
	if c.opt.Reserve == 0 || !ok || free >= least {
		return nil
	}
	return fmt.Errorf("%w: %d MiB are free", errNoRoom, free>>20)
}
