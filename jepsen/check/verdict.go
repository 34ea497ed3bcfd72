package check

import (
	"fmt"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/history"
)

// maxPerType bounds how many anomalies of one type are listed; all are counted.
const maxPerType = 16

// Verdict is what a checker says about a history.
type Verdict struct {
	Checker string `json:"checker"`
	// Valid means that the history was checked completely and shows no anomaly.
	Valid bool `json:"valid"`
	// Unknown means that no anomaly was found, but not everything was checked,
	// for the Reason given. Such a run has failed: Valid is false.
	Unknown bool   `json:"unknown,omitempty"`
	Reason  string `json:"reason,omitempty"`
	// Anomalies are the first few of each type, in no special order.
	Anomalies []Anomaly `json:"anomalies,omitempty"`
	// Found counts all anomalies by type.
	Found map[string]int `json:"found,omitempty"`
	Stats Stats          `json:"stats"`
}

// Anomaly is one contradiction between the history and the promise.
type Anomaly struct {
	Type string `json:"type"` // one of the constants Anomaly...
	Key  string `json:"key,omitempty"`
	Text string `json:"text"` // for people; may have several lines
	// Ops are the operations that contradict each other.
	Ops []history.Entry `json:"ops,omitempty"`
}

// Stats says what a verdict rests on.
type Stats struct {
	Ops     int           `json:"ops"`
	OK      int           `json:"ok"`
	Failed  int           `json:"failed"`
	InDoubt int           `json:"in_doubt"`
	Keys    int           `json:"keys"`
	Elapsed time.Duration `json:"elapsed_ns"`
	// More are figures of the single checker, for example "reads" or "edges".
	More map[string]int `json:"more,omitempty"`
}

// String is the verdict in a few lines.
func (v Verdict) String() string {
	word := "INVALID"
	switch {
	case v.Valid:
		word = "valid"
	case v.Unknown:
		word = "unknown: " + v.Reason
	}
	text := fmt.Sprintf("%s: %s (%d ops: %d ok, %d failed, %d in doubt)",
		v.Checker, word, v.Stats.Ops, v.Stats.OK, v.Stats.Failed, v.Stats.InDoubt)
	for _, a := range v.Anomalies {
		text += fmt.Sprintf("\n  %s %s: %s", a.Type, a.Key, a.Text)
	}
	return text
}
