// Command lockstep-jepsen tests the consistency of Lockstep under faults: see
// docs/consistency-testing.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstepkv/lockstep/jepsen"
	"github.com/lockstepkv/lockstep/jepsen/cluster"
	"github.com/lockstepkv/lockstep/jepsen/nemesis"
	"github.com/lockstepkv/lockstep/jepsen/workload"
)

// The exit codes.
const (
	exitInvalid = 1 // the run is over and not valid
	exitBroken  = 2 // there was no run to judge
	// exitStopped is what shells use for SIGINT: whoever goes through several runs
	// must not go on to the next.
	exitStopped = 130
)

// errInvalid is returned for a run that is over and not valid.
var errInvalid = errors.New("not valid")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newRoot().ExecuteContext(ctx)
	code := exitCode(ctx, err)
	stop()
	if code >= exitBroken {
		fmt.Fprintln(os.Stderr, "lockstep-jepsen:", err)
	}
	os.Exit(code)
}

func exitCode(ctx context.Context, err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errInvalid):
		return exitInvalid
	case ctx.Err() != nil:
		return exitStopped
	}
	return exitBroken
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use: "lockstep-jepsen", Short: "Test the consistency of Lockstep under faults",
		SilenceUsage: true, SilenceErrors: true,
	}
	root.AddCommand(newRun(), newMutants(), newSummary(), newList())
	return root
}

func newList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List workloads and faults", Args: cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprintln(cmd.OutOrStdout(), "workloads:", strings.Join(workload.Names(), " "))
			fmt.Fprintln(cmd.OutOrStdout(), "faults:   ", strings.Join(nemesis.Names(), " "))
		},
	}
}

func newRun() *cobra.Command {
	cfg := jepsen.Config{CommandLine: append([]string{"go", "run", "./cmd/lockstep-jepsen"}, os.Args[1:]...)}
	cmd := &cobra.Command{
		Use: "run", Short: "Run one workload under faults and judge it", Args: cobra.NoArgs,
		Long: `Run one workload under faults and judge it.

Exit status: 0 the run is valid, 1 it is not, 2 it could not be run,
130 it was interrupted.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd, cfg) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&cfg.Workload, "workload", "register", strings.Join(workload.Names(), ", "))
	f.StringSliceVar(&cfg.Faults, "faults", []string{"all"}, strings.Join(nemesis.Names(), ", "))
	f.IntVar(&cfg.Nodes, "nodes", 3, "3 or 5")
	f.IntVar(&cfg.Shards, "shards", 1, "shards of the cluster")
	f.DurationVar(&cfg.Duration, "duration", time.Minute, "how long faults are injected")
	f.Uint64Var(&cfg.Seed, "seed", 0, "of all that happens at random; 0: a new one")
	f.StringVar(&cfg.Out, "out", "", "directory for the report (default jepsen-runs/<time>-<workload>)")
	f.IntVar(&cfg.Workers, "workers", 3, "clients per node")
	f.DurationVar(&cfg.Pause, "pause", 15*time.Millisecond, "mean pause of a client between two steps")
	f.StringVar(&cfg.ReadMode, "read-mode", "quorum", "quorum or lease")
	f.StringVar(&cfg.Engine, "log-engine", "wal", "wal or bolt")
	f.StringVar(&cfg.Network, "network", cluster.AutoNetwork, "namespaces (root, Linux), seam (in the nodes), or auto")
	f.StringArrayVar(&cfg.Flags, "serve-flag", nil, "a further flag of lockstep serve, as --name=value")
	f.StringVar(&cfg.Binary, "binary", "", "lockstep built with the tag harness (default: build it)")
	f.StringVar(&cfg.Tags, "tags", "", "further build tags for the nodes")
	f.StringVar(&cfg.Root, "root", ".", "the repository, to build from")
	return cmd
}

func run(cmd *cobra.Command, cfg jepsen.Config) error {
	began := time.Now()
	if cfg.Seed == 0 {
		cfg.Seed = rand.Uint64N(1 << 32)
		cfg.CommandLine = append(cfg.CommandLine, fmt.Sprintf("--seed=%d", cfg.Seed))
	}
	if cfg.Out == "" {
		cfg.Out = fmt.Sprintf("jepsen-runs/%s-%s", began.Format("20060102-150405"), cfg.Workload)
	}
	cfg.Log = func(format string, args ...any) {
		fmt.Fprintf(cmd.ErrOrStderr(), "%6.1fs  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}
	r, err := jepsen.Run(cmd.Context(), cfg)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	for _, c := range r.Checks {
		word := "ok  "
		if !c.Valid {
			word = "FAIL"
		}
		fmt.Fprintf(out, "%s %-16s %s\n", word, c.Name, c.Detail)
	}
	for _, a := range r.Verdict.Anomalies[:min(len(r.Verdict.Anomalies), 5)] {
		fmt.Fprintf(out, "     %s %s: %s\n", a.Type, a.Key, a.Text)
	}
	fmt.Fprintf(out, "%d ok, %d failed, %d in doubt; report: %s/index.html\n", r.OK, r.Failed, r.InDoubt, cfg.Out)
	if !r.Valid() {
		fmt.Fprintln(out, "NOT VALID")
		return errInvalid
	}
	fmt.Fprintln(out, "VALID")
	return nil
}
