package detector

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// TestWhoYields is the table of answers to a replica that wants to lead.
func TestWhoYields(t *testing.T) {
	const base = 100 * time.Millisecond
	now := time.Hour
	own := Claim{Term: 3, LastTerm: 2, LastIndex: 10}
	type outlook struct {
		theirs   Claim
		state    raft.RaftState
		leader   string
		lasts    time.Duration
		gone     bool
		promised string
		until    time.Duration
		calling  bool
		self     string
	}
	good := outlook{theirs: own, state: raft.Follower, leader: "n1", lasts: base, self: "n2"}
	for name, c := range map[string]struct {
		change func(*outlook)
		want   bool
	}{
		"hears nothing either":              {func(*outlook) {}, true},
		"has heard the leader":              {func(o *outlook) { o.lasts = base - 1 }, false},
		"connection lost":                   {func(o *outlook) { o.gone, o.lasts = true, base/2 }, true},
		"connection just lost":              {func(o *outlook) { o.gone, o.lasts = true, base/2-1 }, false},
		"no leader":                         {func(o *outlook) { o.leader, o.gone = "", true }, true},
		"asked by the leader":               {func(o *outlook) { o.leader = "n3" }, false},
		"leads":                             {func(o *outlook) { o.state = raft.Leader }, false},
		"is about to lead":                  {func(o *outlook) { o.state, o.lasts = raft.Candidate, base-1 }, false},
		"campaigns in vain":                 {func(o *outlook) { o.state = raft.Candidate }, true},
		"shorter log":                       {func(o *outlook) { o.theirs.LastIndex-- }, false},
		"longer log":                        {func(o *outlook) { o.theirs.LastIndex++ }, true},
		"longer log of an older term":       {func(o *outlook) { o.theirs.LastIndex, o.theirs.LastTerm = 99, 1 }, false},
		"shorter log of a newer term":       {func(o *outlook) { o.theirs.LastIndex, o.theirs.LastTerm = 1, 3 }, true},
		"behind by a term":                  {func(o *outlook) { o.theirs.Term-- }, false},
		"has promised":                      {func(o *outlook) { o.promised, o.until = "n1", now+1 }, false},
		"has promised long ago":             {func(o *outlook) { o.promised, o.until = "n1", now }, true},
		"has promised the same":             {func(o *outlook) { o.promised, o.until = "n3", now+1 }, true},
		"calls itself, with a lesser name":  {func(o *outlook) { o.calling = true }, true},
		"calls itself, with a greater name": {func(o *outlook) { o.calling, o.self = true, "n4" }, false},
		"calls itself, with a shorter log":  {func(o *outlook) { o.calling, o.self, o.theirs.LastIndex = true, "n4", 11 }, true},
	} {
		o := good
		c.change(&o)
		d := &Detector{opt: Options{Self: o.self}, leader: o.leader, promised: o.promised, until: o.until, calling: o.calling,
			silence: silence{base: base, lasts: o.lasts}}
		got := d.yields("n3", o.theirs, own, o.state, o.gone, now)
		if got != c.want {
			t.Errorf("%s: %v", name, got)
		}
		if got && (d.promised != "n3" || d.until != now+base) {
			t.Errorf("%s: promised to %q until %v", name, d.promised, d.until)
		}
	}
}

// TestGone: what becomes of a leader that is not well, and how soon another is elected.
func TestGone(t *testing.T) {
	for name, c := range map[string]struct {
		happens  func(r ring)
		min, max time.Duration
	}{
		"it is well":         {func(ring) {}, 0, 0},
		"its process died":   {func(r ring) { r["a"].down = true }, heartbeat / 2, heartbeat + heartbeat/3},
		"it is silent":       {func(r ring) { r["a"].deaf = true }, heartbeat, 2*heartbeat + heartbeat/3},
		"it gives up":        {func(r ring) { r["a"].mute = true }, heartbeat / 2, heartbeat + heartbeat/3},
		"one is deaf":        {func(r ring) { r["b"].deaf = true }, 0, 0},
		"one is cut off":     {func(r ring) { r["b"].down = true }, 0, 0},
		"no majority left":   {func(r ring) { r["a"].down, r["b"].down = true, true }, 0, 0},
		"no vote, no leader": {func(r ring) { r["a"].down, r["b"].noVote, r["c"].noVote = true, true, true }, 0, 0},
	} {
		for range 20 { // limits are left to chance
			synctest.Test(t, func(t *testing.T) {
				r := newRing("a", "b", "c")
				r.pass(2 * time.Second)
				if n := r.campaigns(); n > 0 {
					t.Fatalf("%s: %d elections before", name, n)
				}
				r["a"].with(func() { c.happens(r) })
				began := time.Now()
				for r.campaigns() == 0 && time.Since(began) < 5*time.Second {
					r.pass(Step(heartbeat))
					synctest.Wait()
				}
				took := time.Since(began)
				if called := r.campaigns() > 0; called != (c.max > 0) || called && (took < c.min || took > c.max) {
					t.Errorf("%s: elected %v, after %v", name, called, took)
				}
				r.pass(2 * time.Second)
				if n := r.campaigns(); n > 1 {
					t.Errorf("%s: %d elections", name, n)
				}
				r.close()
			})
		}
	}
}

