package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"
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

What the node had not yet seen committed is left out. The data directory is only
read; a node that runs on it is an error.`,
		Args: cobra.ExactArgs(1),
		RunE: action(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			o.output = args[0]
			if o.shard < -1 {
				return withCode(exitUsage, mistake("shard", "%d is not a shard", o.shard))
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
func runExportAOF(_ context.Context, _ exportAOFOptions, _ io.Writer) error {
	return errors.New("export-aof: the log reader is not wired in this build")
}
