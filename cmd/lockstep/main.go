package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func main() { os.Exit(run()) }

// run is main with an exit code.
func run() int {
	hangups := hangupsOf(os.Args[1:])
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends the process at once: the first one is taken back as
	// soon as it has come.
	context.AfterFunc(ctx, stop)
	err := newRootCommand(hangups).ExecuteContext(ctx)
	if err != nil && err.Error() != "" {
		fmt.Fprintln(os.Stderr, "lockstep:", err)
	}
	return exitCode(err)
}

// hangupsOf takes the SIGHUPs of a node, before it does anything else: whoever replaces its secrets while it starts
// does not end it, and one SIGHUP is kept until the node can read them. Other commands end by it, as programs do.
func hangupsOf(args []string) <-chan os.Signal {
	if len(args) == 0 || args[0] != "serve" {
		return nil
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	return hangups
}

// newContainerCommand is a command that only has others. Alone it shows them; a
// word that is none of them is an error, as it is for lockstep itself.
func newContainerCommand(use, short string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return fmt.Errorf("unknown command %q for %q; --help lists them", args[0], cmd.CommandPath())
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
}

func newRootCommand(hangups <-chan os.Signal) *cobra.Command {
	root := &cobra.Command{
		Use:   "lockstep",
		Short: "A strongly consistent cache that speaks HTTP and the Redis protocol",
		Long: `Lockstep is a replicated key-value cache: no stale read, no acknowledged write lost.

Run "lockstep serve" for one durable node with no set-up; the other commands
work on a running cluster.

Exit codes: 0 done, 1 failed, 2 bad usage, 3 no such key, 4 condition not met,
5 unavailable (nothing happened, try again), 6 in doubt (it may have happened).`,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,

		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := refuseEmptyFlags(cmd); err != nil {
				return cmd.FlagErrorFunc()(cmd, err)
			}
			return nil
		},
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(newServeCommand(hangups), newKeyCommand(), newLockCommand(), newClusterCommand(), newBackupCommand(),
		newRestoreCommand(), newExportAOFCommand(), newRecoverCommand(), newBenchCommand(), newVersionCommand())
	return root
}

// refuseEmptyFlags: a flag that was given without a value (--password "$UNSET") is
// a mistake. To take it for one that was not given would fall back to a default
// that nobody asked for: no password, no certificate, the node on this machine.
func refuseEmptyFlags(cmd *cobra.Command) error {
	var errs []error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		empty := f.Value.String() == ""
		if list, ok := f.Value.(pflag.SliceValue); ok {
			empty = len(list.GetSlice()) == 0
		}
		if empty {
			errs = append(errs, fmt.Errorf("--%s: the value is empty; leave the flag away if that is what you mean", f.Name))
		}
	})
	return errors.Join(errs...)
}
