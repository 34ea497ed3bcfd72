package report

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

//go:embed summary.html
var summaryPage string

// Summary is several finished runs together.
type Summary struct {
	Runs                []RunLine
	Valid               int
	OK, Failed, InDoubt int
	Injected            int           // faults
	Took                time.Duration // from the start of the load until each cluster was whole again
	Faults              []FaultLine
}

// RunLine is one run. Without a report it could not be run.
type RunLine struct {
	Name   string // also its directory
	Valid  bool
	Report *Report
}

// FaultLine is one kind of fault over all runs.
type FaultLine struct {
	Fault          string
	Injected, Took int
	Longest        float64 // seconds in which no client of any node had an answer
}

// Operations is how many there were, whatever became of them.
func (s *Summary) Operations() int { return s.OK + s.Failed + s.InDoubt }

// AllValid reports whether there were runs and each is valid.
func (s *Summary) AllValid() bool { return s.Valid == len(s.Runs) && s.Valid > 0 }

// Summarize reads the results.json of each directory.
func Summarize(dirs []string) *Summary {
	s := &Summary{}
	faults := map[string]*FaultLine{}
	for _, dir := range dirs {
		line := RunLine{Name: dir}
		if r, valid, err := load(dir); err == nil {
			line.Report, line.Valid = r, valid
			s.add(r, faults)
		}
		if line.Valid {
			s.Valid++
		}
		s.Runs = append(s.Runs, line)
	}
	for _, name := range slices.Sorted(maps.Keys(faults)) {
		s.Faults = append(s.Faults, *faults[name])
	}
	return s
}

func load(dir string) (*Report, bool, error) {
	text, err := os.ReadFile(filepath.Join(dir, "results.json"))
	if err != nil {
		return nil, false, err
	}
	var r struct {
		Valid bool `json:"valid"`
		Report
	}
	err = json.Unmarshal(text, &r)
	return &r.Report, r.Valid, err
}

func (s *Summary) add(r *Report, faults map[string]*FaultLine) {
	s.OK, s.Failed, s.InDoubt = s.OK+r.OK, s.Failed+r.Failed, s.InDoubt+r.InDoubt
	s.Injected += len(r.Events)
	s.Took += r.Healed + r.Recovery
	for _, e := range r.Events {
		f := faults[e.Fault]
		if f == nil {
			f = &FaultLine{Fault: e.Fault}
			faults[e.Fault] = f
		}
		f.Injected++
		if e.Took {
			f.Took++
		}
		f.Longest = max(f.Longest, r.Gaps[e.Fault])
	}
}

// Markdown writes the summary as tables.
func (s *Summary) Markdown(w io.Writer) {
	fmt.Fprintln(w, "| run | verdict | nodes | shards | reads | log | ok | failed | in doubt | faults | served |\n|---|---|---|---|---|---|---|---|---|---|---|")
	for _, l := range s.Runs {
		r := l.Report
		if r == nil {
			fmt.Fprintf(w, "| %s | **not run** | | | | | | | | | |\n", l.Name)
			continue
		}
		word := "**failed**"
		if l.Valid {
			word = "valid"
		}
		fmt.Fprintf(w, "| %s | %s | %d | %d | %s | %s | %d | %d | %d | %d | %.0f %% |\n", l.Name, word, r.Nodes, r.Shards, r.ReadMode, r.Engine, r.OK, r.Failed, r.InDoubt, len(r.Events), 100*r.Served)
	}
	fmt.Fprintf(w, "\n%d of %d runs valid; %d operations: %d ok, %d failed, %d in doubt; %d faults in %v.\n\n",
		s.Valid, len(s.Runs), s.Operations(), s.OK, s.Failed, s.InDoubt, s.Injected, s.Took.Round(time.Second))
	fmt.Fprintln(w, "| fault | injected | took effect | longest silence |\n|---|---|---|---|")
	for _, f := range s.Faults {
		fmt.Fprintf(w, "| %s | %d | %d | %.2f s |\n", f.Fault, f.Injected, f.Took, f.Longest)
	}
}

// percent is a share in words.
func percent(share float64) string { return fmt.Sprintf("%.0f %%", 100*share) }

// HTML is the summary as one page, with links to the pages of the runs.
func (s *Summary) HTML() ([]byte, error) {
	t, err := template.New("summary").Funcs(template.FuncMap{
		"percent": percent,
		"round":   func(d time.Duration) time.Duration { return d.Round(time.Second) },
	}).Parse(summaryPage)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, s)
	return b.Bytes(), err
}
