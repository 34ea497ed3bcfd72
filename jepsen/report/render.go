package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/check"
)

//go:embed report.html
var page string

// excerpt is the part of a node's log around an anomaly.
type excerpt struct {
	Node string
	Text string
}

// finding is an anomaly as the page shows it.
type finding struct {
	check.Anomaly
	Lines []string // operations
	Logs  []excerpt
}

// maxFindings bounds the page; results.json has all that the checker lists.
const maxFindings = 20

func (r *Report) findings() []finding {
	var out []finding
	for _, a := range r.Verdict.Anomalies[:min(len(r.Verdict.Anomalies), maxFindings)] {
		f := finding{Anomaly: a}
		for _, op := range a.Ops {
			f.Lines = append(f.Lines, op.String())
		}
		if from, to, ok := span(a); ok {
			f.Logs = r.excerpts(from, to)
		}
		out = append(out, f)
	}
	return out
}

// span is the time around the operations of an anomaly.
func span(a check.Anomaly) (from, to time.Duration, ok bool) {
	for i, op := range a.Ops {
		end := min(op.Return, op.Call+5*time.Second) // one in doubt has no end
		if i == 0 || op.Call < from {
			from = op.Call
		}
		to = max(to, end)
	}
	return from - time.Second, to + time.Second, len(a.Ops) > 0
}

// render makes the page.
func (r *Report) render() ([]byte, error) {
	t, err := template.New("report").Funcs(template.FuncMap{
		"seconds": func(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) },
		"join":    func(list []string) string { return strings.Join(list, " ") },
		"quoted":  quoted,
	}).Parse(page)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, map[string]any{
		"R": r, "Valid": r.Valid(), "Throughput": r.throughput(), "Latency": r.latency(), "Findings": r.findings(),
	})
	return b.Bytes(), err
}

// quoted is a command line that a shell reads back.
func quoted(args []string) string {
	out := make([]string, len(args))
	for i, a := range args {
		if out[i] = a; a == "" || strings.ContainsAny(a, " \t'\"$&|;<>()*?#\\") {
			out[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return strings.Join(out, " ")
}
