package check

import (
	"time"

	"github.com/lockstepkv/lockstep/jepsen/history"
)

// KeyInput is what an operation on a plain key asked for.
type KeyInput struct {
	Value string        `json:"value,omitempty"`
	TTL   time.Duration `json:"ttl_ns,omitempty"` // KeySet; 0 is no expiry
	// Stale marks a KeyGet that allowed a stale answer, at most MaxStaleness
	// old (0: any age).
	Stale        bool          `json:"stale,omitempty"`
	MaxStaleness time.Duration `json:"max_staleness_ns,omitempty"`
}

// KeyOutput is what it answered.
type KeyOutput struct {
	Found bool          `json:"found,omitempty"`
	Value string        `json:"value,omitempty"`
	Age   time.Duration `json:"age_ns,omitempty"` // of a stale read, as the reply says
	Index uint64        `json:"index,omitempty"`  // applied index that the reply names; 0 is none
}

// StaleOptions says what the reply's age may be off by.
type StaleOptions struct {
	Slack time.Duration // rounding of the age
	Drift float64       // share of the age that a clock of another rate makes of it
}

// Stale checks that a stale read is never older than it says and than was
// allowed: a read that says age a and was called at t reflects every write that
// had been acknowledged, or seen, before t-a. Other reads in the same history
// must be fresh.
func Stale(ops []history.Op[KeyInput, KeyOutput], o StaleOptions) Verdict {
	j, ok := begin("stale", ops, KeySet, KeyGet)
	if !ok {
		return j.done()
	}
	for _, k := range byKey(j, ops) {
		if h, ok := newKeyHistory(j, k); ok {
			checkAges(j, h, o)
			checkIndexes(j, h)
		}
	}
	if j.verdict.Stats.More["stale reads"] == 0 {
		j.unknown("no stale read was answered")
	}
	j.requireAcked()
	return j.done()
}

func checkAges(j *judge, h *keyHistory, o StaleOptions) {
	for _, w := range h.ordered {
		j.moreAcked(w.op.Outcome)
	}
	for _, read := range h.reads {
		known, ok := h.knownOf(read)
		if !ok {
			continue
		}
		if !read.Input.Stale {
			h.checkFresh(j, read, known)
			continue
		}
		j.more("stale reads", 1)
		age, limit := read.Output.Age, read.Input.MaxStaleness
		if limit > 0 && age > limit+o.Slack {
			j.report(AnomalyOlderThanAllowed, h.key, show(read), "a read of at most %s says it is %s old", limit, age)
		}
		// The answer was computed after the call, so it reflects everything up
		// to some moment that is not before call - age.
		if newer, found := h.sights.newer(read.Call-age-o.Slack-time.Duration(float64(age)*o.Drift), known); found {
			j.report(AnomalyOlderThanSaid, h.key, show(h.writeOf(read), newer.op, read),
				"a read saw %s and says it is at most %s old; a newer write had taken effect %s before the read began",
				seen(read), age, read.Call-newer.at)
			continue
		}
		if _, found := h.sights.newer(read.Call, known); found {
			j.more("stale reads that were old", 1)
		}
	}
}

// checkIndexes compares reads that name the same index: a shard has one state
// at each.
func checkIndexes(j *judge, h *keyHistory) {
	at := map[uint64]*keyOp{}
	for _, read := range h.reads {
		index := read.Output.Index
		if index == 0 {
			continue
		}
		other, known := at[index]
		if !known {
			at[index] = read
			continue
		}
		if other.Output.Found != read.Output.Found || other.Output.Value != read.Output.Value {
			j.report(AnomalyIndexDisagreement, h.key, show(other, read),
				"at index %d one read saw %s, another %s", index, seen(other), seen(read))
		}
	}
}
