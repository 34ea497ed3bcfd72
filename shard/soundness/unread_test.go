package soundness

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/internal/wire"
)

var bad = fsm.Refusal{Index: 70, Term: 3, Sum: 9}

// refuses has replicas refuse an entry, as those do that cannot read it.
func (r ring) refuses(entry fsm.Refusal, ids ...string) {
	for _, id := range ids {
		r[id].with(func() { r[id].made[entry] = fsm.RefusedSame })
		r[id].k.Refused(entry, errTest)
	}
}

// run has every keeper work until the returned function is called.
func (r ring) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var over []chan struct{}
	for _, p := range r {
		done := make(chan struct{})
		over = append(over, done)
		go func() { p.k.Run(ctx); close(done) }()
	}
	return func() {
		cancel()
		for _, done := range over {
			<-done
		}
		r.close()
	}
}

// TestWhatNobodyCanReadIsSkipped when all have told so, and not asked about again.
func TestWhatNobodyCanReadIsSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRing("a", "b", "c")
		r.refuses(bad, "a", "b", "c")
		if r["a"].k.Sound() || !r["a"].k.Unread() || r["a"].k.Unsettled() != 1 {
			t.Error("it answers before it is settled")
		}
		stop := r.run()
		time.Sleep(time.Second)
		synctest.Wait()
		for id, p := range r {
			if !p.k.Sound() || p.k.Diverged() || p.skipped != 1 || p.refused != 1 || !slices.Equal(p.settled, []fsm.Refusal{bad}) {
				t.Errorf("%s: sound %v, settled %v", id, p.k.Sound(), p.settled)
			}
			if !slices.Contains(p.done, "settled") || p.k.Unanswered() != "" {
				t.Errorf("%s: did %v, %q", id, p.done, p.k.Unanswered())
			}
		}
		stop()
		a := r["a"]
		a.start() // and applies it once more
		if err := a.k.Recall(); err != nil {
			t.Fatal(err)
		}
		a.asked = nil
		a.k.Refused(bad, errTest)
		if !a.k.Sound() || len(a.asked) > 0 {
			t.Error("it asks again")
		}
		a.k.Close()
	})
}

// TestWhoIsAwayIsWaitedFor: it may have applied the entry.
func TestWhoIsAwayIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRing("a", "b", "c")
		r["c"].away = true
		r.refuses(bad, "a", "b", "c")
		stop := r.run()
		defer stop()
		time.Sleep(time.Minute)
		synctest.Wait()
		if r["a"].k.Sound() || r["a"].skipped > 0 || r["a"].k.Diverged() || !strings.Contains(r["a"].k.Unanswered(), "c") {
			t.Errorf("it goes on without an answer: %q", r["a"].k.Unanswered())
		}
		r["c"].with(func() { r["c"].away = false })
		time.Sleep(unreadPauseMost)
		synctest.Wait()
		if !r["a"].k.Sound() {
			t.Error("it still waits")
		}
	})
}

// TestWhoIsBehindIsWaitedFor until it has come to the entry.
func TestWhoIsBehindIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRing("a", "b", "c")
		r.refuses(bad, "a", "b") // c has not reached it
		stop := r.run()
		defer stop()
		time.Sleep(time.Minute)
		synctest.Wait()
		if r["a"].k.Sound() {
			t.Error("it goes on")
		}
		r.refuses(bad, "c")
		time.Sleep(unreadPauseMost)
		synctest.Wait()
		if !r["a"].k.Sound() || !r["c"].k.Sound() {
			t.Error("they still wait")
		}
	})
}

// TestOneCouldReadIt: then these bytes are wrong, whoever else has them, and the state is replaced.
func TestOneCouldReadIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRing("a", "b", "c")
		r["c"].made[bad] = fsm.NotRefused
		r["c"].data = "right"
		r.refuses(bad, "a", "b")
		stop := r.run()
		defer stop()
		time.Sleep(10 * compareEvery)
		synctest.Wait()
		for _, id := range []string{"a", "b"} {
			if p := r[id]; p.data != "right" || !p.k.Sound() || p.skipped > 0 || p.condemned != 1 {
				t.Errorf("%s: %q, sound %v, skipped %d, condemned %d", id, p.data, p.k.Sound(), p.skipped, p.condemned)
			}
		}
		if r["c"].condemned > 0 {
			t.Error("c was outvoted")
		}
	})
}

