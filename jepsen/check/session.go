package check

import (
	"time"

	"github.com/lockstepkv/lockstep/jepsen/history"
)

// Kinds of operations on plain keys, used by the checkers Session, Stale,
// Expiry and Eviction. Every written value is unique within its key.
const (
	KeySet    = "set"    // Input: Value, TTL
	KeyGet    = "get"    // Output: Found, Value
	KeyDelete = "delete" // Expiry and Eviction only
)

// Session checks linearizable reads that clients do at any node: they see their
// own writes, they never go back behind what they saw, and they are fresh with
// respect to all clients. Stale reads in the history are used as evidence only.
func Session(ops []history.Op[KeyInput, KeyOutput]) Verdict {
	j, ok := begin("session", ops, KeySet, KeyGet)
	if !ok {
		return j.done()
	}
	for _, k := range byKey(j, ops) {
		if h, ok := newKeyHistory(j, k); ok {
			checkSessions(j, h)
		}
	}
	if j.verdict.Stats.More["reads after own writes"] == 0 {
		j.unknown("no client read a key after its own acknowledged write")
	}
	return j.done()
}

// sessionOf is what one client knows of one key.
type sessionOf struct{ wrote, saw timeline[*keyOp] }

func checkSessions(j *judge, h *keyHistory) {
	sessions := splitSessions(h)
	for _, read := range h.reads {
		known, ok := h.knownOf(read)
		if !ok || read.Input.Stale {
			continue
		}
		s := sessions[read.Client]
		if _, wrote := s.wrote.before(read.Call); wrote {
			j.more("reads after own writes", 1)
		}
		if newer, found := s.wrote.newer(read.Call, known); found {
			j.report(AnomalyReadYourWrites, h.key, show(h.writeOf(read), newer.op, read),
				"client %d wrote %q, then read %s", read.Client, newer.op.Input.Value, seen(read))
		} else if newer, found := s.saw.newer(read.Call, known); found {
			j.report(AnomalyMonotonicReads, h.key, show(h.writeOf(read), newer.op, read),
				"client %d read %q, then the older %s", read.Client, newer.op.Output.Value, seen(read))
		} else {
			h.checkFresh(j, read, known)
		}
	}
}

// checkFresh judges a linearizable read by the sights of all clients.
func (h *keyHistory) checkFresh(j *judge, read *keyOp, known time.Duration) {
	if newer, found := h.sights.newer(read.Call, known); found {
		j.report(AnomalyStaleRead, h.key, show(h.writeOf(read), newer.op, read),
			"a read saw %s although a newer write had taken effect before the read began", seen(read))
	}
}

func splitSessions(h *keyHistory) map[int]*sessionOf {
	sessions := map[int]*sessionOf{}
	of := func(client int) *sessionOf {
		if sessions[client] == nil {
			sessions[client] = &sessionOf{}
		}
		return sessions[client]
	}
	for _, w := range h.ordered {
		if w.op.Outcome == history.OK {
			of(w.op.Client).wrote.add(w.op.Return, w.op.Call, w.op)
		}
	}
	for _, read := range h.reads {
		s := of(read.Client)
		if _, ok := h.knownOf(read); ok && read.Output.Found && !read.Input.Stale {
			s.saw.add(read.Return, h.writes[read.Output.Value].op.Call, read)
		}
	}
	return sessions
}

// writeOf is the write that a read saw, if any.
func (h *keyHistory) writeOf(read *keyOp) *keyOp {
	if w := h.writes[read.Output.Value]; read.Output.Found && w != nil {
		return w.op
	}
	return nil
}

// seen is what a read answered, in words.
func seen(read *keyOp) string {
	if !read.Output.Found {
		return "nothing"
	}
	return `"` + read.Output.Value + `"`
}
