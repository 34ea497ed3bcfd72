package elle

import (
	"fmt"
	"slices"

	"github.com/lockstepkv/lockstep/jepsen/history"
)

// appended is where a word comes from.
type appended struct {
	op    int  // place in the history
	final bool // it is the transaction's last append to that key
	seen  bool
}

// read is a list that a transaction got from others: what it saw without the
// words that it had appended itself before.
type read struct {
	op   int
	list []string
}

// key is everything about one list.
type key struct {
	name    string
	words   map[string]*appended
	order   []string // words in the order of their calls, for a fixed order of edges
	reads   []read
	version []string // the longest list seen: the order of versions
	longest int      // transaction that saw it
}

// inference turns a history into version orders and dependencies.
type inference struct {
	ops       []Op
	keys      []*key
	byName    map[string]*key
	committed []bool // by place in the history
	result    Result
}

func (in *inference) report(anomalyType, key string, ops []int, format string, args ...any) {
	in.result.Anomalies = append(in.result.Anomalies,
		Anomaly{Type: anomalyType, Key: key, Text: fmt.Sprintf(format, args...), Ops: ops})
}

func (in *inference) key(name string) *key {
	k := in.byName[name]
	if k == nil {
		k = &key{name: name, words: map[string]*appended{}, longest: -1}
		in.byName[name] = k
		in.keys = append(in.keys, k)
	}
	return k
}

// collectAppends finds the origin of all words, whatever came of them.
func (in *inference) collectAppends() bool {
	for i := range in.ops {
		final := map[string]*appended{}
		for _, m := range in.ops[i].Input {
			if !m.Append {
				continue
			}
			k := in.key(m.Key)
			if k.words[m.Word] != nil {
				in.result.Malformed = fmt.Sprintf("the word %q is appended twice to %s", m.Word, m.Key)
				return false
			}
			if earlier := final[m.Key]; earlier != nil {
				earlier.final = false
			}
			a := &appended{op: i, final: true}
			final[m.Key], k.words[m.Word] = a, a
			k.order = append(k.order, m.Word)
		}
	}
	return true
}

// collectReads takes the lists out of the answered transactions and checks each
// transaction against itself.
func (in *inference) collectReads() bool {
	for i := range in.ops {
		op := &in.ops[i]
		if op.Outcome != history.OK {
			continue
		}
		if !sameSteps(op.Input, op.Output) {
			in.result.Malformed = fmt.Sprintf("#%d answers other steps than were asked for", op.ID)
			return false
		}
		in.committed[i] = true
		in.readsOf(i)
	}
	return true
}

func sameSteps(asked, answered Txn) bool {
	return slices.EqualFunc(asked, answered, func(a, b MicroOp) bool {
		return a.Append == b.Append && a.Key == b.Key && a.Word == b.Word
	})
}

func (in *inference) readsOf(i int) {
	type local struct {
		own   []string // appended by this transaction so far
		outer []string // what others had written
		known bool
	}
	locals := map[string]*local{}
	for _, m := range in.ops[i].Output {
		at := locals[m.Key]
		if at == nil {
			at = &local{}
			locals[m.Key] = at
		}
		if m.Append {
			at.own = append(at.own, m.Word)
			continue
		}
		k := in.key(m.Key)
		in.result.Reads++
		cut := len(m.List) - len(at.own)
		if cut < 0 || !slices.Equal(m.List[cut:], at.own) || at.known && !slices.Equal(m.List[:cut], at.outer) {
			in.report(Internal, m.Key, []int{i}, "read [%s] contradicts the transaction's own steps before it: %s",
				shorten(m.List), in.ops[i].Output)
			continue
		}
		if !at.known {
			at.outer, at.known = m.List[:cut], true
			k.reads = append(k.reads, read{op: i, list: m.List[:cut]})
		}
		if len(m.List) > len(k.version) || k.longest < 0 {
			k.version, k.longest = m.List, i
		}
	}
}

// checkLists judges the lists that were read, without any graph.
func (in *inference) checkLists() {
	for _, k := range in.keys {
		if k.longest >= 0 {
			in.checkWords(k, k.version, k.longest)
		}
		kept := k.reads[:0]
		for _, r := range k.reads {
			if !isPrefix(r.list, k.version) {
				in.report(IncompatibleOrder, k.name, []int{k.longest, r.op}, "one read saw [%s], another [%s]; no order of appends gives both",
					shorten(k.version), shorten(r.list))
				in.checkWords(k, r.list, r.op)
				continue
			}
			kept = append(kept, r)
			in.checkLast(k, r)
		}
		k.reads = kept
	}
}

func isPrefix(short, long []string) bool {
	return len(short) <= len(long) && slices.Equal(short, long[:len(short)])
}

// checkWords judges the words of a list, and notes which transactions in doubt
// must have happened.
func (in *inference) checkWords(k *key, list []string, reader int) {
	place := make(map[string]bool, len(list))
	for _, word := range list {
		if place[word] {
			in.report(DuplicateElements, k.name, []int{reader}, "%s is more than once in [%s]", word, shorten(list))
		}
		place[word] = true
		from := k.words[word]
		switch {
		case from == nil:
			in.report(Phantom, k.name, []int{reader}, "a read saw %s, which nobody appended", word)
			continue
		case from.seen:
			continue
		case in.ops[from.op].Outcome == history.Fail:
			in.report(G1a, k.name, []int{from.op, reader}, "a read saw %s, whose transaction had failed", word)
		default:
			in.committed[from.op] = true
		}
		from.seen = true
	}
}

// checkLast finds reads of a state in the middle of a transaction.
func (in *inference) checkLast(k *key, r read) {
	if len(r.list) == 0 {
		return
	}
	last := r.list[len(r.list)-1]
	if from := k.words[last]; from != nil && !from.final && from.op != r.op {
		in.report(G1b, k.name, []int{from.op, r.op}, "a read saw %s as the last word; its transaction appended more", last)
	}
}
