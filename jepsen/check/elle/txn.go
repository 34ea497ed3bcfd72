package elle

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lockstepkv/lockstep/jepsen/history"
)

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

// Op is a transaction in a history.
type Op = history.Op[Txn, Txn]

// Types of anomalies. Cycles that need the order of one client, or the order of
// real time, have the suffix Process or Realtime.
const (
	G0      = "G0"       // only ww edges: writes are interleaved
	G1a     = "G1a"      // read of an aborted transaction's append
	G1b     = "G1b"      // read of a transaction's append that was not its last
	G1c     = "G1c"      // ww and wr edges: circular flow of information
	GSingle = "G-single" // exactly one rw edge: lost update, read skew
	G2      = "G2-item"  // several rw edges: write skew, long fork

	Process  = "-process"
	Realtime = "-realtime"

	Internal          = "internal"           // a transaction contradicts itself
	IncompatibleOrder = "incompatible-order" // two reads of a list, none a prefix of the other
	DuplicateElements = "duplicate-elements" // a word twice in one list
	Phantom           = "phantom"            // a word that nobody appended
)

// Anomaly is a contradiction to strict serializability.
type Anomaly struct {
	Type string
	Key  string
	Text string
	Ops  []int // places in the history
}

// Result is what Check found.
type Result struct {
	Anomalies []Anomaly
	// Malformed says why the history cannot be judged; empty otherwise.
	Malformed string
	// Txns are the transactions that certainly happened, Edges their
	// dependencies, Reads the lists read, Unobserved the acknowledged appends
	// that no read saw.
	Txns, Edges, Reads, Unobserved int
}

// String is the transaction in one line; long lists are cut in the middle.
func (t Txn) String() string {
	steps := make([]string, len(t))
	for i, m := range t {
		if m.Append {
			steps[i] = fmt.Sprintf("append %s %s", m.Key, m.Word)
		} else {
			steps[i] = fmt.Sprintf("read %s [%s]", m.Key, shorten(m.List))
		}
	}
	return strings.Join(steps, ", ")
}

func shorten(list []string) string {
	const ends = 4
	if len(list) > 2*ends+1 {
		middle := fmt.Sprintf("..%d more..", len(list)-2*ends)
		list = slices.Concat(list[:ends], []string{middle}, list[len(list)-ends:])
	}
	return strings.Join(list, " ")
}
