package notify

import (
	"testing"

	"github.com/lockstepkv/lockstep/fsm/wait"
)

func topic(key string) wait.Topic { return wait.Topic{Kind: wait.Lock, Key: key} }

// TestWatchersHearTheirTopic in order, and nothing after they have stopped.
func TestWatchersHearTheirTopic(t *testing.T) {
	var w Watchers
	a, stopA := w.Watch(topic("a"))
	also, stopAlso := w.Watch(topic("a"))
	defer stopAlso()
	b, stopB := w.Watch(topic("b"))
	defer stopB()
	for i := range uint64(3) {
		w.Tell(wait.Event{Topic: topic("a"), Index: i})
	}
	stopA()
	stopA()
	w.Tell(wait.Event{Topic: topic("a"), Index: 3})
	if len(a) != 3 || len(also) != 4 || len(b) != 0 {
		t.Errorf("heard %d, %d and %d events", len(a), len(also), len(b))
	}
	for i := range uint64(4) {
		if e := <-also; e.Index != i || e.Topic != topic("a") {
			t.Errorf("event %d is %+v", i, e)
		}
	}
}

// TestWhoIsTooFarBehindIsTold, and nobody else.
func TestWhoIsTooFarBehindIsTold(t *testing.T) {
	var w Watchers
	slow, stop := w.Watch(topic("a"))
	defer stop()
	for range room + 1 {
		w.Tell(wait.Event{Topic: topic("a")})
	}
	for range room {
		if _, ok := <-slow; !ok {
			t.Fatal("events that fitted are lost")
		}
	}
	if _, ok := <-slow; ok {
		t.Error("the event that did not fit is there")
	}
	again, stop := w.Watch(topic("a"))
	defer stop()
	w.Tell(wait.Event{Topic: topic("a")})
	if len(again) != 1 {
		t.Error("who began again hears nothing")
	}
}

// TestOutcomeIsToldOnce: the grant of a lock comes by the log and from its leader.
func TestOutcomeIsToldOnce(t *testing.T) {
	var w Watchers
	outcome := wait.Topic{Kind: wait.Outcome, Key: "token"}
	ch, stop := w.Watch(outcome)
	defer stop()
	w.Tell(wait.Event{Topic: outcome, Index: 1})
	w.Tell(wait.Event{Topic: outcome, Index: 2})
	if e := <-ch; e.Index != 1 {
		t.Errorf("heard %+v", e)
	}
	select {
	case e, ok := <-ch:
		t.Errorf("then %+v, %v", e, ok)
	default:
	}
}

// TestMissedEndsEveryWatch: what had arrived is read before that.
func TestMissedEndsEveryWatch(t *testing.T) {
	var w Watchers
	outcome := wait.Topic{Kind: wait.Outcome, Key: "token"}
	a, stopA := w.Watch(topic("a"))
	b, stopB := w.Watch(outcome)
	w.Tell(wait.Event{Topic: outcome, Index: 7})
	w.Missed()
	if _, ok := <-a; ok {
		t.Error("a watch goes on")
	}
	if e, ok := <-b; !ok || e.Index != 7 {
		t.Errorf("heard %+v, %v", e, ok)
	}
	if _, ok := <-b; ok {
		t.Error("a watch goes on")
	}
	stopA()
	stopB()
	w.Missed()
	w.Tell(wait.Event{Topic: outcome})
	if len(w.at) != 0 {
		t.Errorf("%d topics are left", len(w.at))
	}
}