// TestNothingIsSkippedThatIsNotWrittenDown: a restart would have to ask again, and somebody may be gone then.
func TestNothingIsSkippedThatIsNotWrittenDown(t *testing.T) {
	r := newRing("a", "b", "c")
	defer r.close()
	r.refuses(bad, "a", "b", "c")
	r["a"].settleErr = errTest
	if r["a"].k.settleOne(t.Context(), bad) || r["a"].k.Sound() || r["a"].skipped > 0 {
		t.Error("it was skipped")
	}
	r["a"].settleErr = nil
	if !r["a"].k.settleOne(t.Context(), bad) || !r["a"].k.Sound() {
		t.Error("it was not")
	}
}

// TestUnreadAlone: what was logged since the start was not acknowledged, and is skipped; what was there
// at the start may have been, and ends the node.
func TestUnreadAlone(t *testing.T) {
	for opened, fatal := range map[uint64]int{bad.Index - 1: 0, bad.Index: 1} {
		a := newRing("a")["a"]
		a.opened = opened
		a.k.Refused(bad, errTest)
		for range 3 {
			a.k.settleOne(t.Context(), bad)
		}
		if len(a.fatal) != fatal || a.k.Sound() != (fatal == 0) {
			t.Errorf("opened with %d: sound %v, %v", opened, a.k.Sound(), a.fatal)
		}
		if fatal == 1 && !strings.Contains(fmt.Sprint(a.fatal), fmt.Sprintf("log entry %d cannot be read", bad.Index)) {
			t.Error(a.fatal)
		}
		a.k.Close()
	}
}

// TestUnreadOfAnotherState: what a state that was replaced could not read is no question any more.
func TestUnreadOfAnotherState(t *testing.T) {
	a := newRing("a", "b")["a"]
	a.k.Refused(bad, errTest)
	a.restores++
	later := fsm.Refusal{Index: 80, Term: 3, Sum: 1}
	a.k.Refused(later, errTest)
	if r, ok := a.k.unreads.keep(a.restores); !ok || r != later || a.k.Unsettled() != 1 {
		t.Errorf("%+v, %v, %d", r, ok, a.k.Unsettled())
	}
	if _, ok := a.k.unreads.keep(a.restores + 1); ok || !a.k.Sound() {
		t.Error("it waits for what is not in its state")
	}
}

// TestNotesFromAnUnreadEntryOn are neither told nor compared: nobody knows whether they are right. So two that
// cannot read an entry do not outvote one that has.
func TestNotesFromAnUnreadEntryOn(t *testing.T) {
	r := newRing("a", "b", "c")
	r.note(64, map[string]byte{"a": '+', "b": '+', "c": '+'})
	r.note(128, map[string]byte{"a": 'x', "b": 'x', "c": '+'})
	r.refuses(bad, "a", "b")
	for id, newest := range map[string]uint64{"a": 64, "b": 64, "c": 64} {
		if v, _ := r[id].k.Look(t.Context(), 0); v.Wrong || v.Index != newest || !v.Decided {
			t.Errorf("%s: %+v", id, v)
		}
	}
}

// TestWhatIsAnswered of an entry that another could not read: what is not known to be right counts as not reached.
func TestWhatIsAnswered(t *testing.T) {
	for _, c := range []struct {
		made  int
		sound bool
		want  int
	}{
		{fsm.NotReached, true, fsm.NotReached},
		{fsm.NotRefused, true, fsm.NotRefused},
		{fsm.NotRefused, false, fsm.NotReached},
		{fsm.RefusedSame, true, fsm.RefusedSame},
		{fsm.RefusedSame, false, fsm.RefusedSame},
		{fsm.RefusedOtherwise, true, fsm.NotRefused}, // it was settled, or this state has the others' of it
		{fsm.RefusedOtherwise, false, fsm.RefusedOtherwise},
	} {
		a := newRing("a", "b")["a"]
		a.made[bad] = c.made
		if !c.sound {
			a.k.Condemn("the test says so")
		}
		reply, err := a.k.Answer(AskMade, AppendRefusal(nil, bad))
		if got, _, _ := wire.CutUvarint(reply); err != nil || int(got) != c.want {
			t.Errorf("made %d, sound %v: %d, %v", c.made, c.sound, got, err)
		}
	}
	if _, err := newRing("a")["a"].k.Answer(AskMade, nil); !errors.Is(err, errMalformed) {
		t.Error(err)
	}
	if _, err := newRing("a")["a"].k.Answer(Question(9), nil); !errors.Is(err, errMalformed) {
		t.Error(err)
	}
}
