package soundness

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/shard/readindex"
)

// TestOnlyTheMinorityIsCondemned: each judges itself, and only who is wrong goes out of service.
func TestOnlyTheMinorityIsCondemned(t *testing.T) {
	r := newRing("a", "b", "c")
	r.note(64, map[string]byte{"a": '+', "b": '+', "c": 'x'})
	for id, p := range r {
		p.k.Look(t.Context(), 0)
		if wrong := id == "c"; p.k.Diverged() != wrong || p.k.Sound() == wrong || (get(p, &p.condemned) == 1) != wrong {
			t.Errorf("%s: diverged is %v", id, p.k.Diverged())
		}
	}
	r["c"].k.Look(t.Context(), 0)
	if n := get(r["c"], &r["c"].condemned); n != 1 {
		t.Errorf("it went out of service %d times", n)
	}
}

// TestUndecided: without a majority it is told after a second round, since one may merely be behind, and
// it is over when a majority tells.
func TestUndecided(t *testing.T) {
	r := newRing("a", "b", "c")
	a := r["a"]
	r["c"].away = true
	r.note(64, map[string]byte{"a": '+', "b": 'x', "c": '+'})
	var c comparison
	for round, want := range []bool{false, true, true} {
		a.k.judgeSelf(t.Context(), &c)
		if a.k.Undecided() != want || a.k.Diverged() {
			t.Errorf("after round %d: undecided %v, diverged %v", round, a.k.Undecided(), a.k.Diverged())
		}
	}
	if a.compared != 64 || a.differing != 1 {
		t.Errorf("shown: %d differ at %d", a.differing, a.compared)
	}
	r["c"].with(func() { r["c"].away = false })
	a.k.judgeSelf(t.Context(), &c)
	if a.k.Undecided() || a.k.Diverged() {
		t.Errorf("undecided %v, diverged %v though a majority agrees", a.k.Undecided(), a.k.Diverged())
	}
}

// TestWhatHasAgreedIsNotAskedForAgain: an idle shard compares nothing, until its state is another one.
func TestWhatHasAgreedIsNotAskedForAgain(t *testing.T) {
	r := newRing("a", "b", "c")
	a := r["a"]
	r.note(64, map[string]byte{"a": '+', "b": '+', "c": '+'})
	var c comparison
	asked := func() int {
		before := len(a.asked)
		a.k.judgeSelf(t.Context(), &c)
		return len(a.asked) - before
	}
	if n := asked(); n != 2 {
		t.Errorf("%d were asked", n)
	}
	if n := asked(); n != 0 {
		t.Errorf("%d were asked for what has agreed", n)
	}
	r.note(128, map[string]byte{"a": '+', "b": '+', "c": '+'})
	if n := asked(); n != 2 {
		t.Errorf("%d were asked for a new note", n)
	}
	a.with(func() { a.restores++ })
	if n := asked(); n != 2 {
		t.Errorf("%d were asked after a restore", n)
	}
}

// TestAVerdictIsOnTheStateItWasMadeOf: a state that was replaced meanwhile is not condemned for the old one.
func TestAVerdictIsOnTheStateItWasMadeOf(t *testing.T) {
	r := newRing("a", "b", "c")
	a := r["a"]
	r.note(64, map[string]byte{"a": 'x', "b": '+', "c": '+'})
	r["c"].onNotes = func() { a.with(func() { a.restores++ }) }
	if v, _ := a.k.Look(t.Context(), 0); !v.Wrong {
		t.Errorf("%+v", v)
	}
	if a.k.Diverged() {
		t.Error("the new state was condemned")
	}
}

// TestAuditsOutweigh: the running notes agree, and what was read of the data does not.
func TestAuditsOutweigh(t *testing.T) {
	r := newRing("a", "b", "c")
	r.note(64, map[string]byte{"a": '+', "b": '+', "c": '+'})
	for id, data := range map[string]uint64{"a": 1, "b": 2, "c": 2} {
		r[id].k.audits.add(0, fsm.Note{Index: 70, Data: data})
	}
	var c comparison
	r["b"].k.judgeSelf(t.Context(), &c)
	if r["b"].compared != 70 || r["b"].differing != 1 || r["b"].k.Diverged() {
		t.Errorf("b shows %d at %d", r["b"].differing, r["b"].compared)
	}
	r["a"].k.judgeSelf(t.Context(), &c)
	if !r["a"].k.Diverged() {
		t.Error("a takes itself for right")
	}
}

// TestNotesOfAnotherFormat are not compared.
func TestNotesOfAnotherFormat(t *testing.T) {
	r := newRing("a")
	if _, err := r["a"].k.Answer(AskNotes, []byte{fsm.NoteFormat + 1, 0, 0}); !errors.Is(err, errNoteFormat) {
		t.Error(err)
	}
	for _, msg := range [][]byte{nil, {fsm.NoteFormat}, {fsm.NoteFormat, 0, 0x80}} {
		if _, err := r["a"].k.Answer(AskNotes, msg); !errors.Is(err, errMalformed) {
			t.Errorf("%v: %v", msg, err)
		}
	}
}

// TestOneAloneIsNotCondemned: there is nobody to be rebuilt from.
func TestOneAloneIsNotCondemned(t *testing.T) {
	a := newRing("a")["a"]
	if a.k.Condemn("a test"); a.k.Diverged() {
		t.Error("it answers nothing any more")
	}
}

