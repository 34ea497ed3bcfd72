package check

import (
	"fmt"
	"slices"
	"strings"
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
	var text strings.Builder
	fmt.Fprintf(&text, "%s: %s (%d ops: %d ok, %d failed, %d in doubt)",
		v.Checker, word, v.Stats.Ops, v.Stats.OK, v.Stats.Failed, v.Stats.InDoubt)
	for _, a := range v.Anomalies {
		fmt.Fprintf(&text, "\n  %s %s: %s", a.Type, a.Key, a.Text)
	}
	return text.String()
}

// Has reports whether an anomaly of the type was found.
func (v Verdict) Has(anomalyType string) bool { return v.Found[anomalyType] > 0 }

// AnomalyLockLost is a lock that ended before its time.
const AnomalyLockLost = "lock-lost"

// Add is for what a workload has seen besides its history.
func (v *Verdict) Add(a Anomaly) {
	v.Valid, v.Unknown = false, false
	v.Found[a.Type]++
	v.Anomalies = append(v.Anomalies, a)
}

// judge collects what becomes a verdict.
type judge struct {
	verdict Verdict
	reasons []string
	start   time.Time
}

// begin counts the operations and refuses histories that no clients can have
// produced; then nothing must be concluded from them and ok is false.
func begin[I, O any](checker string, ops []history.Op[I, O], kinds ...string) (j *judge, ok bool) {
	j = &judge{start: time.Now(), verdict: Verdict{Checker: checker}}
	j.verdict.Found = map[string]int{}
	j.verdict.Stats.More = map[string]int{}
	j.count(len(ops), func(i int) history.Outcome { return ops[i].Outcome })
	if err := history.Validate(ops); err != nil {
		j.unknown("%v", err)
		return j, false
	}
	for i := range ops {
		if !slices.Contains(kinds, ops[i].Kind) {
			j.unknown("operation #%d has the kind %q, which this checker does not know", i, ops[i].Kind)
			return j, false
		}
	}
	return j, true
}

func (j *judge) count(ops int, outcome func(int) history.Outcome) {
	stats := &j.verdict.Stats
	stats.Ops = ops
	for i := range ops {
		switch outcome(i) {
		case history.OK:
			stats.OK++
		case history.Fail:
			stats.Failed++
		case history.InDoubt:
			stats.InDoubt++
		}
	}
}

// report adds an anomaly. Past the first few of a type only the count grows.
func (j *judge) report(anomalyType, key string, ops []history.Entry, format string, args ...any) {
	j.verdict.Found[anomalyType]++
	if j.verdict.Found[anomalyType] > maxPerType {
		return
	}
	j.verdict.Anomalies = append(j.verdict.Anomalies,
		Anomaly{Type: anomalyType, Key: key, Text: fmt.Sprintf(format, args...), Ops: ops})
}

// unknown says why the history was not checked completely.
func (j *judge) unknown(format string, args ...any) {
	j.reasons = append(j.reasons, fmt.Sprintf(format, args...))
}

func (j *judge) more(name string, n int) { j.verdict.Stats.More[name] += n }

// acked is the figure of the writes that were acknowledged. Without any a checker of
// lost writes has nothing to look for.
const acked = "acknowledged writes"

func (j *judge) moreAcked(o history.Outcome) {
	if o == history.OK {
		j.more(acked, 1)
	}
}

func (j *judge) requireAcked() {
	if j.verdict.Stats.More[acked] == 0 {
		j.unknown("no write was acknowledged")
	}
}

func (j *judge) done() Verdict {
	v := &j.verdict
	v.Reason = strings.Join(j.reasons, "; ")
	v.Unknown = len(v.Anomalies) == 0 && len(j.reasons) > 0
	v.Valid = len(v.Anomalies) == 0 && !v.Unknown
	v.Stats.Elapsed = time.Since(j.start)
	return *v
}

// show erases the types of the operations of an anomaly.
func show[I, O any](ops ...*history.Op[I, O]) []history.Entry {
	list := make([]history.Entry, 0, len(ops))
	for _, op := range ops {
		if op != nil {
			list = append(list, op.Erase())
		}
	}
	return list
}

// keyed is the operations on one key, in the order of their calls.
type keyed[I, O any] struct {
	key string
	ops []*history.Op[I, O]
}

// byKey splits a history. The order of the keys is fixed, so that the same
// history gives the same verdict.
func byKey[I, O any](j *judge, ops []history.Op[I, O]) []keyed[I, O] {
	place := map[string]int{}
	var list []keyed[I, O]
	for i := range ops {
		at, known := place[ops[i].Key]
		if !known {
			at = len(list)
			place[ops[i].Key] = at
			list = append(list, keyed[I, O]{key: ops[i].Key})
		}
		list[at].ops = append(list[at].ops, &ops[i])
	}
	slices.SortFunc(list, func(a, b keyed[I, O]) int { return strings.Compare(a.key, b.key) })
	j.verdict.Stats.Keys = len(list)
	return list
}
