package wait

import (
	"cmp"
	"strings"
)

// Kind says what is waited for. The order of kinds decides what ends first of what ends in
// the same moment, so the numbers do not change.
type Kind uint8

// Kinds of topics.
const (
	Lock    Kind = iota + 1 // the lock of the name Key; its events are lock.Event
	Outcome                 // what becomes of the waiter with the ID Key: it is watched, nobody waits at it
)

// Once reports whether the first event of a topic says all that there is to be told.
func (k Kind) Once() bool { return k == Outcome }

// Topic is something that can be waited for.
type Topic struct {
	Kind Kind
	Key  string
}

func (t Topic) compare(o Topic) int {
	if c := cmp.Compare(t.Kind, o.Kind); c != 0 {
		return c
	}
	return strings.Compare(t.Key, o.Key)
}

// Session is one life of a node. Its clients wait as long as it lives.
type Session struct {
	Node string
	Boot uint64
}

func (s Session) compare(o Session) int {
	if c := strings.Compare(s.Node, o.Node); c != 0 {
		return c
	}
	return cmp.Compare(s.Boot, o.Boot)
}
