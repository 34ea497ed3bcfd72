package mutants

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/lockstepkv/lockstep/internal/procs"
	"github.com/lockstepkv/lockstep/jepsen"
	"github.com/lockstepkv/lockstep/jepsen/cluster"
	"github.com/lockstepkv/lockstep/jepsen/report"
)

// Options of a demonstration.
type Options struct {
	Names   []string // of mutants; empty: all
	Control bool     // run the rows without their mutants instead
	Mixed   bool     // run the rows under all faults instead of their own; those that are tests are left out
	Root    string   // of the repository
	Out     string   // for reports
	Seed    uint64   // of the first run; the others count on
	Log     func(format string, args ...any)
}

// Result is what became of one row.
type Result struct {
	Row
	Good bool          // caught; as a control: valid
	Took time.Duration // of all runs together
	Runs int
	By   string // what caught it, or why not
	Dir  string // of the last run
}

// Run goes through the table.
func Run(ctx context.Context, o Options) ([]Result, error) {
	rows, err := chosen(o.Names)
	if err != nil {
		return nil, err
	}
	if o.Mixed {
		rows = mixed(rows)
	}
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return nil, err
	}
	var results []Result
	for _, row := range rows {
		r := Result{Row: row}
		if o.Control {
			if slices.ContainsFunc(results, func(d Result) bool { return sameRun(d.Row, row) }) {
				continue
			}
			err = r.control(ctx, o)
		} else {
			err = r.hunt(ctx, o)
		}
		if err != nil {
			return results, err
		}
		o.Log("%s", r)
		results = append(results, r)
	}
	return results, nil
}

// chosen are the rows of the named mutants.
func chosen(names []string) ([]Row, error) {
	var rows []Row
	for _, row := range Table() {
		if len(names) == 0 || slices.Contains(names, row.Mutant) {
			rows = append(rows, row.filled())
		}
	}
	for _, name := range names {
		if !slices.ContainsFunc(rows, func(r Row) bool { return r.Mutant == name }) {
			return nil, fmt.Errorf("%w: %s", ErrUnknown, name)
		}
	}
	return rows, nil
}

// mixed lets the rows run under all faults: how long does it take when nobody knows where
// to look?
func mixed(rows []Row) (out []Row) {
	for _, r := range rows {
		if r.Test != "" {
			continue
		}
		r.Faults, r.Hold, r.Duration, r.Bound = []string{"all"}, [2]time.Duration{}, mixedDuration, mixedBound
		out = append(out, r)
	}
	return out
}

func sameRun(a, b Row) bool {
	return a.config() == b.config()
}

// config is what a row runs, in a word.
func (r Row) config() string {
	return fmt.Sprint(r.Workload, r.Faults, r.Hold, r.Duration, r.Workers, r.Pause, r.ReadMode, r.Flags, r.Test)
}

// hunt runs the mutant until it is caught or its time is over.
func (r *Result) hunt(ctx context.Context, o Options) error {
	bug, err := findBug(r.Mutant)
	if err != nil {
		return err
	}
	overlay, err := bug.overlay(ctx, o.Root, o.Out)
	if err != nil {
		return err
	}
	defer os.RemoveAll(filepath.Dir(overlay))
	if r.Test != "" {
		return r.test(ctx, o, "-overlay", overlay)
	}
	binary, err := procs.Build(ctx, o.Root, o.Out, "harness", "-overlay", overlay)
	if err != nil {
		return err
	}
	defer os.Remove(binary)
	began := time.Now()
	broken := 0
	for ; !r.Good && broken < 3 && (r.Runs == 0 || time.Since(began) < r.Bound); r.Runs++ {
		out, err := r.one(ctx, o, binary)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			// Some bugs keep a cluster from starting, or from being asked at
			// all; that is not what the row is about.
			broken++
			r.By = noRun(err)
			o.Log("%s: %s", r.Mutant, r.By)
			continue
		}
		r.Good, r.By = r.caught(out)
		o.Log("%s: run %d: caught %v: %s", r.Mutant, r.Runs+1, r.Good, r.By)
	}
	r.Took = time.Since(began)
	return nil
}

