package soundness

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstepkv/lockstep/fsm"
)

var errTest = errors.New("the test says so")

// wrongRing has a replica a that knows that it is wrong.
func wrongRing() (ring, *replica) {
	r := newRing("a", "b", "c")
	r["b"].data, r["c"].data = "right", "right"
	r["a"].k.Condemn("the test says so")
	return r, r["a"]
}

func (r ring) close() {
	for _, p := range r {
		p.k.Close()
	}
}

// TestMendOrder: that a replica is wrong is written down before anything else is done, so that a restart
// does not forget it, and taken back when what the disk has is right as well.
func TestMendOrder(t *testing.T) {
	r, a := wrongRing()
	defer r.close()
	var c comparison
	a.k.mend(t.Context(), &c)
	const want = "marked aside rebuild snapshot cleared forget rebuilt"
	if got := strings.Join(a.done, " "); got != want || !a.k.Sound() || a.data != "right" {
		t.Errorf("did %s; sound %v, data %q", got, a.k.Sound(), a.data)
	}
}

// TestMendFails at each step: the replica stays out of service, and the next round goes on from there.
func TestMendFails(t *testing.T) {
	for name, c := range map[string]struct {
		given func(r ring, a *replica)
		then  func(r ring, a *replica)
		done  string // in the first round
		again string // in the second
	}{
		"to write it down": {func(_ ring, a *replica) { a.markErr = errTest }, func(_ ring, a *replica) { a.markErr = nil },
			"", "marked aside rebuild snapshot cleared forget rebuilt"},
		"for want of a peer": {
			func(r ring, _ *replica) { r["b"].away, r["c"].saysWrong = true, true },
			func(r ring, _ *replica) { r["b"].with(func() { r["b"].away = false }) },
			"marked aside", "marked aside rebuild snapshot cleared forget rebuilt"},
		"to rebuild": {func(_ ring, a *replica) { a.rebuilds = errTest }, func(_ ring, a *replica) { a.rebuilds = nil },
			"marked aside rebuild", "marked aside rebuild snapshot cleared forget rebuilt"},
		"to take a snapshot": {func(_ ring, a *replica) { a.snapshotErr = errTest }, func(_ ring, a *replica) { a.snapshotErr = nil },
			"marked aside rebuild snapshot", "marked aside snapshot cleared forget rebuilt"}, // the new state stands
	} {
		r, a := wrongRing()
		var m comparison
		c.given(r, a)
		a.k.mend(t.Context(), &m)
		if got := strings.Join(a.done, " "); got != c.done || a.k.Sound() {
			t.Errorf("%s: did %s, sound %v", name, got, a.k.Sound())
		}
		c.then(r, a)
		a.done = nil
		a.k.mend(t.Context(), &m)
		if got := strings.Join(a.done, " "); got != c.again || !a.k.Sound() || a.diverged {
			t.Errorf("%s, the second time: did %s, sound %v", name, got, a.k.Sound())
		}
		r.close()
	}
}

// TestFoundWrongAgainWhileRebuilt: the new state does not stand, and is replaced once more.
func TestFoundWrongAgainWhileRebuilt(t *testing.T) {
	r, a := wrongRing()
	defer r.close()
	a.onRebuild = func() { a.k.Condemn("an audit has found it, too") }
	var c comparison
	a.k.mend(t.Context(), &c)
	if a.k.Sound() || !a.diverged {
		t.Fatalf("it answers; did %v", a.done)
	}
	a.onRebuild = nil
	a.k.mend(t.Context(), &c)
	if n := len(slices.DeleteFunc(a.done, func(s string) bool { return s != "rebuild" })); n != 2 || !a.k.Sound() {
		t.Errorf("rebuilt %d times, sound %v", n, a.k.Sound())
	}
}

// TestRebuiltStateWaitsForItsCommitIndex: until its Raft has committed as far, its term tells nothing
// about what is in the new state.
func TestRebuiltStateWaitsForItsCommitIndex(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, a := wrongRing()
		defer r.close()
		a.applied = 100
		time.AfterFunc(time.Minute, func() { a.with(func() { a.commit = 100 }) })
		began := time.Now()
		var c comparison
		a.k.mend(t.Context(), &c)
		if took := time.Since(began); took < time.Minute || !a.k.Sound() {
			t.Errorf("after %v: sound %v", took, a.k.Sound())
		}
	})
}

// TestStopWhileRebuilding: what is not over is not said to be.
func TestStopWhileRebuilding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, a := wrongRing()
		defer r.close()
		a.applied = 100 // never committed
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var c comparison
		if a.k.mend(ctx, &c); a.k.Sound() || !a.diverged {
			t.Error("it takes itself for right")
		}
	})
}

// TestRecall: who was wrong when the node stopped is wrong when it starts, if there is anybody to be rebuilt from.
func TestRecall(t *testing.T) {
	r, a := wrongRing()
	defer r.close()
	a.rebuilds = errTest
	var c comparison
	a.k.mend(t.Context(), &c)
	a.k.Close()
	a.start()
	if err := a.k.Recall(); err != nil || !a.k.Diverged() {
		t.Errorf("%v, diverged %v", err, a.k.Diverged())
	}
	delete(r, "b")
	delete(r, "c")
	a.k.Close()
	a.start()
	if err := a.k.Recall(); err != nil || a.k.Diverged() {
		t.Errorf("alone: %v, diverged %v", err, a.k.Diverged())
	}
}

// TestPeersTakeTurns: who is asked for its state, when it does not have it or is wrong itself.
func TestPeersTakeTurns(t *testing.T) {
	r := newRing("a", "b", "c", "d", "e")
	r["c"].away, r["e"].saysWrong = true, true
	var c comparison
	var asked []string
	for range 4 {
		asked = append(asked, r["a"].k.soundPeer(&c))
	}
	if got := strings.Join(asked, " "); got != "b d b d" {
		t.Error(got)
	}
	r["b"].away, r["d"].away = true, true
	if got := r["a"].k.soundPeer(&c); got != "" {
		t.Errorf("%s was to be asked", got)
	}
}

// TestRebuiltStateHasNothingUnread: what the old one could not read is in it.
func TestRebuiltStateHasNothingUnread(t *testing.T) {
	r, a := wrongRing()
	defer r.close()
	a.k.Refused(fsm.Refusal{Index: 7}, errTest)
	var c comparison
	if a.k.mend(t.Context(), &c); !a.k.Sound() || a.k.Unread() {
		t.Error("it waits for what it has")
	}
}
