package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstepkv/lockstep/jepsen/mutants"
)

func newMutants() *cobra.Command {
	var o mutants.Options
	var doc string
	cmd := &cobra.Command{
		Use: "mutants [NAME...]", Short: "Show that deliberate bugs are found",
		Long: `Show that deliberate bugs are found.

Builds lockstep with one patch of jepsen/mutants/bugs after the other and runs it
under the workload and the faults that should uncover the bug, until it is caught
or its time is over.

Exit status: 0 all were caught (--control: all runs are valid), 1 not all, 2 it
could not be run.`,
		RunE: func(cmd *cobra.Command, names []string) error {
			o.Names = names
			return runMutants(cmd, o, doc)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVar(&o.Control, "control", false, "run the same without the bugs: nothing must be found")
	f.BoolVar(&o.Mixed, "mixed", false, "run each under all faults instead of its own: how long until it is found?")
	f.StringVar(&o.Out, "out", "", "directory for the reports (default jepsen-runs/<time>-mutants)")
	f.Uint64Var(&o.Seed, "seed", 0, "of the first run of each mutant; 0: a new one")
	f.StringVar(&doc, "doc", "", "write the table to this file")
	f.StringVar(&o.Root, "root", ".", "the repository, to build from")
	return cmd
}

func runMutants(cmd *cobra.Command, o mutants.Options, doc string) error {
	began := time.Now()
	if o.Seed == 0 {
		o.Seed = rand.Uint64N(1 << 32)
	}
	if o.Out == "" {
		o.Out = fmt.Sprintf("jepsen-runs/%s-mutants", began.Format("20060102-150405"))
	}
	o.Log = func(format string, args ...any) {
		fmt.Fprintf(cmd.ErrOrStderr(), "%6.1fs  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}
	results, err := mutants.Run(cmd.Context(), o)
	if err != nil {
		return err
	}
	fmt.Fprint(cmd.OutOrStdout(), mutants.Markdown(results, o.Control))
	if doc != "" {
		if err := mutants.WriteDoc(doc, results, o.Mixed); err != nil {
			return err
		}
	}
	for _, r := range results {
		if !r.Good {
			return errInvalid
		}
	}
	return nil
}
