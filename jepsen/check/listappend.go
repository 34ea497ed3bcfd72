package check

import "github.com/lockstepkv/lockstep/jepsen/history"

// TxnKind is the kind of list-append transactions; Key stays empty.
const TxnKind = "txn"

// MicroOp is one step of a transaction: an append of one word to a list, or a
// read of a list. A word is appended at most once to a key in the whole run.
type MicroOp struct {
	Append bool     `json:"append,omitempty"` // else a read
	Key    string   `json:"key"`
	Word   string   `json:"word,omitempty"` // what an append adds
	List   []string `json:"list,omitempty"` // what a read saw; in outputs only
}

// Txn is a transaction. As an input its reads have no List; as an output it has
// the same steps, with the Lists.
type Txn []MicroOp

// ListAppend checks that transactions are strictly serializable.
func ListAppend(ops []history.Op[Txn, Txn]) Verdict { return Verdict{} }

// ListValue is what to APPEND for a word.
func ListValue(word string) string { return word + "," }

// ParseList gives the words of a value that was built from ListValues. A value
// that does not end in a comma gets its torn last part as a word of its own.
func ParseList(value string) []string { return nil }