// TestWhoDoesNotCall though the leader is gone.
func TestWhoDoesNotCall(t *testing.T) {
	for name, given := range map[string]func(p *replica){
		"may not campaign": func(p *replica) { p.passive = true },
		"is no voter":      func(p *replica) { p.stranger = true },
		"has promised":     func(p *replica) { p.d.promised, p.d.until = "c", p.d.opt.Clock.Mono()+time.Hour },
		"is a candidate":   func(p *replica) { p.state = raft.Candidate },
		"has just called":  func(p *replica) { p.d.rest = p.d.opt.Clock.Mono() + time.Hour },
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRing("a", "b", "c")
			r.pass(time.Second)
			r["a"].with(func() {
				r["c"].passive, r["a"].down = true, true
				given(r["b"])
			})
			r.pass(5 * time.Second)
			if n := r.campaigns(); n > 0 {
				t.Errorf("%s: %d elections", name, n)
			}
			r.close()
		})
	}
}

// TestShorterLogWaits for the one that has everything, and votes for it.
func TestShorterLogWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRing("a", "b", "c")
		r["b"].last, r["b"].log[99] = 99, 2
		r.pass(time.Second)
		r["a"].with(func() { r["a"].down = true })
		r.pass(5 * time.Second)
		if r["b"].campaigns > 0 || r["c"].campaigns != 1 {
			t.Errorf("b campaigned %d times, c %d", r["b"].campaigns, r["c"].campaigns)
		}
		r.close()
	})
}

// TestMoreThanHalfMustAgree, the one that asks included.
func TestMoreThanHalfMustAgree(t *testing.T) {
	for would, want := range []bool{false, false, true, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRing("a", "b", "c", "d", "e")
			defer r.close()
			for i, id := range []string{"c", "d", "e"} {
				r[id].d.silence.lasts = 2 * heartbeat
				r[id].noVote = i >= would
			}
			if got := r["b"].d.Agree(r["b"].d.claim()); got != want {
				t.Errorf("%d others agree: %v", would, got)
			}
		})
	}
}

// TestLeaderIsAsked before it counts as gone; its word ends the silence.
func TestLeaderIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRing("a", "b", "c")
		r.pass(time.Second)
		if r["b"].asked > 0 {
			t.Error("it is asked while it is heard")
		}
		r["b"].contact = time.Time{}
		r["b"].leader = "a"
		b := r["b"]
		b.d.mu.Lock()
		b.d.silence.lasts = heartbeat * 2 / 3
		b.d.contact = b.contact
		b.d.mu.Unlock()
		b.d.Look()
		synctest.Wait()
		b.d.mu.Lock()
		defer b.d.mu.Unlock()
		if b.asked != 1 || b.d.silence.lasts != 0 || b.d.denied || b.d.asking {
			t.Errorf("asked %d times, silent for %v, denied %v", b.asked, b.d.silence.lasts, b.d.denied)
		}
	})
}

// TestMistakesAreLearnedFrom: a leader that was deposed, and turns out to have lived, was only slow.
func TestMistakesAreLearnedFrom(t *testing.T) {
	for name, c := range map[string]struct {
		connected, seen, learns, open bool
	}{
		"it died":                {false, false, false, false},
		"it has said nothing":    {true, false, false, true},
		"it lived":               {true, true, true, false},
		"it lived, and then not": {false, true, false, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRing("a", "b")
			defer r.close()
			d := r["b"].d
			at := time.Now()
			if c.seen {
				r["b"].seen["a"] = at.Add(1)
			}
			r["a"].down = !c.connected
			d.accused = accusation{leader: "a", at: at, lasted: 2 * heartbeat}
			d.mu.Lock()
			d.learn()
			d.mu.Unlock()
			if learned := d.silence.longest > 0; learned != c.learns || (d.accused.leader != "") != c.open {
				t.Errorf("%s: learned %v, still open %v", name, learned, d.accused.leader != "")
			}
		})
	}
}

// TestClaim: the term of the newest entry is in the log or, if that is empty, in the snapshot.
func TestClaim(t *testing.T) {
	p := newRing("a")["a"]
	if got := p.d.claim(); got != (Claim{Term: 3, LastTerm: 2, LastIndex: 100}) {
		t.Errorf("%+v", got)
	}
	clear(p.log)
	if got := p.d.claim(); got != (Claim{Term: 3, LastIndex: 100}) {
		t.Errorf("nothing is known: %+v", got)
	}
	p.snapshots = []*raft.SnapshotMeta{{Index: 100, Term: 1}}
	if got := p.d.claim(); got != (Claim{Term: 3, LastTerm: 1, LastIndex: 100}) {
		t.Errorf("from a snapshot: %+v", got)
	}
}

func TestAnswers(t *testing.T) {
	p := newRing("a", "b")["a"]
	for term, want := range map[byte]byte{2: 0, 3: 1, 4: 0} {
		if got, err := p.d.AnswerLeads([]byte{term}); err != nil || !slices.Equal(got, []byte{want}) {
			t.Errorf("term %d: %v, %v", term, got, err)
		}
	}
	whole := appendClaim(nil, Claim{Term: 1 << 40, LastTerm: 2, LastIndex: 300})
	if got, err := decodeClaim(whole); err != nil || got.LastIndex != 300 || got.Term != 1<<40 || got.LastTerm != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	bad := [][]byte{append(slices.Clone(whole), 0), appendClaim(nil, Claim{Term: maxNumber + 1})}
	for cut := range whole {
		bad = append(bad, whole[:cut])
	}
	for _, msg := range bad {
		if _, err := p.d.AnswerElection("b", msg); !errors.Is(err, errMalformed) {
			t.Errorf("%v: %v", msg, err)
		}
	}
	if _, err := p.d.AnswerLeads(nil); !errors.Is(err, errMalformed) {
		t.Error(err)
	}
}
