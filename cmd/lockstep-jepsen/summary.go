package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstepkv/lockstep/jepsen/report"
)

func newSummary() *cobra.Command {
	return &cobra.Command{
		Use: "summary DIR...", Short: "Print a table of finished runs (Markdown)", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, dirs []string) error { return summarize(cmd.OutOrStdout(), dirs) },
	}
}

// finished is what a summary needs of results.json.
type finished struct {
	Valid bool `json:"valid"`
	report.Report
}

// faultTotal gathers one kind of fault over all runs.
type faultTotal struct {
	injected, took int
	longest        float64
}

func summarize(w io.Writer, dirs []string) error {
	totals := map[string]*faultTotal{}
	var ok, failed, inDoubt, valid, faults int
	var took time.Duration
	fmt.Fprintln(w, "| run | verdict | nodes | shards | reads | log | ok | failed | in doubt | faults |\n|---|---|---|---|---|---|---|---|---|---|")
	for _, dir := range dirs {
		r, err := load(dir)
		if err != nil {
			fmt.Fprintf(w, "| %s | not run | | | | | | | | |\n", dir)
			continue
		}
		word := "**failed**"
		if r.Valid {
			word = "valid"
			valid++
		}
		fmt.Fprintf(w, "| %s | %s | %d | %d | %s | %s | %d | %d | %d | %d |\n", dir, word, r.Nodes, r.Shards, r.ReadMode, r.Engine, r.OK, r.Failed, r.InDoubt, len(r.Events))
		ok, failed, inDoubt, faults = ok+r.OK, failed+r.Failed, inDoubt+r.InDoubt, faults+len(r.Events)
		took += r.Healed + r.Recovery
		r.count(totals)
	}
	fmt.Fprintf(w, "\n%d of %d runs valid; %d operations: %d ok, %d failed, %d in doubt; %d faults in %v.\n\n",
		valid, len(dirs), ok+failed+inDoubt, ok, failed, inDoubt, faults, took.Round(time.Second))
	fmt.Fprintln(w, "| fault | injected | took effect | longest silence |\n|---|---|---|---|")
	var names []string
	for name := range totals {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		t := totals[name]
		fmt.Fprintf(w, "| %s | %d | %d | %.2f s |\n", name, t.injected, t.took, t.longest)
	}
	return nil
}

func load(dir string) (*finished, error) {
	text, err := os.ReadFile(filepath.Join(dir, "results.json"))
	if err != nil {
		return nil, err
	}
	var r finished
	// The inputs and outputs of a verdict's operations have no fixed type here.
	return &r, json.Unmarshal(text, &r)
}

func (r *finished) count(totals map[string]*faultTotal) {
	for _, e := range r.Events {
		t := totals[e.Fault]
		if t == nil {
			t = &faultTotal{}
			totals[e.Fault] = t
		}
		t.injected++
		if e.Took {
			t.took++
		}
		t.longest = max(t.longest, r.Gaps[e.Fault])
	}
}
