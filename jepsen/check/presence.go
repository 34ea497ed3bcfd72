package check

import (
	"sort"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/history"
)

// presenceRules say when a key may go without being deleted.
type presenceRules struct {
	// mayGo is the earliest moment at which what a set wrote may be gone by
	// itself; never for a key that has to stay.
	mayGo func(set *keyOp) time.Duration
	// lateBound, when not 0, is how long after its time a key may be seen.
	lateBound time.Duration
	// timed: a key with a time to live may not go at any time.
	timed bool
}

// What the rules of time rest on: reads that could have shown a key gone early, or
// late.
const (
	mustBeThere = "reads that had to see a key with a time to live"
	mustBeGone  = "reads that had to see a key gone"
)

func checkPresence(name string, ops []history.Op[KeyInput, KeyOutput], rules presenceRules) Verdict {
	j, ok := begin(name, ops, KeySet, KeyGet, KeyDelete)
	if !ok {
		return j.done()
	}
	for _, k := range byKey(j, ops) {
		if h, ok := newKeyHistory(j, k); ok {
			p := newPresence(h, rules)
			for _, read := range h.reads {
				if read.Output.Found {
					p.checkFound(j, read)
				} else {
					p.checkGone(j, read)
				}
			}
		}
	}
	if j.verdict.Stats.More["seen gone by itself"] == 0 {
		j.unknown("no key was seen gone that nobody had deleted")
	}
	if rules.timed && j.verdict.Stats.More[mustBeThere] == 0 {
		j.unknown("no key with a time to live was read while it certainly had to be there")
	}
	if rules.lateBound > 0 && j.verdict.Stats.More[mustBeGone] == 0 {
		j.unknown("no key was read when its time was certainly over")
	}
	return j.done()
}

// presence judges the reads of one key.
type presence struct {
	*keyHistory
	rules presenceRules
	// absences are the reads that saw nothing; each counts as an overwrite of
	// all that was certainly in effect before it was called.
	absences timeline[*keyOp]
	// departures are the sets whose value may have gone by itself, removals the
	// deletes.
	departures, removals causes
}

// causes are operations that may have left a key absent.
type causes struct {
	list []cause // by from, once sorted
	// longest[i] is the greatest known of list[:i+1].
	longest []time.Duration
}

// cause is one of them: from when on the key may be absent, and when it had
// certainly taken effect.
type cause struct {
	from, known time.Duration
}

func (c *causes) sort() {
	sort.Slice(c.list, func(i, k int) bool { return c.list[i].from < c.list[k].from })
	c.longest = make([]time.Duration, len(c.list))
	for i := range c.list {
		c.longest[i] = c.list[i].known
		if i > 0 {
			c.longest[i] = max(c.longest[i], c.longest[i-1])
		}
	}
}

// explain reports whether one of them may have made the key absent at the
// moment and was not certainly overwritten by a write called at overwrite.
func (c *causes) explain(moment, overwrite time.Duration) bool {
	n := sort.Search(len(c.list), func(i int) bool { return c.list[i].from > moment })
	return n > 0 && c.longest[n-1] >= overwrite
}

func newPresence(h *keyHistory, rules presenceRules) *presence {
	p := &presence{keyHistory: h, rules: rules}
	for _, read := range h.reads {
		if !read.Output.Found {
			p.absences.add(read.Return, read.Call, read)
		}
	}
	for _, w := range h.ordered {
		if from := rules.mayGo(w.op); w.op.Outcome != history.Fail && from != never {
			p.departures.list = append(p.departures.list, cause{from, w.known})
		}
	}
	for _, op := range h.deletes {
		p.removals.list = append(p.removals.list, cause{op.Call, op.Return}) // in doubt: Return is never
	}
	p.departures.sort()
	p.removals.sort()
	return p
}

// checkFound judges a read that saw a value.
func (p *presence) checkFound(j *judge, read *keyOp) {
	known, ok := p.knownOf(read)
	if !ok {
		return
	}
	write := p.writeOf(read)
	if last, found := p.sights.before(read.Call); found && write.Input.TTL > 0 && !p.mayBeGone(read, last.writeCall) {
		j.more(mustBeThere, 1)
	}
	if gone, found := p.absences.newer(read.Call, known); found {
		j.report(AnomalyResurrected, p.key, show(write, gone.op, read), "%s was seen gone and came back", seen(read))
		return
	}
	p.checkFresh(j, read, known)
	if ttl := write.Input.TTL; p.rules.lateBound > 0 && ttl > 0 && read.Call-known-ttl > p.rules.lateBound {
		j.report(AnomalyExpiredLate, p.key, show(write, read), "%s was still there %s after its time", seen(read), read.Call-known-ttl)
	}
}

// mayBeGone reports whether something explains that a read sees nothing.
func (p *presence) mayBeGone(read *keyOp, overwrite time.Duration) bool {
	return p.removals.explain(read.Return, overwrite) || p.departures.explain(read.Return, overwrite)
}

// checkGone judges a read that saw nothing: something must explain it that was
// not certainly overwritten before the read began.
func (p *presence) checkGone(j *judge, read *keyOp) {
	last, found := p.sights.before(read.Call)
	if !found {
		return // nothing was certainly written yet
	}
	j.more("reads that saw nothing", 1)
	if p.removals.explain(read.Return, last.writeCall) {
		return
	}
	write := last.op
	if write.Kind == KeyGet {
		write = p.writeOf(last.op)
	}
	if p.departures.explain(read.Return, last.writeCall) {
		j.more("seen gone by itself", 1)
		if ttl := write.Input.TTL; ttl > 0 && read.Call-last.at-ttl > p.rules.lateBound {
			j.more(mustBeGone, 1)
		}
		return
	}
	if write.Input.TTL > 0 {
		j.report(AnomalyGoneEarly, p.key, show(write, last.op, read), "%q was gone at most %s after its write began; its time to live is %s",
			write.Input.Value, read.Return-write.Call, write.Input.TTL)
		return
	}
	j.report(AnomalyVanished, p.key, show(write, last.op, read), "%q has no expiry, nobody deleted it, and it was gone", write.Input.Value)
}
