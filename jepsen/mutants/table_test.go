package mutants

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/jepsen"
	"github.com/lockstepkv/lockstep/jepsen/check"
	"github.com/lockstepkv/lockstep/jepsen/cluster"
	"github.com/lockstepkv/lockstep/jepsen/nemesis"
	"github.com/lockstepkv/lockstep/jepsen/report"
	"github.com/lockstepkv/lockstep/jepsen/workload"
)

func TestEveryMutantHasARow(t *testing.T) {
	bugs, err := Bugs()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bugs {
		if !slices.ContainsFunc(Table(), func(r Row) bool { return r.Mutant == b.Name }) {
			t.Errorf("no row for %s", b.Name)
		}
	}
	for _, row := range Table() {
		if _, err := findBug(row.Mutant); err != nil {
			t.Error(err)
		}
		if row.Test != "" {
			continue
		}
		if !slices.Contains(workload.Names(), row.Workload) {
			t.Errorf("%s: no workload %q", row.Mutant, row.Workload)
		}
		if _, _, err := nemesis.Expand(row.Faults, nemesis.Able{Loss: true, Disks: true}); err != nil {
			t.Errorf("%s: %v", row.Mutant, err)
		}
	}
}

func TestChosen(t *testing.T) {
	rows, err := chosen([]string{"multi-not-atomic"})
	if err != nil || len(rows) != 1 || rows[0].Workers == 0 {
		t.Errorf("%+v, %v", rows, err)
	}
	if _, err := chosen([]string{"multi-not-atomic", "nobody"}); !errors.Is(err, ErrUnknown) {
		t.Errorf("an unknown name: %v", err)
	}
}

// Only what the row is about counts, not everything that a valid run needs.
func TestCaught(t *testing.T) {
	diverged := &report.Report{}
	diverged.Add(jepsen.ReplicasAgree, false, cluster.ErrDiverged.Error()+": shard 0")
	late := &report.Report{}
	late.Add(jepsen.ReplicasAgree, false, "context deadline exceeded")
	late.Add(jepsen.Recovery, false, "context deadline exceeded")
	late.Add("faults", false, "never: pause")
	anomaly := &report.Report{Verdict: check.Verdict{
		Checker: "set", Anomalies: []check.Anomaly{{Type: check.AnomalyLost}}, Found: map[string]int{check.AnomalyLost: 2},
	}}
	for _, tc := range []struct {
		name string
		row  Row
		out  *report.Report
		want bool
		by   string
	}{
		{"anomaly", Row{}, anomaly, true, "checker set: lost (2)"},
		{"divergence", Row{}, diverged, true, "replicas differ"},
		{"other failures", Row{}, late, false, "never: pause"},
		{"no return", Row{NoReturn: true}, late, true, "does not come back"},
		{"unknown", Row{}, &report.Report{Verdict: check.Verdict{Unknown: true}}, false, "valid"},
	} {
		if got, by := tc.row.caught(tc.out); got != tc.want || !strings.Contains(by, tc.by) {
			t.Errorf("%s: %v, %q", tc.name, got, by)
		}
	}
}