func TestVerify(t *testing.T) {
	for name, c := range map[string]struct {
		notes map[string]byte
		given func(r ring)
		want  error
	}{
		"all have the same":        {map[string]byte{"a": '+', "b": '+', "c": '+'}, nil, nil},
		"a majority has":           {map[string]byte{"a": '+', "b": '+', "c": 'x'}, nil, nil},
		"the majority has another": {map[string]byte{"a": 'x', "b": '+', "c": '+'}, nil, readindex.ErrDiverged},
		"nobody answers":           {map[string]byte{"a": '+', "b": '+', "c": '+'}, func(r ring) { r["b"].away, r["c"].away = true, true }, ErrUnverified},
		"no majority tells":        {map[string]byte{"a": '+', "b": 'x'}, func(r ring) { r["c"].away = true }, ErrUnverified},
		"the others are behind":    {map[string]byte{"a": '+'}, nil, ErrUnverified},
		"no note is made":          {nil, nil, ErrUnverified},
		"an entry is unsettled": {map[string]byte{"a": '+', "b": '+', "c": '+'}, func(r ring) { r["a"].k.Refused(fsm.Refusal{Index: 60}, errAway) },
			readindex.ErrDiverged},
		"nobody is to be asked": {nil, func(r ring) { r["a"].k.opt.Unverified = true }, nil},
		"there is nobody else":  {nil, func(r ring) { delete(r, "b"); delete(r, "c") }, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRing("a", "b", "c")
			r.note(64, c.notes)
			if c.given != nil {
				c.given(r)
			}
			began := time.Now()
			err := r["a"].k.Verify(60)
			if took := time.Since(began); !errors.Is(err, c.want) || took > verifyTimeout {
				t.Errorf("%s: %v after %v", name, err, took)
			}
			if asked := slices.Contains(r["a"].done, "nothing"); asked != (name == "no note is made") {
				t.Errorf("%s: did %v", name, r["a"].done)
			}
		})
	}
}

// TestVerifyTakesNoOlderNote: what a majority had before says nothing of the state that is written.
func TestVerifyTakesNoOlderNote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRing("a", "b", "c")
		r.note(64, map[string]byte{"a": '+', "b": '+', "c": '+'})
		if err := r["a"].k.Verify(64); !errors.Is(err, ErrUnverified) {
			t.Error(err)
		}
	})
}

// TestCloseEndsVerify: a node that stops waits for nobody.
func TestCloseEndsVerify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRing("a", "b", "c")
		time.AfterFunc(time.Second, r["a"].k.Close)
		began := time.Now()
		if err := r["a"].k.Verify(64); err == nil || time.Since(began) > time.Second+verifyPause {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestNoteWait(t *testing.T) {
	w, now := NoteWait{}, time.Hour
	for i, c := range []struct {
		newest uint64
		due    bool
		passes time.Duration
		want   bool
	}{
		{64, true, 0, false},                  // a change
		{64, true, noteAfter - 1, false},      // not yet
		{64, true, 1, true},                   // long enough
		{64, true, noteAfter - 1, false},      // it was asked for a moment ago
		{64, true, 1, true},                   // and did not come
		{128, true, noteAfter, false},         // it came, and there is another change
		{128, false, noteAfter, false},        // noted
		{128, true, noteAfter, false},         // a change again, from now on
		{128, true, noteAfter, true},          // which stays
		{128, false, 10 * noteAfter, false},   // an idle shard logs nothing
		{128, false, 1000 * noteAfter, false}, // ever
	} {
		now += c.passes
		if got := w.over(c.newest, c.due, now); got != c.want {
			t.Errorf("step %d: %v", i, got)
		}
	}
}

// TestOnlyALeaderAsksForNotes, and only if there is anybody to compare with.
func TestOnlyALeaderAsksForNotes(t *testing.T) {
	for name, c := range map[string]struct {
		ids     []string
		serving bool
		want    bool
	}{
		"leader":   {[]string{"a", "b"}, true, true},
		"follower": {[]string{"a", "b"}, false, false},
		"alone":    {[]string{"a"}, true, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			a := newRing(c.ids...)["a"]
			a.serving, a.unnoted = c.serving, true
			var w NoteWait
			a.k.KeepNoted(&w)
			time.Sleep(noteAfter)
			if asked := a.k.KeepNoted(&w); asked != c.want || slices.Contains(a.done, "note") != c.want {
				t.Errorf("%s: %v, did %v", name, asked, a.done)
			}
		})
	}
}

// TestReplicaThatIsWrongGetsRight: from the comparing on, by the keeper's own goroutines.
func TestReplicaThatIsWrongGetsRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRing("a", "b", "c")
		r["a"].data, r["b"].data, r["c"].data = "wrong", "right", "right"
		r.note(64, map[string]byte{"a": 'x', "b": '+', "c": '+'})
		ctx, stop := context.WithCancel(t.Context())
		over := make(chan struct{})
		go func() { r["a"].k.Run(ctx); close(over) }()
		time.Sleep(2 * compareEvery)
		synctest.Wait()
		if a := r["a"]; a.data != "right" || !a.k.Sound() || a.diverged || a.condemned != 1 {
			t.Errorf("%q, sound %v, did %v", a.data, a.k.Sound(), a.done)
		}
		stop()
		<-over
		for _, p := range r {
			p.k.Close()
		}
	})
}
