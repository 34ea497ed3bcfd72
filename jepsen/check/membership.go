package check

import (
	"slices"
	"sort"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/history"
)

// member is something that is put into a grow-only collection, by one or more
// attempts.
type member struct {
	name     string
	first    history.Entry // the attempt that was called first
	possible bool          // some attempt did not fail
	acked    bool
	ack      history.Entry // the attempt that was acknowledged first
	// known is the first moment at which the member was certainly in: it was
	// acknowledged, or a read that saw it had returned.
	known time.Duration
	// seenCall is the latest call of a read that saw it.
	seenCall time.Duration
	seen     bool
	stamp    int // the last read that had it, from 1
	missed   int
	missing  []history.Entry // the first and the last read that missed it
}

// membership is the history of one grow-only collection that each read returns
// as a whole.
type membership struct {
	key     string
	members map[string]*member
	reads   []view
}

type view struct {
	op      history.Entry
	names   []string
	members []*member // those of names that may be there, each once
}

func newMembership(key string) *membership {
	return &membership{key: key, members: map[string]*member{}}
}

// attempt notes a try to put something in. Attempts come in the order of calls.
func (m *membership) attempt(name string, op history.Entry) {
	in := m.members[name]
	if in == nil {
		in = &member{name: name, first: op, known: never, seenCall: -1}
		m.members[name] = in
	}
	in.possible = in.possible || op.Outcome != history.Fail
	if op.Outcome == history.OK && op.Return < in.known {
		in.acked, in.ack, in.known = true, op, op.Return
	}
}

// read notes an answered read.
func (m *membership) read(op history.Entry, names []string) {
	m.reads = append(m.reads, view{op: op, names: names})
}

// check reports what contradicts a linearizable grow-only collection.
func (m *membership) check(j *judge) {
	j.more("reads", len(m.reads))
	j.more("elements", len(m.members))
	m.lookUp(j)
	m.findMissing()
	m.reportMissing(j)
	m.requireFinalRead(j)
}

// lookUp finds the members of each read and reports those that cannot be there.
func (m *membership) lookUp(j *judge) {
	for i := range m.reads {
		v := &m.reads[i]
		v.members = make([]*member, 0, len(v.names))
		for _, name := range v.names {
			if in := m.explain(j, name, v.op, i+1); in != nil {
				v.members = append(v.members, in)
			}
		}
	}
}

// explain gives the member that a read saw, or nil when it was reported.
func (m *membership) explain(j *judge, name string, read history.Entry, stamp int) *member {
	in := m.members[name]
	switch {
	case in == nil:
		j.report(AnomalyPhantom, m.key, []history.Entry{brief(read)}, "a read saw %q, which nobody added", name)
		return nil
	case in.stamp == stamp:
		j.report(AnomalyDuplicate, m.key, []history.Entry{in.first, brief(read)}, "a read saw %q more than once", name)
		return nil
	case !in.possible:
		j.report(AnomalyFailedVisible, m.key, []history.Entry{in.first, brief(read)}, "a read saw %q, whose add had failed", name)
		return nil
	case read.Before(in.first.Meta):
		j.report(AnomalyFuture, m.key, []history.Entry{in.first, brief(read)}, "a read saw %q before its add began", name)
		return nil
	}
	in.stamp, in.seen = stamp, true
	in.known = min(in.known, read.Return)
	in.seenCall = max(in.seenCall, read.Call)
	return in
}

// findMissing notes, for each member, the reads that had to see it and did not.
func (m *membership) findMissing() {
	known := make([]*member, 0, len(m.members))
	for _, in := range m.members {
		in.stamp = 0
		if in.known != never && in.possible {
			known = append(known, in)
		}
	}
	slices.SortFunc(known, func(a, b *member) int {
		if a.known != b.known {
			return int(min(max(a.known-b.known, -1), 1))
		}
		return a.first.ID - b.first.ID
	})
	for i := range m.reads {
		v := &m.reads[i]
		// The common case is decided by counting alone.
		due := sort.Search(len(known), func(i int) bool { return known[i].known >= v.op.Call })
		have := 0
		for _, in := range v.members {
			in.stamp = i + 1
			if in.known < v.op.Call {
				have++
			}
		}
		for k := 0; have < due; k++ {
			if in := known[k]; in.stamp != i+1 {
				in.missed++
				in.missing = append(in.missing[:min(len(in.missing), 1)], v.op)
				have++
			}
		}
	}
}

// reportMissing tells what is gone for good from what a read was too old to see.
func (m *membership) reportMissing(j *judge) {
	var bad []*member
	for _, in := range m.members {
		if in.missed > 0 {
			bad = append(bad, in)
		}
	}
	slices.SortFunc(bad, func(a, b *member) int { return a.first.ID - b.first.ID })
	for _, in := range bad {
		proof := in.first
		if in.acked {
			proof = in.ack
		}
		first, last := in.missing[0], in.missing[len(in.missing)-1]
		ops := []history.Entry{proof, brief(first), brief(last)}
		if in.seenCall > last.Call {
			j.report(AnomalyStaleRead, m.key, ops[:2], "%q was in at %s; %d reads called later missed it, first #%d; still later reads have it",
				in.name, in.known, in.missed, first.ID)
			continue
		}
		j.report(AnomalyLost, m.key, ops, "%q was in at %s; %d reads called later missed it, from #%d to the last",
			in.name, in.known, in.missed, first.ID)
	}
}

// requireFinalRead makes sure that every acknowledged member was looked for.
func (m *membership) requireFinalRead(j *judge) {
	final := time.Duration(-1)
	for i := range m.reads {
		final = max(final, m.reads[i].op.Call)
	}
	unchecked := 0
	for _, in := range m.members {
		if in.acked && in.ack.Return >= final {
			unchecked++
		}
	}
	if unchecked > 0 || len(m.reads) == 0 {
		j.unknown("key %s: no read was called after the acknowledgement of %d elements", m.key, unchecked)
	}
}

// brief leaves out what a read of a whole collection returned.
func brief(read history.Entry) history.Entry {
	read.Output = nil
	return read
}
