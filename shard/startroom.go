package shard

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/lockstepkv/lockstep/internal/disk"
	"github.com/lockstepkv/lockstep/shard/raftlog"
)

// Log engine wal takes the room of a segment in advance, for each shard. With many shards
// the segments are smaller: they share nodeSegmentBytes, as far as leastSegmentBytes allows.
const (
	nodeSegmentBytes  = 128 << 20
	leastSegmentBytes = 4 << 20
)

func segmentBytes(shards int) int {
	return min(max(nodeSegmentBytes/shards, leastSegmentBytes), raftlog.DefaultSegmentBytes)
}

// smallFiles is what a node's other files take at first.
const smallFiles = 8 << 20

// newLogBytes is what the logs of shards take that this node does not have yet.
func (o *Options) newLogBytes() (bytes int64, shards int) {
	if o.OpenLog != nil {
		return 0, 0
	}
	each := raftlog.NewLogBytes(o.LogEngine, segmentBytes(o.Shards))
	for id := range o.Shards {
		if _, err := os.Stat(filepath.Join(groupDir(o.DataDir, uint32(id)), "log")); errors.Is(err, fs.ErrNotExist) {
			shards++
		}
	}
	return each * int64(shards), shards
}

// checkRoom refuses a start that would fill the disk.
func (o *Options) checkRoom() error {
	free, err := o.diskFree()
	if err != nil {
		return nil // not told; what fails will say so
	}
	logs, shards := o.newLogBytes()
	if need := logs + smallFiles; shards > 0 && free < need {
		return fmt.Errorf("not enough room in %s: %d MiB are free, and the logs of %d new shards need %d MiB; --disk-reserve keeps %d MiB more free",
			o.DataDir, free>>20, shards, need>>20, o.DiskReserve>>20)
	}
	if free < o.DiskReserve {
		o.Logger.Warn("the disk is nearly full", "directory", o.DataDir, "free_bytes", free, "disk_reserve", o.DiskReserve)
	}
	return nil
}

// explainFull names the directory in an error that says that there is no room.
func (o *Options) explainFull(err error) error {
	if !disk.IsFull(err) {
		return err
	}
	free, _ := o.diskFree()
	return fmt.Errorf("no room in %s (%d MiB are free), make some and start again: %w", o.DataDir, free>>20, err)
}