// control runs the row once, without its mutant.
func (r *Result) control(ctx context.Context, o Options) error {
	if r.Test != "" {
		return r.test(ctx, o)
	}
	binary, err := procs.Build(ctx, o.Root, o.Out, "harness")
	if err != nil {
		return err
	}
	defer os.Remove(binary)
	began := time.Now()
	out, err := r.one(ctx, o, binary)
	r.Runs, r.Took = 1, time.Since(began)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		r.By = noRun(err)
	case out.Valid():
		r.Good, r.By = true, "valid"
	default:
		r.By = complaints(out)
	}
	return nil
}

// test runs the row's test, which must fail with the mutant and pass without. Further
// arguments are for go test.
func (r *Result) test(ctx context.Context, o Options, mutation ...string) error {
	began, mutated := time.Now(), len(mutation) > 0
	args := append([]string{"test", "-tags", "failpoints", "-count=1", "-run", "^" + r.Test + "$"}, mutation...)
	cmd := exec.CommandContext(ctx, "go", append(args, r.Package)...)
	cmd.Dir = o.Root
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	failed := bytes.Contains(out, []byte("--- FAIL: "+r.Test))
	if err != nil && !failed {
		return fmt.Errorf("go test %s: %w\n%s", r.Package, err, out)
	}
	r.Runs, r.Took, r.Good, r.By = 1, time.Since(began), failed == mutated, "test "+r.Test
	if !mutated && r.Good {
		r.By = "passed"
	}
	return nil
}

// noRun says in a line why there was none.
func noRun(err error) string {
	first, _, _ := strings.Cut(err.Error(), "\n")
	first, _, _ = strings.Cut(first, ";")
	return "no run: " + first
}

func (r *Result) one(ctx context.Context, o Options, binary string) (*report.Report, error) {
	name := r.Mutant
	if o.Control {
		name = "control-" + name
	}
	r.Dir = filepath.Join(o.Out, fmt.Sprintf("%s-%d", name, r.Runs+1))
	out, err := jepsen.Run(ctx, jepsen.Config{
		Workload: r.Workload, Faults: r.Faults, Nodes: 3, Shards: 1, Duration: r.Duration, Seed: o.Seed + uint64(r.Runs),
		Out: r.Dir, Workers: r.Workers, Pause: r.Pause, ReadMode: r.ReadMode, Engine: "wal", Flags: r.Flags,
		Binary: binary, Root: o.Root, MinHold: r.Hold[0], MaxHold: r.Hold[1], EndEarly: true,
		CommandLine: []string{"scripts/jepsen", "mutants", r.Mutant},
	})
	return out, errors.Join(err, os.RemoveAll(filepath.Join(r.Dir, "data")))
}

// caught reports whether a run has found the bug, and what has.
func (r Row) caught(out *report.Report) (bool, string) {
	var by []string
	if v := out.Verdict; len(v.Anomalies) > 0 {
		var types []string
		for name, n := range v.Found {
			types = append(types, fmt.Sprintf("%s (%d)", name, n))
		}
		slices.Sort(types)
		by = append(by, "checker "+v.Checker+": "+strings.Join(types, ", "))
	}
	for _, c := range out.Checks {
		if c.Name == jepsen.Recovery && !c.Valid && r.NoReturn {
			by = append(by, "the cluster does not come back")
		}
		if c.Name == jepsen.ReplicasAgree && !c.Valid && strings.Contains(c.Detail, cluster.ErrDiverged.Error()) {
			by = append(by, "replicas differ")
		}
		if c.Name == jepsen.NeverDiverged && !c.Valid {
			by = append(by, "a replica found itself wrong")
		}
	}
	if len(by) == 0 {
		return false, "not caught; " + complaints(out)
	}
	return true, strings.Join(by, "; ")
}

// complaints are the conditions that a run did not meet.
func complaints(out *report.Report) string {
	var list []string
	for _, c := range out.Checks {
		if !c.Valid {
			list = append(list, c.Name+": "+c.Detail)
		}
	}
	if len(list) == 0 {
		return "the run was valid"
	}
	return strings.Join(list, "; ")
}

// String is the result in a line.
func (r Result) String() string {
	word := "ok"
	if !r.Good {
		word = "FAIL"
	}
	return fmt.Sprintf("%s %s: %.1f s, %d runs: %s", word, r.Mutant, r.Took.Seconds(), r.Runs, r.By)
}
