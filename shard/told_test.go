package shard

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/fsm/wait"
)

// newTestHub returns the hub of a group whose Raft is in *term.
func newTestHub(term *uint64) *lockHub {
	g := &Group{self: "n1", metrics: newNodeMetrics(prometheus.NewRegistry()).group(0), lockNudge: make(chan struct{}, 1)}
	g.locks = newLockHub(g)
	g.told.open(func() uint64 { return *term })
	return g.locks
}

func heard(ch <-chan wait.Event) (e heldEvent, ok bool) {
	select {
	case told, open := <-ch:
		if !open {
			return e, false
		}
		return heldEvent{told.What.(lock.Event), told.Index}, true
	default:
		return e, false
	}
}

// TestGrantIsNotToldBeforeItsTermServes: the leader of the term before may still
// answer under a lease, and knows nothing of the grant.
func TestGrantIsNotToldBeforeItsTermServes(t *testing.T) {
	term := uint64(4)
	h := newTestHub(&term)
	h.g.told.serves(4)
	waiter, stop := h.g.Watch(lock.Outcome("a"))
	defer stop()
	watcher, end := h.g.Watch(lock.Topic("l"))
	defer end()

	term = 5 // elected, silent; it commits what the leader before had sent
	h.changed(10, []lock.Event{{Kind: lock.EventGranted, Name: "l", Token: "a", Fence: 1}})
	h.tellHeld()
	if e, ok := heard(waiter); ok {
		t.Fatalf("the waiter was told %+v in a term that does not serve", e)
	}
	if e, ok := heard(watcher); ok {
		t.Fatalf("who watches was told %+v in a term that does not serve", e)
	}
	h.g.told.serves(4) // an answer of the old leader that was under way
	if h.tellHeld() {
		t.Fatal("an answer of an earlier term let it out")
	}
	term = 6
	h.changed(11, []lock.Event{{Kind: lock.EventLost, Name: "l", Fence: 1}})
	h.g.told.serves(6)
	if !h.tellHeld() {
		t.Fatal("held although the term serves")
	}
	if e, ok := heard(waiter); !ok || e.Fence != 1 || e.index != 10 {
		t.Errorf("the waiter was told %+v, %v", e, ok)
	}
	for _, want := range []lock.EventKind{lock.EventGranted, lock.EventLost} {
		if e, ok := heard(watcher); !ok || e.Kind != want {
			t.Errorf("who watches was told %+v, %v; want kind %d", e, ok, want)
		}
	}
}

func TestEventsBeyondTheBoundMakeWaitersLook(t *testing.T) {
	term := uint64(4)
	h := newTestHub(&term)
	waiter, stop := h.g.Watch(lock.Outcome("a"))
	defer stop()
	watcher, end := h.g.Watch(lock.Topic("l"))
	defer end()
	for i := range maxHeld + 1 {
		h.changed(uint64(i+1), []lock.Event{{Kind: lock.EventLost, Name: "l"}})
	}
	if _, open := <-waiter; open {
		t.Error("who waits does not learn that events were missed")
	}
	if _, open := <-watcher; open {
		t.Error("who watches does not learn that events were missed")
	}
	if len(h.held) != 0 {
		t.Errorf("%d events are held", len(h.held))
	}
}

// TestPushedGrantOfAnotherTermIsNotTold: the message may be old.
func TestPushedGrantOfAnotherTermIsNotTold(t *testing.T) {
	term := uint64(5)
	h := newTestHub(&term)
	h.g.told.serves(5)
	waiter, stop := h.g.Watch(lock.Outcome("a"))
	defer stop()
	if err := h.g.answerGranted(append([]byte{4, 1, 1}, "a"...)); err != nil {
		t.Fatal(err)
	}
	if e, ok := heard(waiter); ok {
		t.Fatalf("told %+v of term 4 in term 5", e)
	}
	if err := h.g.answerGranted(append([]byte{5, 1, 1}, "a"...)); err != nil {
		t.Fatal(err)
	}
	if _, ok := heard(waiter); !ok {
		t.Fatal("not told of a grant of this term")
	}
}
