package history

import (
	"fmt"
	"math"
	"time"
)

// Outcome says what is known about an operation's effect.
type Outcome uint8

// The zero Outcome is none of them, so that a forgotten field is noticed.
const (
	OK      Outcome = iota + 1 // it happened
	Fail                       // it did not happen and never will
	InDoubt                    // it may have happened, or may happen later
)

// Forever is the Return of an operation in doubt.
const Forever = time.Duration(math.MaxInt64)

// String gives the word that is written to files.
func (o Outcome) String() string {
	switch o {
	case OK:
		return "ok"
	case Fail:
		return "fail"
	case InDoubt:
		return "in-doubt"
	}
	return fmt.Sprintf("outcome(%d)", uint8(o))
}

// MarshalText writes the outcome as a word.
func (o Outcome) MarshalText() ([]byte, error) {
	if o < OK || o > InDoubt {
		return nil, fmt.Errorf("%w: %d", ErrOutcome, uint8(o))
	}
	return []byte(o.String()), nil
}

// UnmarshalText reads the word that MarshalText wrote.
func (o *Outcome) UnmarshalText(text []byte) error {
	for _, known := range []Outcome{OK, Fail, InDoubt} {
		if known.String() == string(text) {
			*o = known
			return nil
		}
	}
	return fmt.Errorf("%w: %q", ErrOutcome, text)
}

// Meta is what all operations have in common, whatever the workload.
type Meta struct {
	ID      int           // place in its history, from 0 in the order of invocation
	Client  int           // sequential client, from 0
	Node    string        // node that was asked; informative, may be empty
	Kind    string        // what was done, in the words of the workload's checker
	Key     string        // key, list or lock that it was done to; empty for several
	Call    time.Duration // since the start of the run
	Return  time.Duration // Forever when in doubt
	Outcome Outcome
	Error   string // what the client was told, when not OK
}

// Before reports whether the operation returned before the other was called,
// that is, whether every correct order must keep the two in this order.
func (m Meta) Before(other Meta) bool { return m.Return < other.Call }

// Op is one operation with the input and output types of its workload. Output
// is the zero value unless the outcome is OK.
type Op[I, O any] struct {
	Meta
	Input  I
	Output O
}

// Entry is an operation whose types are no longer known to the compiler, for
// reports that show operations of any workload.
type Entry struct {
	Meta
	Input  any
	Output any
}

// Erase forgets the types.
func (o Op[I, O]) Erase() Entry { return Entry{Meta: o.Meta, Input: o.Input, Output: o.Output} }

// String is one line for people.
func (e Entry) String() string {
	end := "..."
	if e.Return != Forever {
		end = e.Return.String()
	}
	text := fmt.Sprintf("#%d client %d %s %s %+v [%s, %s] %s", e.ID, e.Client, e.Kind, e.Key, e.Input, e.Call, end, e.Outcome)
	if e.Outcome == OK {
		text += fmt.Sprintf(" %+v", e.Output)
	}
	if e.Node != "" {
		text += " at " + e.Node
	}
	if e.Error != "" {
		text += fmt.Sprintf(" (%s)", e.Error)
	}
	return text
}
