package report

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/check"
	"github.com/lockstepkv/lockstep/jepsen/history"
	"github.com/lockstepkv/lockstep/jepsen/nemesis"
)

func op(id int, call, back time.Duration, outcome history.Outcome) history.Entry {
	return history.Entry{Meta: history.Meta{ID: id, Kind: "write", Key: "<k>", Call: call, Return: back, Outcome: outcome}}
}

// sample is a run with an anomaly, a fault, and a log around them.
func sample(t *testing.T, dir string) *Report {
	t.Helper()
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	log := filepath.Join(dir, "n1.log")
	text := "time=2026-01-02T03:04:01.000Z msg=long-before\ntime=2026-01-02T03:04:06.500Z msg=around\n\ttrace of it\ntime=2026-01-02T03:05:06.500Z msg=long-after\n"
	if err := os.WriteFile(log, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ops := []history.Entry{op(0, time.Second, 1100*time.Millisecond, history.OK), op(1, time.Second, history.Forever, history.InDoubt), op(2, 4*time.Second, 5*time.Second, history.OK)}
	r := &Report{
		Workload: "register", Faults: []string{"kill-leader"}, LeftOut: []string{"power-all"}, Nodes: 3, Shards: 1, Workers: 9, ReadMode: "quorum", Engine: "wal", Seed: 42,
		CommandLine: []string{"lockstep-jepsen", "run", "--out", "a b"}, Network: "loopback", Start: start, Duration: 5 * time.Second,
		OK: 2, InDoubt: 1, Logs: []Log{{Node: "n1", File: "n1.log", Path: log}},
		Events: []nemesis.Event{{Fault: "kill-leader", Detail: "n1", Start: 2 * time.Second, End: 3 * time.Second, Took: true, Note: "<gone>"}},
		Verdict: check.Verdict{Checker: "register", Anomalies: []check.Anomaly{{Type: "not-linearizable", Key: "<k>", Text: "<script>alert(1)</script>", Ops: ops[:2]}},
			Found: map[string]int{"not-linearizable": 1}},
	}
	r.Pages = []Page{{Name: "linearizability of k", HTML: `<html><script>draw("k")</script></html>`}}
	r.Add("recovery", true, "whole after 100ms")
	r.Add("checker register", false, "1 anomaly")
	r.Measure(ops)
	return r
}

func TestReport(t *testing.T) {
	dir := t.TempDir()
	r := sample(t, dir)
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "index.html"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(raw)
	for _, want := range []string{">Failed<", "checker register", "does not hold", "not-linearizable", "msg=around", "trace of it", "seed 42", "lockstep-jepsen run --out &#39;a b&#39;", `class="f-kill"`, "history.jsonl", "Left out here: power-all",
		`srcdoc="&lt;html&gt;&lt;script&gt;draw(&#34;k&#34;)&lt;/script&gt;&lt;/html&gt;"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, never := range []string{"<script>alert", "<k>", "<gone>", "long-before", "long-after"} {
		if strings.Contains(page, never) {
			t.Errorf("the page has %q", never)
		}
	}
	if out := regexp.MustCompile(`(src|href)="(https?:)?//`).FindString(page); out != "" {
		t.Errorf("an asset from outside: %s", out)
	}
	// Nobody had an answer from 2 s, when the fault began, to the end of its
	// afterglow.
	if got := r.Gaps["kill-leader"]; got < 1.9 || got > 3.1 {
		t.Errorf("longest silence %v s", got)
	}
}

func TestSummary(t *testing.T) {
	dir := t.TempDir()
	good, bad := sample(t, dir), sample(t, dir)
	good.Checks = good.Checks[:1]
	for name, r := range map[string]*Report{"good": good, "bad": bad} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := r.Write(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	if s := Summarize([]string{"good"}); !s.AllValid() {
		t.Errorf("%+v", s)
	}
	s := Summarize([]string{"good", "bad", "absent"})
	if s.AllValid() || s.Valid != 1 || s.Operations() != 6 || s.Injected != 2 || len(s.Faults) != 1 || s.Faults[0].Took != 2 {
		t.Errorf("%+v", s)
	}
	var text strings.Builder
	s.Markdown(&text)
	page, err := s.HTML()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1 of 3 runs valid", "could not be run", `href="bad/index.html"`} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, want := range []string{"| good | valid |", "| bad | **failed** |", "| absent | **not run** |", "| kill-leader | 2 | 2 |"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%s\nlacks %q", &text, want)
		}
	}
	if s := Summarize([]string{"absent"}); s.AllValid() {
		t.Error("no run at all is valid")
	} else if _, err := s.HTML(); err != nil {
		t.Error(err)
	}
}
