package report

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/check"
	"github.com/lockstepkv/lockstep/jepsen/cluster"
	"github.com/lockstepkv/lockstep/jepsen/nemesis"
)

// Check is one condition for a valid run.
type Check struct {
	Name   string `json:"name"`
	Valid  bool   `json:"valid"`
	Detail string `json:"detail"`
}

// Page is a page that a checker drew. It is shown within the report, which so
// stays one file.
type Page struct {
	Name string `json:"name"`
	HTML string `json:"-"`
}

// Log is the log of a node, beside the report.
type Log struct {
	Node string `json:"node"`
	File string `json:"file"`
	Path string `json:"-"` // where to read it now
}

// Report is everything about a run.
//
// 30 fields: it is results.json, which is flat for those who read it with jq.
type Report struct {
	Workload    string        `json:"workload"`
	Faults      []string      `json:"faults"`
	LeftOut     []string      `json:"left_out,omitempty"` // asked for in a group, and not to be had
	Nodes       int           `json:"nodes"`
	Shards      int           `json:"shards"`
	Workers     int           `json:"workers"`
	ReadMode    string        `json:"read_mode"`
	Engine      string        `json:"log_engine"`
	Seed        uint64        `json:"seed"`
	CommandLine []string      `json:"command_line"`
	Network     string        `json:"network"`
	Version     string        `json:"version"`
	Start       time.Time     `json:"start"`
	Duration    time.Duration `json:"duration_ns"`
	Healed      time.Duration `json:"healed_ns"`   // when the last fault was over
	Recovery    time.Duration `json:"recovery_ns"` // until the cluster was whole

	OK      int `json:"ok"`
	Failed  int `json:"failed"`
	InDoubt int `json:"in_doubt"`
	// Served is the share of the seconds with faults in which something succeeded.
	Served float64 `json:"served"`

	Checks  []Check         `json:"checks"`
	Verdict check.Verdict   `json:"verdict"`
	Events  []nemesis.Event `json:"events"`
	Exits   []cluster.Exit  `json:"exits,omitempty"`
	Pages   []Page          `json:"pages,omitempty"`
	Logs    []Log           `json:"logs"`

	Seconds []Second           `json:"seconds"` // one per second of the run
	Gaps    map[string]float64 `json:"longest_gap_seconds"`
	Latency Latency            `json:"latency"` // of all successes
	Kinds   []KindCount        `json:"kinds"`
}

// Add adds a condition.
func (r *Report) Add(name string, valid bool, detail string) {
	r.Checks = append(r.Checks, Check{Name: name, Valid: valid, Detail: detail})
}

// Valid reports whether all conditions hold.
func (r *Report) Valid() bool {
	for _, c := range r.Checks {
		if !c.Valid {
			return false
		}
	}
	return len(r.Checks) > 0
}

// Write writes results.json and index.html into dir.
func (r *Report) Write(dir string) error {
	out := struct {
		Valid bool `json:"valid"`
		*Report
	}{r.Valid(), r}
	text, err := json.MarshalIndent(out, "", " ")
	if err != nil {
		return err
	}
	page, err := r.render()
	return errors.Join(err,
		os.WriteFile(filepath.Join(dir, "results.json"), append(text, '\n'), 0o644),
		os.WriteFile(filepath.Join(dir, "index.html"), page, 0o644))
}
