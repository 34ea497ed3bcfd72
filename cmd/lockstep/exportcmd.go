package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/lockstepkv/lockstep/api/rooms"
	"github.com/lockstepkv/lockstep/internal/config"
	"github.com/lockstepkv/lockstep/internal/disk"
	"github.com/lockstepkv/lockstep/shard"
)

// exportAOFOptions say whose data to export and where to.
type exportAOFOptions struct {
	dataDir string
	output  string
	shard   int // -1: every shard
	force   bool
}

func newExportAOFCommand() *cobra.Command {
	var o exportAOFOptions
	cmd := &cobra.Command{
		Use:   "export-aof OUTPUT",
		Short: "Write the snapshot and log of a stopped node as an AOF that redis-server replays",
		Long: `Write the newest snapshot and the log after it of a stopped node as an AOF with
an RDB preamble, which redis-server replays (aof-use-rdb-preamble yes) and
redis-check-aof accepts. With one shard OUTPUT is the file; with several it is a
directory with one file per shard, shard-0.aof and so on, unless --shard names one.

All of the node's log is written; of its very last entries the node may not know
whether they were committed. The data directory is only read; a node that runs on
it is an error.`,
		Args: cobra.ExactArgs(1),
		RunE: action(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			o.output = args[0]
			if o.shard < -1 {
				return withCode(exitUsage, config.Mistake("shard", "%d is not a shard", o.shard))
			}
			return runExportAOF(ctx, o, cmd.OutOrStdout())
		}),
	}
	cmd.Flags().StringVar(&o.dataDir, "data-dir", "lockstep-data", "data directory of the stopped node")
	cmd.Flags().IntVar(&o.shard, "shard", -1, "one shard only; -1: all")
	cmd.Flags().BoolVar(&o.force, "force", false, "replace files that exist")
	return cmd
}

// runExportAOF writes the AOF files.
func runExportAOF(ctx context.Context, o exportAOFOptions, out io.Writer) error {
	id, err := shard.ReadIdentity(o.dataDir)
	if err != nil {
		return err
	}
	if o.shard >= id.Shards {
		return withCode(exitUsage, config.Mistake("shard", "%d: the node has shards 0 to %d", o.shard, id.Shards-1))
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	for s := range id.Shards {
		if o.shard >= 0 && s != o.shard {
			continue
		}
		path := o.output
		if id.Shards > 1 && o.shard < 0 {
			path = filepath.Join(o.output, fmt.Sprintf("shard-%d.aof", s))
		}
		if _, err := os.Stat(path); err == nil && !o.force {
			return fmt.Errorf("%s exists; --force replaces it", path)
		}
		if err := exportShard(ctx, o.dataDir, s, path, logger, out); err != nil {
			return fmt.Errorf("export shard %d: %w", s, err)
		}
	}
	return nil
}

// exportShard writes to a temporary file beside path and renames it, so that path
// is never half an export.
func exportShard(ctx context.Context, dataDir string, s int, path string, logger *slog.Logger, out io.Writer) error {
	if err := disk.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.part")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // fails once the file has its name
	shown := newProgress(fmt.Sprintf("shard %d", s), 0)
	did, err := shard.ExportAOF(ctx, rooms.Table(), dataDir, s, file, logger, shown.entries)
	shown.end()
	if err := errors.Join(err, file.Sync(), file.Chmod(0o600), file.Close()); err != nil {
		return err
	}
	if err := disk.Rename(file.Name(), path); err != nil {
		return err
	}
	fmt.Fprintf(out, "shard %d: snapshot up to index %d and %d log entries up to %d, %d keys, in %s\n",
		s, did.SnapshotIndex, did.Entries, did.LastIndex, did.Keys, path)
	return nil
}
