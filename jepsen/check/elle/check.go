package elle

import (
	"fmt"
	"strings"
)

// Check looks for contradictions to strict serializability in the transactions
// of a history.
func Check(ops []Op) Result {
	in := &inference{ops: ops, byName: map[string]*key{}, committed: make([]bool, len(ops))}
	if !in.collectAppends() || !in.collectReads() {
		return in.result
	}
	in.checkLists()
	g := in.depend()
	g.seal()
	for _, cy := range findCycles(g) {
		in.describe(cy)
	}
	return in.result
}

// describe reports a cycle: the transactions, then why each comes before the
// next.
func (in *inference) describe(cy cycle) {
	name, suffix := cy.class()
	var text strings.Builder
	ops := make([]int, len(cy))
	var key string
	fmt.Fprintf(&text, "a cycle of %d transactions", len(cy))
	if in.isLostUpdate(cy) {
		text.WriteString(" (a lost update)")
	}
	for i, e := range cy {
		ops[i] = int(e.from)
		op := &in.ops[e.from]
		steps := op.Output
		if steps == nil {
			steps = op.Input
		}
		fmt.Fprintf(&text, "\n  T%d = #%d of client %d (%s): %s", i+1, op.ID, op.Client, op.Outcome, steps)
		if key == "" {
			key = e.key
		}
	}
	for i, e := range cy {
		next := (i+1)%len(cy) + 1
		fmt.Fprintf(&text, "\n  T%d -%s-> T%d: %s", i+1, e.kind, next, in.reason(e, i+1, next))
	}
	in.report(name+suffix, key, ops, "%s", text.String())
}

func (in *inference) reason(e edge, from, to int) string {
	switch e.kind {
	case ww:
		return fmt.Sprintf("T%d appended %s to %s after an append of T%d", to, e.word, e.key, from)
	case wr:
		return fmt.Sprintf("T%d saw %s in %s, which T%d had appended", to, e.word, e.key, from)
	case rw:
		return fmt.Sprintf("T%d read %s without %s, which T%d appended", from, e.key, e.word, to)
	case process:
		return fmt.Sprintf("client %d did T%d after T%d", in.ops[e.from].Client, to, from)
	}
	return fmt.Sprintf("T%d returned at %s, T%d was called at %s", from, in.ops[e.from].Return, to, in.ops[e.to].Call)
}

// isLostUpdate tells the best known form of G-single: two transactions read the
// same version of a list and both append to it.
func (in *inference) isLostUpdate(cy cycle) bool {
	if name, _ := cy.class(); name != GSingle || len(cy) != 2 {
		return false
	}
	a, b := cy[0], cy[1]
	if a.kind == ww {
		a, b = b, a
	}
	return a.kind == rw && b.kind == ww && a.key == b.key
}
