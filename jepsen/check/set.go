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

// Set checks grow-only sets with linearizable reads: what was acknowledged or
// seen is in every later read, once, and nothing else is but adds in doubt. A
// missing element is lost when no later read has it, else the read was stale.
// The last read of each key must be called after its last acknowledgement.
func Set(ops []history.Op[SetInput, SetOutput]) Verdict {
	j, ok := begin("set", ops, SetAdd, SetRead)
	if !ok {
		return j.done()
	}
	for _, k := range byKey(j, ops) {
		m := newMembership(k.key)
		for _, op := range k.ops {
			switch {
			case op.Kind == SetRead && op.Outcome == history.OK:
				m.read(op.Erase(), op.Output.Elements)
			case op.Kind == SetAdd:
				if m.members[op.Input.Element] != nil {
					j.unknown("key %s: %q is added twice", k.key, op.Input.Element)
				}
				m.attempt(op.Input.Element, op.Erase())
				j.moreAcked(op.Outcome)
			}
		}
		m.check(j)
	}
	j.requireAcked()
	return j.done()
}
