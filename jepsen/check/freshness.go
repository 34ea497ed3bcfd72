package check

import (
	"math"
	"sort"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/history"
)

// never is the known time of a write that may still happen.
const never = time.Duration(math.MaxInt64)

// sight is evidence that a write had taken effect: its acknowledgement, or a
// read that saw it. The write took effect between writeCall and at.
type sight[T any] struct {
	at        time.Duration
	writeCall time.Duration
	op        T
}

// timeline answers which of the writes that certainly took effect before a
// moment began last. Everything that was certainly overwritten by that write is
// too old to be read from then on.
type timeline[T any] struct {
	sights []sight[T]
	latest []int // latest[i] is the place of the greatest writeCall in sights[:i+1]
	sorted bool
}

func (t *timeline[T]) add(at, writeCall time.Duration, op T) {
	t.sights = append(t.sights, sight[T]{at, writeCall, op})
	t.sorted = false
}

func (t *timeline[T]) sort() {
	sort.SliceStable(t.sights, func(i, k int) bool { return t.sights[i].at < t.sights[k].at })
	t.latest = make([]int, len(t.sights))
	for i := range t.sights {
		t.latest[i] = i
		if i > 0 && t.sights[t.latest[i-1]].writeCall >= t.sights[i].writeCall {
			t.latest[i] = t.latest[i-1]
		}
	}
	t.sorted = true
}

// before gives the sight strictly before the moment whose write began last.
func (t *timeline[T]) before(moment time.Duration) (sight[T], bool) {
	if !t.sorted {
		t.sort()
	}
	n := sort.Search(len(t.sights), func(i int) bool { return t.sights[i].at >= moment })
	if n == 0 {
		return sight[T]{}, false
	}
	return t.sights[t.latest[n-1]], true
}

// newer gives a sight before the moment of a write that began after known: the
// proof that whatever was in effect at known has been overwritten.
func (t *timeline[T]) newer(moment, known time.Duration) (sight[T], bool) {
	s, ok := t.before(moment)
	return s, ok && s.writeCall > known
}

type keyOp = history.Op[KeyInput, KeyOutput]

// keyWrite is a set of a plain key.
type keyWrite struct {
	op *keyOp
	// known is the first moment at which the write had certainly taken effect:
	// it was acknowledged, or some read that saw it had returned.
	known time.Duration
}

// keyHistory is what happened to one plain key, whose values are unique.
type keyHistory struct {
	key     string
	writes  map[string]*keyWrite
	ordered []*keyWrite // in the order of their calls
	deletes []*keyOp    // not the failed ones
	reads   []*keyOp    // answered ones
	// sights are the acknowledgements of sets and deletes, and the reads that
	// saw a value.
	sights timeline[*keyOp]
}

// newKeyHistory sorts the operations and reports reads of values that nobody
// wrote. ok is false when values are not unique.
func newKeyHistory(j *judge, k keyed[KeyInput, KeyOutput]) (h *keyHistory, ok bool) {
	h = &keyHistory{key: k.key, writes: map[string]*keyWrite{}}
	for _, op := range k.ops {
		switch {
		case op.Kind == KeySet:
			if h.writes[op.Input.Value] != nil {
				j.unknown("key %s: the value %q is written twice", k.key, op.Input.Value)
				return nil, false
			}
			w := &keyWrite{op: op, known: never}
			h.writes[op.Input.Value] = w
			h.ordered = append(h.ordered, w)
			if op.Outcome == history.OK {
				w.known = op.Return
				h.sights.add(op.Return, op.Call, op)
			}
		case op.Kind == KeyDelete && op.Outcome != history.Fail:
			h.deletes = append(h.deletes, op)
			if op.Outcome == history.OK {
				h.sights.add(op.Return, op.Call, op)
			}
		case op.Kind == KeyGet && op.Outcome == history.OK:
			h.reads = append(h.reads, op)
		}
	}
	j.more("reads", len(h.reads))
	for _, read := range h.reads {
		h.observe(j, read)
	}
	return h, true
}

// observe notes what a read proves about the write it saw.
func (h *keyHistory) observe(j *judge, read *keyOp) {
	if !read.Output.Found {
		return
	}
	w := h.writes[read.Output.Value]
	switch {
	case w == nil:
		j.report(AnomalyPhantom, h.key, show(read), "a read saw %q, which nobody wrote", read.Output.Value)
		return
	case w.op.Outcome == history.Fail:
		j.report(AnomalyFailedVisible, h.key, show(w.op, read), "a read saw %q, whose write had failed", read.Output.Value)
		return
	case read.Before(w.op.Meta):
		j.report(AnomalyFuture, h.key, show(w.op, read), "a read saw %q before its write began", read.Output.Value)
		return
	}
	w.known = min(w.known, read.Return)
	h.sights.add(read.Return, w.op.Call, read)
}

// knownOf is when what a read saw was certainly in effect. An absent key is as
// old as the history. ok is false for values that were reported already.
func (h *keyHistory) knownOf(read *keyOp) (known time.Duration, ok bool) {
	if !read.Output.Found {
		return -1, true
	}
	w := h.writes[read.Output.Value]
	if w == nil || w.op.Outcome == history.Fail || read.Before(w.op.Meta) {
		return 0, false
	}
	return w.known, true
}
