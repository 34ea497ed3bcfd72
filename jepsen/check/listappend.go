package check

import (
	"strings"

	"github.com/lockstepkv/lockstep/jepsen/check/elle"
	"github.com/lockstepkv/lockstep/jepsen/history"
)

// TxnKind is the kind of list-append transactions; Key stays empty.
const TxnKind = "txn"

// MicroOp is one step of a transaction; see package elle.
type MicroOp = elle.MicroOp

// Txn is a transaction. As an input its reads have no List; as an output it has
// the same steps, with the Lists.
type Txn = elle.Txn

// ListAppend checks that transactions are strictly serializable; package elle
// explains how.
func ListAppend(ops []history.Op[Txn, Txn]) Verdict {
	j, ok := begin("list-append", ops, TxnKind)
	if !ok {
		return j.done()
	}
	result := elle.Check(ops)
	if result.Malformed != "" {
		j.unknown("%s", result.Malformed)
		return j.done()
	}
	for _, a := range result.Anomalies {
		entries := make([]history.Entry, len(a.Ops))
		for i, at := range a.Ops {
			entries[i] = ops[at].Erase()
		}
		j.report(a.Type, a.Key, entries, "%s", a.Text)
	}
	for i := range ops {
		for _, step := range ops[i].Input {
			if step.Append {
				j.moreAcked(ops[i].Outcome)
			}
		}
	}
	j.requireAcked()
	j.more("transactions that happened", result.Txns)
	j.more("edges", result.Edges)
	j.more("reads", result.Reads)
	j.more("acknowledged appends not seen", result.Unobserved)
	if result.Reads == 0 {
		j.unknown("no list was read")
	}
	return j.done()
}

// ListValue is what to APPEND for a word.
func ListValue(word string) string { return word + "," }

// ParseList gives the words of a value that was built from ListValues. Text
// after the last comma becomes a word that nobody appended, so that a torn value
// is not overlooked.
func ParseList(value string) []string {
	if value == "" {
		return nil
	}
	whole, complete := strings.CutSuffix(value, ",")
	words := strings.Split(whole, ",")
	if !complete {
		words[len(words)-1] += " (torn)"
	}
	return words
}
