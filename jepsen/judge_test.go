package jepsen

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/internal/procs"
	"github.com/lockstepkv/lockstep/jepsen/client"
	"github.com/lockstepkv/lockstep/jepsen/cluster"
	"github.com/lockstepkv/lockstep/jepsen/history"
	"github.com/lockstepkv/lockstep/jepsen/nemesis"
	"github.com/lockstepkv/lockstep/jepsen/report"
)

// verdictOf returns the condition of a report by its name.
func verdictOf(t *testing.T, r *report.Report, name string) report.Check {
	t.Helper()
	for _, c := range r.Checks {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no condition %q among %+v", name, r.Checks)
	return report.Check{}
}

func entries(n int, outcome history.Outcome, text string) []history.Entry {
	out := make([]history.Entry, n)
	for i := range out {
		out[i].Outcome, out[i].Error = outcome, text
	}
	return out
}

func kind(name string, list []history.Entry) []history.Entry {
	for i := range list {
		list[i].Kind = name
	}
	return list
}

func TestOperationsAreJudged(t *testing.T) {
	for _, c := range []struct {
		name         string
		entries      []history.Entry
		enough, fine bool
	}{
		{"enough", entries(50, history.OK, ""), true, true},
		{"too few", append(entries(49, history.OK, ""), entries(1000, history.Fail, "TRYAGAIN")...), false, true},
		{"a kind that never succeeds", append(entries(50, history.OK, ""), kind("write", entries(10, history.Fail, "TRYAGAIN"))...), false, true},
		{"a kind that was hardly tried", append(entries(50, history.OK, ""), kind("write", entries(9, history.Fail, "TRYAGAIN"))...), true, true},
		{"undocumented", append(entries(50, history.OK, ""), entries(1, history.InDoubt, client.ErrUnexpected.Error()+": WHAT")...), true, false},
	} {
		r := &run{cfg: Config{Duration: 25 * time.Second}}
		r.judgeOperations(c.entries)
		if got := verdictOf(t, &r.out, "enough was done"); got.Valid != c.enough {
			t.Errorf("%s: %+v", c.name, got)
		}
		if got := verdictOf(t, &r.out, "errors"); got.Valid != c.fine {
			t.Errorf("%s: %+v", c.name, got)
		}
		if r.out.Valid() != (c.enough && c.fine) {
			t.Errorf("%s: valid is %v", c.name, r.out.Valid())
		}
	}
}

// A fault that was asked for and never took effect makes the run invalid.
func TestMissingFaultsAreJudged(t *testing.T) {
	log := filepath.Join(t.TempDir(), "n1.log")
	if err := os.WriteFile(log, []byte("msg=\"snapshot taken\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		faults []string
		log    string
		want   string // what was missed
	}{
		{[]string{"kill-leader", "pause"}, log, "never: kill-leader, pause"},
		{[]string{nemesis.Snapshots}, log + "-absent", "never: snapshots"},
		{[]string{nemesis.Snapshots}, log, ""},
	} {
		nodes := &cluster.Cluster{Nodes: []*cluster.Node{{Node: procs.Node{ID: "n1"}, LogFile: c.log}}}
		r := &run{cfg: Config{Faults: c.faults}, cluster: nodes, nemesis: nemesis.New(nemesis.Options{Cluster: nodes, Faults: c.faults})}
		r.judgeFaults()
		if got := verdictOf(t, &r.out, "faults"); got.Valid != (c.want == "") || !strings.Contains(got.Detail, c.want) {
			t.Errorf("%v: %+v", c.faults, got)
		}
	}
}

func TestADivergedReplicaIsNoticed(t *testing.T) {
	log := filepath.Join(t.TempDir(), "n1.log")
	for text, valid := range map[string]bool{"msg=serving\n": true, "msg=\"REPLICA DIVERGED: it neither answers\"\n": false} {
		if err := os.WriteFile(log, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r := &run{cluster: &cluster.Cluster{Nodes: []*cluster.Node{{Node: procs.Node{ID: "n1"}, LogFile: log}}}}
		r.judgeDiverged()
		if got := verdictOf(t, &r.out, NeverDiverged); got.Valid != valid {
			t.Errorf("%s: %+v", text, got)
		}
	}
}

func TestRunsThatCannotBeAreRefused(t *testing.T) {
	good := Config{Binary: "/bin/true", Workload: "register", Faults: []string{"none"}, Nodes: 3, Shards: 1, Duration: time.Minute, Workers: 1, Out: t.TempDir()}
	for name, change := range map[string]func(*Config){
		"nodes": func(c *Config) { c.Nodes = 4 }, "shards": func(c *Config) { c.Shards = 17 }, "duration": func(c *Config) { c.Duration = time.Second },
		"pause": func(c *Config) { c.Pause = -time.Second }, "holds": func(c *Config) { c.MinHold, c.MaxHold = 2, 1 },
		"binary":  func(c *Config) { c.Binary = "judge_test.go" },
		"workers": func(c *Config) { c.Workers = 0 }, "out": func(c *Config) { c.Out = "" },
		"workload": func(c *Config) { c.Workload = "tea" }, "faults": func(c *Config) { c.Faults = []string{"meteor"} },
	} {
		bad := good
		change(&bad)
		if _, err := Run(context.Background(), bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestABinaryThatIsNoneIsNamed(t *testing.T) {
	err := runnable(context.Background(), "judge_test.go")
	if !errors.Is(err, errNoProgram) || !strings.Contains(err.Error(), "judge_test.go") {
		t.Errorf("%v", err)
	}
	if err := runnable(context.Background(), "/bin/true"); err != nil {
		t.Error(err)
	}
}

func TestADirectoryIsUsedOnce(t *testing.T) {
	for _, c := range []struct {
		name string
		used bool
	}{{"data/n1/node.db", true}, {"n1.log", true}, {"lockstep", false}, {"note.txt", false}} {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, c.name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, c.name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := unused(dir); errors.Is(err, errUsed) != c.used {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if err := unused(filepath.Join(t.TempDir(), "absent")); err != nil {
		t.Error(err)
	}
}

func TestShareOfServedSeconds(t *testing.T) {
	at := func(second float64, o history.Outcome) history.Entry {
		return history.Entry{Meta: history.Meta{Return: time.Duration(second * float64(time.Second)), Outcome: o}}
	}
	entries := []history.Entry{at(0.1, history.OK), at(0.9, history.OK), at(1.5, history.Fail), at(3.2, history.OK), at(4.5, history.OK)}
	if got := servedShare(entries, 4*time.Second); got != 0.5 {
		t.Errorf("%g, want 0.5: seconds 0 and 3 of 4", got)
	}
	if got := servedShare(nil, 0); got != 1 {
		t.Errorf("%g without faults", got)
	}
}
