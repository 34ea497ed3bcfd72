package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/lockstepkv/lockstep/shard"
)

// recoverOptions say what to recover from what.
type recoverOptions struct {
	from, dataDir, id string
	acceptLoss, force bool
}

func newRecoverCommand() *cobra.Command {
	var o recoverOptions
	cmd := &cobra.Command{
		Use:   "recover --from DIR --data-dir DIR",
		Short: "Replace a stopped node's damaged data by that of the one node that is whole",
		Long: `Replace the data of a stopped node by a copy of another stopped node's, when so many
nodes are damaged that the others wait for them for ever: no majority has its votes
any more, and a damaged node gets its vote back only from a majority.

Acknowledged writes that the node in --from does not have are lost. Without
--accept-data-loss nothing is changed: the command says what it would do, and how far
the data goes. What the node had is kept beside, as shards/NNN.damaged-TIME.

Recover one node at a time until a majority is whole; the rest repair themselves.`,
		Args: cobra.NoArgs,
		RunE: action(func(_ context.Context, cmd *cobra.Command, _ []string) error {
			if o.from == "" || o.dataDir == "" {
				return withCode(exitUsage, fmt.Errorf("--from and --data-dir are needed"))
			}
			return runRecover(o, cmd.OutOrStdout())
		}),
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.from, "from", "", "data directory of the stopped node that is whole")
	f.StringVar(&o.dataDir, "data-dir", "", "data directory of the stopped node that is damaged")
	f.StringVar(&o.id, "id", "", "id of that node, if its directory does not say")
	f.BoolVar(&o.acceptLoss, "accept-data-loss", false, "do it: what the whole node does not have is lost")
	f.BoolVar(&o.force, "force", false, "also a node that looks whole")
	return cmd
}

func runRecover(o recoverOptions, out io.Writer) error {
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	r, err := shard.PlanRecovery(o.from, o.dataDir, o.id, o.force, logger)
	if err != nil {
		return err
	}
	for i, s := range r.SourceShards {
		fmt.Fprintf(out, "shard %d of %s, which is whole, ends at index %d (snapshot up to %d)\n", i, r.SourceNode, s.LastIndex, s.SnapshotIndex)
		fmt.Fprintf(out, "shard %d of %s %s\n", i, r.TargetNode, describe(r.TargetShards[i]))
	}
	if !o.acceptLoss {
		fmt.Fprintf(out, "\nnothing was changed. With --accept-data-loss the data of %s is replaced by a copy of that of %s.\n"+
			"Acknowledged writes after the indexes of %s are lost, and what it has beyond what was\nacknowledged becomes so.\n",
			r.TargetNode, r.SourceNode, r.SourceNode)
		return nil
	}
	if err := r.Run(); err != nil {
		return fmt.Errorf("%w; the node has no vote, run the command again", err)
	}
	fmt.Fprintf(out, "\n%s has the data of %s and its votes; what it had is in shards/*.damaged-*. Start the nodes.\n", r.TargetNode, r.SourceNode)
	return nil
}

func describe(s shard.ReplicaState) string {
	switch {
	case s.Err != nil:
		return fmt.Sprintf("cannot be read: %v", s.Err)
	case s.Quarantined:
		return fmt.Sprintf("has lost data and has no vote; it ends at index %d", s.LastIndex)
	}
	return fmt.Sprintf("looks whole and ends at index %d", s.LastIndex)
}
