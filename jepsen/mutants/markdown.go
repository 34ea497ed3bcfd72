package mutants

import (
	"fmt"
	"os"
	"strings"
)

// Markdown is the table of the results.
func Markdown(results []Result, control bool) string {
	var b strings.Builder
	last := "caught by"
	if control {
		last = "without the mutant"
	}
	fmt.Fprintf(&b, "| mutant | workload | faults | seconds | runs | %s |\n|---|---|---|---|---|---|\n", last)
	good := 0
	for _, r := range results {
		by := r.By
		if r.Good {
			good++
		} else {
			by = "**" + by + "**"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %.0f | %d | %s |\n", r.Mutant, r.setting(), strings.Join(r.Faults, ", "), r.Took.Seconds(), r.Runs, by)
	}
	word := "caught"
	if control {
		word = "valid"
	}
	fmt.Fprintf(&b, "\n%d of %d %s.\n", good, len(results), word)
	return b.String()
}

// setting is the workload with what is special about the run.
func (r Row) setting() string {
	if r.Test != "" {
		return "a test in `" + r.Package + "`"
	}
	s := r.Workload
	if r.ReadMode == "lease" {
		s += ", leases"
	}
	for _, f := range r.Flags {
		s += ", `" + f + "`"
	}
	return s
}

const docHead = `# Mutants

Deliberate bugs, and what found them. A checker that cannot fail proves nothing.

Each bug is a patch in ` + "`jepsen/mutants/bugs`" + `; the sources know nothing of them. This page is written by
` + "`scripts/jepsen mutants`" + `: it builds Lockstep with one patch and runs it under the workload and the faults that should
uncover it, with one seed after the other, until it is caught. Seconds count from the start of the first cluster.
` + "`scripts/jepsen mutants --control`" + ` runs the same without the bugs; nothing must be found then.

`

const mixedHead = `# Mutants under all faults

The same bugs as in [mutants.md](mutants.md), those that take a cluster, when nobody knows where to look: each runs under every fault
there is, two at a time, with one seed after the other, until it is caught or four minutes are over. One that is not caught in that
time needs its own schedule. This page is written by ` + "`scripts/jepsen mutants --mixed`" + `.

`

// WriteDoc writes a page for docs/.
func WriteDoc(path string, results []Result, mixed bool) error {
	var b strings.Builder
	if mixed {
		b.WriteString(mixedHead)
		b.WriteString(Markdown(results, false))
		return os.WriteFile(path, []byte(b.String()), 0o644)
	}
	b.WriteString(docHead)
	b.WriteString(Markdown(results, false))
	b.WriteString("\n## The bugs\n\n| mutant | what is wrong |\n|---|---|\n")
	bugs, err := Bugs()
	if err != nil {
		return err
	}
	for _, bug := range bugs {
		fmt.Fprintf(&b, "| `%s` | %s |\n", bug.Name, bug.Wrong)
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}
