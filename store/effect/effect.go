// Package effect says what was done to the keys of a shard, one change after the other.
//
// # Idea
//
// What a command does may rest on the log's clock, on chance, on versions and conditions.
// What it did does not: a key has a value and an absolute expiry time now, or it is gone.
// Whoever changes the store says it, at the place where it is done, and nobody has to find
// it out by comparing what was there before and after. An append-only file is written from
// effects; whoever else follows a shard's changes needs the same.
//
// A nil Log takes nothing, and costs its user one comparison.
package effect

import (
	"bytes"

	"github.com/lockstepkv/lockstep/store"
)

// Kind is what was done.
type Kind uint8

// The kinds of effects.
const (
	Put    Kind = iota // the key has the value and the expiry time of Entry, whatever it had
	Append             // the value became longer by Tail bytes; its expiry time is the same
	Change             // the collection was there, and Edits do to it what was done
	Expire             // the key has the expiry time of Entry, 0 for none; its value is the same
	Delete             // the key is gone
	Flush              // all keys are gone
)

// Cause is why a key is gone.
type Cause uint8

// The causes.
const (
	Command  Cause = iota // a command asked for it, or gave it a time to expire that is past
	Expiry                // its time was up
	Eviction              // its memory was needed
)

// Effect is one change of one key, or the removal of all. Key and Entry share memory with
// the store, as Entry.Key and Entry.Bytes do: who keeps an effect for long keeps copies.
type Effect struct {
	Kind  Kind
	Cause Cause  // of Delete
	New   bool   // of Put: no such key was there
	Tail  int    // of Append: how many bytes of the value are new
	Edits []Edit // of Change: at least one, in order
	Key   string
	Entry *store.Entry // what the key is from then on; nil of Delete and Flush
}

// Edit is a Redis command that changes the elements of a collection, whatever else it has:
// its name and the arguments behind the key. It needs no clock, no chance, no condition.
type Edit [][]byte

// Edits collects what a command does to a collection while it does it. The memory of the
// arguments belongs to the edits from then on.
type Edits struct{ List []Edit }

// Add notes an edit.
func (x *Edits) Add(args ...[]byte) { x.List = append(x.List, args) }

// Say is Add for whoever is not the owner of args, and may be called on nil, where nobody
// wants to know.
func (x *Edits) Say(name string, args ...[]byte) {
	if x == nil {
		return
	}
	edit := Edit{[]byte(name)}
	for _, a := range args {
		edit = append(edit, bytes.Clone(a))
	}
	x.List = append(x.List, edit)
}

// Log collects effects, in the order in which they came. It has the store's rule of
// concurrency: one writer.
type Log struct{ list []Effect }

// Add notes an effect.
func (l *Log) Add(e Effect) { l.list = append(l.list, e) }

// Gone notes that key is gone.
func (l *Log) Gone(key string, why Cause) { l.Add(Effect{Kind: Delete, Cause: why, Key: key}) }

// Mark tells where the log stands, for Back.
func (l *Log) Mark() int {
	if l == nil {
		return 0
	}
	return len(l.list)
}

// Back forgets what came since Mark told mark: it was taken back.
func (l *Log) Back(mark int) {
	if l != nil {
		clear(l.list[mark:])
		l.list = l.list[:mark]
	}
}

// Take returns the effects since the last call. They are valid until the next Add.
func (l *Log) Take() []Effect {
	list := l.list
	l.list = l.list[:0]
	return list
}
