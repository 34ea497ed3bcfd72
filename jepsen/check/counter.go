package check

import "github.com/lockstepkv/lockstep/jepsen/history"

// Kinds of counter operations.
const (
	CounterAdd  = "add"  // Input: Delta > 0. Output: Value after it, HasValue
	CounterRead = "read" // Output: Value (0 for an absent key)
)

// CounterInput is what a counter operation asked for.
type CounterInput struct {
	Delta int64 `json:"delta,omitempty"`
}

// CounterOutput is what it answered.
type CounterOutput struct {
	Value    int64 `json:"value"`
	HasValue bool  `json:"has_value,omitempty"` // an add told the new value, as INCRBY does
}

// Counter checks counters that only grow.
func Counter(ops []history.Op[CounterInput, CounterOutput]) Verdict { return Verdict{} }
