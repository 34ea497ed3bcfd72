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
// when one of its attempts was acknowledged, never when all of them failed, and
// that all its replies are equal.
func Once(ops []history.Op[OnceInput, OnceOutput]) Verdict {
	j, ok := begin("once", ops, OnceAttempt, OnceRead)
	if !ok {
		return j.done()
	}
	// ids that may have taken effect, and those of them that were tried again: a
	// retry of what failed shows nothing.
	mayBe, again := map[string]bool{}, map[string]bool{}
	for _, k := range byKey(j, ops) {
		m := newMembership(k.key)
		replies := map[string]*history.Op[OnceInput, OnceOutput]{}
		for _, op := range k.ops {
			if op.Kind == OnceRead {
				if op.Outcome == history.OK {
					m.read(op.Erase(), op.Output.IDs)
				}
				continue
			}
			m.attempt(op.Input.ID, op.Erase())
			j.moreAcked(op.Outcome)
			if mayBe[op.Input.ID] {
				again[op.Input.ID] = true
			}
			mayBe[op.Input.ID] = mayBe[op.Input.ID] || op.Outcome != history.Fail
			if op.Outcome == history.OK {
				checkReply(j, replies, op)
			}
		}
		m.check(j)
	}
	j.more("ids tried again", len(again))
	if len(again) == 0 {
		j.unknown("no idempotency id was tried again after an attempt that may have taken effect")
	}
	j.requireAcked()
	return j.done()
}

func checkReply(j *judge, replies map[string]*history.Op[OnceInput, OnceOutput], op *history.Op[OnceInput, OnceOutput]) {
	first := replies[op.Input.ID]
	switch {
	case first == nil:
		replies[op.Input.ID] = op
	case first.Output.Reply != op.Output.Reply:
		j.report(AnomalyUnequalReplies, op.Key, show(first, op), "the id %q was answered %q, then %q",
			op.Input.ID, first.Output.Reply, op.Output.Reply)
	}
}
