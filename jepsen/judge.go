package jepsen

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/check"
	"github.com/lockstepkv/lockstep/jepsen/client"
	"github.com/lockstepkv/lockstep/jepsen/history"
	"github.com/lockstepkv/lockstep/jepsen/nemesis"
	"github.com/lockstepkv/lockstep/jepsen/report"
)

// judge has the history checked and draws the conclusions.
func (r *run) judge() {
	entries := r.load.Entries()
	r.say("checking %d operations", len(entries))
	verdict := r.judgeHistory()
	r.out.Verdict = verdict
	detail, _, _ := strings.Cut(verdict.String(), "\n")
	r.out.Add("checker "+verdict.Checker, verdict.Valid, detail)
	r.judgeOperations(entries)
	r.judgeFaults()
	r.judgeNodes()
	r.describe(entries)
}

func (r *run) judgeHistory() check.Verdict {
	if r.early != nil {
		return *r.early
	}
	return r.load.Check()
}

// minOK is the least number of successes per second of the run without which a
// valid history means little.
const minOKPerSecond = 2

func (r *run) judgeOperations(entries []history.Entry) {
	counts := map[history.Outcome]int{}
	var strange []string
	for _, e := range entries {
		counts[e.Outcome]++
		if strings.Contains(e.Error, client.ErrUnexpected.Error()) {
			strange = append(strange, e.String())
		}
	}
	r.out.OK, r.out.Failed, r.out.InDoubt = counts[history.OK], counts[history.Fail], counts[history.InDoubt]
	least := int(r.cfg.Duration.Seconds() * minOKPerSecond)
	r.out.Served = servedShare(entries, r.out.Healed)
	done := fmt.Sprintf("%d operations succeeded, at least %d are wanted; in %.0f %% of the seconds in which faults were injected, at least %.0f %% are wanted",
		r.out.OK, least, 100*r.out.Served, 100*minServed)
	never := neverOK(entries)
	if len(never) > 0 {
		done += "; none of kind " + strings.Join(never, ", ")
	}
	r.out.Add("enough was done", r.out.OK >= least && len(never) == 0 && r.out.Served >= minServed, done)
	detail := "every error that a client saw is documented, and no request was wrong"
	if len(strange) > 0 {
		detail = fmt.Sprintf("%d unexpected errors: %s", len(strange), strings.Join(strange[:min(len(strange), 5)], "; "))
	}
	r.out.Add("errors", len(strange) == 0, detail)
}

// minServed is the least share of the seconds with faults in which something must
// have succeeded: what nobody answers cannot be judged.
const minServed = 0.4

// servedShare is in which share of the seconds up to the end of the faults an
// operation succeeded.
func servedShare(entries []history.Entry, healed time.Duration) float64 {
	ok, served := make([]bool, int(healed/time.Second)), 0
	if len(ok) == 0 {
		return 1
	}
	for _, e := range entries {
		if i := int(e.Return / time.Second); e.Outcome == history.OK && i < len(ok) {
			ok[i] = true
		}
	}
	for _, yes := range ok {
		if yes {
			served++
		}
	}
	return float64(served) / float64(len(ok))
}

// fewAttempts is how many operations of a kind may all fail by chance, in a short
// run that begins with a fault.
const fewAttempts = 10

// neverOK are the kinds of operations that were attempted again and again, and
// never succeeded.
func neverOK(entries []history.Entry) (kinds []string) {
	attempts, ok := map[string]int{}, map[string]bool{}
	for _, e := range entries {
		attempts[e.Kind]++
		ok[e.Kind] = ok[e.Kind] || e.Outcome == history.OK
	}
	for kind, n := range attempts {
		if n >= fewAttempts && !ok[kind] {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	return kinds
}

func (r *run) judgeFaults() {
	r.out.Events = r.nemesis.Events()
	if len(r.cfg.Faults) == 0 {
		return
	}
	missing := r.nemesis.Missing()
	if slices.Contains(r.cfg.Faults, nemesis.Snapshots) {
		if taken := r.countInLogs("snapshot taken"); taken == 0 {
			missing = append(missing, nemesis.Snapshots)
		}
	}
	took := 0
	var broken []string
	for _, e := range r.out.Events {
		if e.Took {
			took++
			continue
		}
		if !e.Excused {
			broken = append(broken, e.Fault+": "+e.Note)
		}
	}
	detail := fmt.Sprintf("%d of %d took effect, the others were kept from it by faults at the same time", took, len(r.out.Events))
	if took == len(r.out.Events) {
		detail = fmt.Sprintf("all %d took effect", took)
	}
	if len(missing) > 0 {
		detail += "; never: " + strings.Join(missing, ", ")
	}
	if len(broken) > 0 {
		detail += "; " + strings.Join(broken, ", ")
	}
	r.out.Add("faults", len(missing) == 0 && len(broken) == 0, detail)
}

func (r *run) countInLogs(word string) int {
	n := 0
	for _, node := range r.cluster.Nodes {
		text, err := os.ReadFile(node.LogFile)
		if err == nil {
			n += bytes.Count(text, []byte(word))
		}
	}
	return n
}

// judgeNodes looks for nodes that ended by themselves.
func (r *run) judgeNodes() {
	var crashes []string
	for _, n := range r.cluster.Nodes {
		for _, e := range n.Exits() {
			r.out.Exits = append(r.out.Exits, e)
			if !e.Expected {
				crashes = append(crashes, fmt.Sprintf("%s with code %d at %v", e.Node, e.Code, e.At.Sub(r.start)))
			}
		}
	}
	detail := fmt.Sprintf("none ended by itself but as documented (%d times)", len(r.out.Exits))
	if len(crashes) > 0 {
		detail = "ended by itself: " + strings.Join(crashes, ", ")
	}
	r.out.Add("nodes", len(crashes) == 0, detail)
}

// describe fills in what the report says about the run besides its verdict.
func (r *run) describe(entries []history.Entry) {
	o := &r.out
	o.Workload, o.Faults, o.Nodes, o.Shards = r.cfg.Workload, r.cfg.Faults, r.cfg.Nodes, r.cfg.Shards
	o.ReadMode, o.Engine, o.Seed, o.Duration = r.cfg.ReadMode, r.cfg.Engine, r.cfg.Seed, r.cfg.Duration
	o.Start, o.CommandLine, o.Network = r.start, r.cfg.CommandLine, r.cluster.Net.Kind()
	o.Workers = len(r.workers)
	o.Version = fmt.Sprintf("%s, %s/%s, %d processors", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				o.Version += ", revision " + s.Value
			}
		}
	}
	o.Measure(entries)
	for _, n := range r.cluster.Nodes {
		o.Logs = append(o.Logs, report.Log{Node: n.ID, File: filepath.Base(n.LogFile), Path: n.LogFile})
	}
}

// save writes the history and the report.
func (r *run) save() error {
	f, err := os.Create(filepath.Join(r.cfg.Out, "history.jsonl"))
	if err != nil {
		return err
	}
	err = errors.Join(r.load.Save(f), f.Close(), r.out.Write(r.cfg.Out))
	if r.out.Valid() {
		// What a valid run leaves is its report; the data is of no more use.
		err = errors.Join(err, os.RemoveAll(filepath.Join(r.cfg.Out, "data")))
	}
	return err
}
