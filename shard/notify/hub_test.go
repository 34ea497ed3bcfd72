package notify

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/fsm/wait"
)

// follower is a replica of a node that does not lead.
type follower struct {
	unsound bool
	seen    int
	ask     func(ctx context.Context) error

	serving uint64
	pushed  []lock.Event
}

func (f *follower) Serving() (term uint64)              { return f.serving }
func (f *follower) Sound() bool                         { return !f.unsound }
func (f *follower) Seen(events []lock.Event)            { f.seen += len(events) }
func (f *follower) Push(_ uint64, grant lock.Event)     { f.pushed = append(f.pushed, grant) }
func (f *follower) AskLeader(ctx context.Context) error { return f.ask(ctx) }

// newTestHub returns the hub of a follower whose Raft is in *term.
func newTestHub(term *uint64) (*Hub, *follower) {
	told, f := new(Told), new(follower)
	told.Open(func() uint64 { return *term })
	return NewHub("n1", told, f), f
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
	h, _ := newTestHub(&term)
	h.told.Serves(4)
	waiter, stop := h.Watch(lock.Outcome("a"))
	defer stop()
	watcher, end := h.Watch(lock.Topic("l"))
	defer end()

	term = 5 // elected, silent; it commits what the leader before had sent
	h.Changed(10, []lock.Event{{Kind: lock.EventGranted, Name: "l", Token: "a", Fence: 1}})
	h.tellHeld()
	if e, ok := heard(waiter); ok {
		t.Fatalf("the waiter was told %+v in a term that does not serve", e)
	}
	if e, ok := heard(watcher); ok {
		t.Fatalf("who watches was told %+v in a term that does not serve", e)
	}
	h.told.Serves(4) // an answer of the old leader that was under way
	if h.tellHeld() {
		t.Fatal("an answer of an earlier term let it out")
	}
	term = 6
	h.Changed(11, []lock.Event{{Kind: lock.EventLost, Name: "l", Fence: 1}})
	h.told.Serves(6)
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
	h, _ := newTestHub(&term)
	waiter, stop := h.Watch(lock.Outcome("a"))
	defer stop()
	watcher, end := h.Watch(lock.Topic("l"))
	defer end()
	for i := range maxHeld + 1 {
		h.Changed(uint64(i+1), []lock.Event{{Kind: lock.EventLost, Name: "l"}})
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
	h, _ := newTestHub(&term)
	h.told.Serves(5)
	waiter, stop := h.Watch(lock.Outcome("a"))
	defer stop()
	h.Pushed(4, lock.Event{Kind: lock.EventGranted, Token: "a", Fence: 1, ExpiresAt: 1})
	if e, ok := heard(waiter); ok {
		t.Fatalf("told %+v of term 4 in term 5", e)
	}
	h.Pushed(5, lock.Event{Kind: lock.EventGranted, Token: "a", Fence: 1, ExpiresAt: 1})
	if _, ok := heard(waiter); !ok {
		t.Fatal("not told of a grant of this term")
	}
}

// TestLeaderPushesGrants to the nodes whose clients wait, and nobody else does.
func TestLeaderPushesGrants(t *testing.T) {
	term := uint64(5)
	h, f := newTestHub(&term)
	h.told.Serves(5)
	grants := []lock.Event{
		{Kind: lock.EventGranted, Token: "a", Node: "n2"}, {Kind: lock.EventGranted, Token: "b", Node: "n1"},
		{Kind: lock.EventGranted, Token: "c"}, {Kind: lock.EventLost, Name: "l", Node: "n2"},
	}
	h.Changed(10, grants)
	if len(f.pushed) > 0 {
		t.Errorf("a follower pushed %+v", f.pushed)
	}
	f.serving = 5
	h.Changed(11, grants)
	if len(f.pushed) != 1 || f.pushed[0].Token != "a" || f.seen != 2*len(grants) {
		t.Errorf("pushed %+v, has seen %d events", f.pushed, f.seen)
	}
}

// TestHeldEventsAreTold as soon as an answer of the leader says that its term serves, if the state
// is right.
func TestHeldEventsAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		term, answers := uint64(5), atomic.Bool{}
		h, f := newTestHub(&term)
		f.ask = func(ctx context.Context) error {
			if !answers.Load() {
				<-ctx.Done()
				return ctx.Err()
			}
			h.told.Serves(5)
			return nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			h.Run(ctx)
			close(ended)
		}()
		waiter, stop := h.Watch(lock.Outcome("a"))
		defer stop()
		h.Changed(10, []lock.Event{{Kind: lock.EventGranted, Token: "a", Fence: 1}})
		time.Sleep(time.Minute)
		if e, ok := heard(waiter); ok {
			t.Errorf("told %+v before the leader answered", e)
		}
		answers.Store(true)
		time.Sleep(askTimeout + 2*askPause)
		if _, ok := heard(waiter); !ok {
			t.Error("not told though the term serves")
		}
		cancel()
		<-ended
	})
}

// TestUnsoundStateIsNotTold.
func TestUnsoundStateIsNotTold(t *testing.T) {
	term := uint64(5)
	h, f := newTestHub(&term)
	h.told.Serves(5)
	f.unsound = true
	waiter, stop := h.Watch(lock.Outcome("a"))
	defer stop()
	h.Changed(10, []lock.Event{{Kind: lock.EventGranted, Token: "a", Fence: 1}})
	if e, ok := heard(waiter); ok {
		t.Errorf("told %+v of a state that is wrong", e)
	}
}
