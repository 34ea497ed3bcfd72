package shard

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/shard/raftlog"
	"github.com/lockstepkv/lockstep/shard/view"
	"github.com/lockstepkv/lockstep/snapshot"
	"github.com/lockstepkv/lockstep/snapshot/aof"
	"github.com/lockstepkv/lockstep/store/effect"
)

// Export tells what ExportAOF wrote.
type Export struct {
	SnapshotIndex uint64 // 0: there was no snapshot
	LastIndex     uint64 // newest log entry
	Entries       int    // log entries after the snapshot
	Keys          int    // in the end
}

// ExportAOF writes one shard of a stopped node as an append-only file: the
// newest snapshot as its preamble, then the effects of the log after it. The
// data directory is only read. progress, if not nil, is told how many of the entries are
// through.
//
// The whole log is written. Its last entries may be such that this node does not
// know whether they were committed; a file without them could lack acknowledged
// writes, which is worse than holding one that is still in doubt.
func ExportAOF(ctx context.Context, table *command.Table, dataDir string, shard int, w io.Writer, logger *slog.Logger, progress func(done, of uint64)) (Export, error) {
	dir := groupDir(dataDir, uint32(shard))
	id, err := ReadIdentity(dataDir)
	if err != nil {
		return Export{}, err
	}
	effects := new(effect.Log)
	machine := fsm.New(fsm.Options{
		Table: table, Logger: logger, Effects: effects,
		Slots: view.RingOf(id.Shards).SlotsOf(shard), // what the shard has refused has no effect
	})
	log, err := raftlog.OpenReader(filepath.Join(dir, "log"))
	if err != nil {
		return Export{}, err
	}
	defer log.Close()
	out := Export{LastIndex: log.LastIndex()}
	if out.SnapshotIndex, err = restoreNewest(machine, filepath.Join(dir, "snapshots"), logger); err != nil {
		return out, err
	}
	file := aof.NewWriter(w)
	if err := machine.WriteBase(file); err != nil {
		return out, err
	}
	err = log.Each(out.SnapshotIndex+1, func(l *raft.Log) error {
		if progress != nil {
			progress(l.Index-out.SnapshotIndex, out.LastIndex-out.SnapshotIndex)
		}
		if l.Type != raft.LogCommand {
			return ctx.Err()
		}
		out.Entries++
		machine.Apply(l)
		if err := file.Unit(aof.Commands(effects.Take())); err != nil {
			return err
		}
		return ctx.Err()
	})
	if err != nil {
		return out, err
	}
	out.Keys = machine.Digest().Keys
	return out, file.Flush()
}

// restoreNewest loads the newest snapshot in dir and returns its index, 0 without one.
func restoreNewest(machine *fsm.FSM, dir string, logger *slog.Logger) (uint64, error) {
	snapshots, err := snapshot.NewStore(dir, 2, logger)
	if err != nil {
		return 0, err
	}
	list, err := snapshots.List()
	if err != nil || len(list) == 0 {
		return 0, err
	}
	meta, r, err := snapshots.Open(list[0].ID)
	if err != nil {
		return 0, err
	}
	if err := machine.Restore(r); err != nil {
		return 0, fmt.Errorf("snapshot %s: %w", meta.ID, err)
	}
	return meta.Index, nil
}
