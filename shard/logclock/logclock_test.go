package logclock

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

const (
	day = 24 * time.Hour
	t0  = int64(1_700_000_000_000)
)

// sim is a leader among voters whose clocks can be wrong.
type sim struct {
	c      Clock
	mono   time.Duration
	off    map[string]time.Duration // of each node's wall clock from true time
	down   map[string]bool
	leader string
}

func newSim(leader string, nodes ...string) *sim {
	s := &sim{leader: leader, off: map[string]time.Duration{}, down: map[string]bool{}}
	for _, n := range nodes {
		s.off[n] = 0
	}
	return s
}

func (s *sim) truth() int64 { return t0 + s.mono.Milliseconds() }

func (s *sim) agreement() Agreement {
	own := Reading{Node: s.leader, Wall: s.truth() + s.off[s.leader].Milliseconds()}
	var others []Reading
	for n, off := range s.off {
		if n != s.leader && !s.down[n] {
			others = append(others, Reading{Node: n, Wall: s.truth() + off.Milliseconds()})
		}
	}
	return Agree(own, others, len(s.off), DefaultTolerance)
}

// pass lets time pass, with an adjustment now and then.
func (s *sim) pass(d time.Duration) {
	for until := s.mono + d; s.mono < until; {
		s.mono += 250 * time.Millisecond
		s.c.Adjust(s.mono, s.agreement())
	}
}

func (s *sim) errorOf() time.Duration {
	return time.Duration(s.c.Now(s.mono).Wall-s.truth()) * time.Millisecond
}

func TestOneBadClockMovesNothing(t *testing.T) {
	for _, other := range []string{"up", "down"} {
		for _, bad := range []time.Duration{day, -day, 2 * time.Second, -2 * time.Second} {
			t.Run(other+" "+bad.String(), func(t *testing.T) {
				s := newSim("n1", "n1", "n2", "n3")
				s.c.Start(s.mono, Stamp{Wall: t0, Mono: 7}, 0)
				s.pass(5 * time.Second)
				s.down["n3"] = other == "down"
				s.off["n1"] = bad
				s.pass(60 * time.Second)
				if e := s.errorOf(); e.Abs() > DefaultTolerance {
					t.Errorf("the log's clock is off by %v", e)
				}
				s.off["n1"] = 0 // set right again
				before := s.c.Now(s.mono)
				s.pass(10 * time.Second)
				after := s.c.Now(s.mono)
				if passed := after.Wall - before.Wall; passed < 9000 || passed > 11000 {
					t.Errorf("the log's clock moved %d ms in 10 s", passed)
				}
				if passed := after.Mono - before.Mono; passed != 10000 {
					t.Errorf("the monotonic clock moved %d ms in 10 s", passed)
				}
			})
		}
	}
}

func TestClockThatIsAheadDoesNotStandStill(t *testing.T) {
	s := newSim("n1", "n1", "n2", "n3")
	s.c.Start(s.mono, Stamp{Wall: t0 + day.Milliseconds()}, 0)
	before := s.c.Now(s.mono)
	s.pass(10 * time.Second)
	if passed := s.c.Now(s.mono).Wall - before.Wall; passed < 8900 || passed > 9300 {
		t.Errorf("a clock that is a day ahead moved %d ms in 10 s, want 9000", passed)
	}
}

func TestStepWhenAQuorumAgrees(t *testing.T) {
	s := newSim("n1", "n1", "n2", "n3")
	s.c.Start(s.mono, Stamp{Wall: t0}, 0)
	for n := range s.off {
		s.off[n] = 5 * time.Second
	}
	s.pass(250 * time.Millisecond)
	if e := s.errorOf(); (e - 5*time.Second).Abs() > 10*time.Millisecond {
		t.Errorf("off by %v after all clocks were set 5 s ahead", e)
	}
	for n := range s.off {
		s.off[n] = 0
	}
	before := s.c.Now(s.mono).Wall
	s.pass(60 * time.Second)
	if passed := s.c.Now(s.mono).Wall - before; passed < 53000 || passed > 57000 {
		t.Errorf("moved %d ms in 60 s after all clocks were set 5 s back: it should run slower until it is right", passed)
	}
	if e := s.errorOf(); e.Abs() > 20*time.Millisecond {
		t.Errorf("off by %v in the end", e)
	}
}

func TestFirstLeaderTakesTheQuorumsTime(t *testing.T) {
	s := newSim("n1", "n1", "n2", "n3")
	s.off["n1"] = day
	s.c.Start(s.mono, Stamp{}, time.Hour)
	s.c.Adjust(s.mono, s.agreement())
	if e := s.errorOf(); e.Abs() > time.Millisecond {
		t.Errorf("off by %v", e)
	}
	s = newSim("n1", "n1", "n2", "n3")
	s.off["n1"], s.down["n3"] = day, true
	s.c.Start(s.mono, Stamp{}, 0)
	s.c.Adjust(s.mono, s.agreement())
	if e := s.errorOf(); e.Abs() > time.Millisecond {
		t.Errorf("off by %v: without agreement the earliest clock is taken", e)
	}
}

func TestClockGoesOnFromTheNewestEntry(t *testing.T) {
	var c Clock
	if got := c.Now(time.Hour); got != (Stamp{}) {
		t.Errorf("%+v before the start", got)
	}
	c.Start(time.Hour, Stamp{Wall: t0, Mono: 50}, 1500*time.Millisecond)
	if got, want := c.Now(time.Hour+time.Second), (Stamp{Wall: t0 + 2500, Mono: 2550}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestClockKeepsItsBounds: whatever clocks do, the log's wall clock never goes back,
// runs at 0.9 to 1.1 unless a quorum with this node agrees on a step, and comes to
// what the quorum says when that lasts.
func TestClockKeepsItsBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes := []string{"n1", "n2", "n3", "n4", "n5"}[:rapid.SampledFrom([]int{1, 3, 5}).Draw(t, "voters")]
		s := newSim("n1", nodes...)
		s.c.Start(s.mono, Stamp{Wall: t0}, 0)
		offset := rapid.SampledFrom([]time.Duration{0, 0, 0, 100 * time.Millisecond, -100 * time.Millisecond, time.Second, -time.Second, 5 * time.Second, day, -day})
		last := s.c.Now(s.mono)
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			node := rapid.SampledFrom(nodes).Draw(t, "node")
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				s.off[node] = offset.Draw(t, "offset")
			case 1:
				s.down[node] = node != "n1" && !s.down[node]
			}
			d := time.Duration(rapid.IntRange(1, 2000).Draw(t, "ms")) * time.Millisecond
			s.mono += d
			now := s.c.Now(s.mono)
			passed := time.Duration(now.Wall-last.Wall) * time.Millisecond
			if passed < d*9/10-2*time.Millisecond || passed > d*11/10+2*time.Millisecond || now.Mono-last.Mono > d.Milliseconds()+1 || now.Mono-last.Mono < d.Milliseconds()-1 {
				t.Fatalf("%v passed, the log's clock moved %v and %d ms", d, passed, now.Mono-last.Mono)
			}
			a := s.agreement()
			stepped := s.c.Adjust(s.mono, a)
			last = s.c.Now(s.mono)
			if last.Wall < now.Wall || last.Mono != now.Mono {
				t.Fatalf("an adjustment moved the clock from %+v to %+v", now, last)
			}
			if stepped > 0 && !(a.Known && a.Member) {
				t.Fatal("a step that no quorum with this node agrees on")
			}
			if last.Wall > now.Wall && stepped == 0 {
				t.Fatal("a step that was not told")
			}
		}
		clear(s.down)
		for n := range s.off {
			s.off[n] = 0
		}
		if e := s.errorOf(); e > 10*time.Second {
			return // runs at 0.9 for as long as it takes
		}
		s.pass(200 * time.Second)
		if e := s.errorOf(); e.Abs() > 20*time.Millisecond {
			t.Fatalf("off by %v in the end", e)
		}
	})
}

func TestResumedClockTakesAnyStepForward(t *testing.T) {
	s := newSim("n1", "n1", "n2", "n3")
	s.mono = 10 * time.Second
	s.c.Start(s.mono, Stamp{Wall: s.truth() - 300}, 0)
	s.c.Resume(s.mono, s.agreement())
	if e := s.errorOf(); e.Abs() > time.Millisecond {
		t.Errorf("off by %v", e)
	}
	s.c.Start(s.mono, Stamp{Wall: s.truth() + 300}, 0)
	s.c.Resume(s.mono, s.agreement())
	if e := s.errorOf(); e != 300*time.Millisecond {
		t.Errorf("off by %v: it must not go back", e)
	}
	s.off["n1"], s.down["n3"] = day, true
	s.c.Start(s.mono, Stamp{Wall: s.truth()}, 0)
	s.c.Resume(s.mono, s.agreement())
	if e := s.errorOf(); e.Abs() > time.Millisecond {
		t.Errorf("off by %v without agreement", e)
	}
}

// readings are those of n1, which is exact, n2 and n3.
func readings(own, wall2 int64, error2 time.Duration, wall3 int64, error3 time.Duration) (Reading, []Reading) {
	return Reading{Node: "n1", Wall: t0 + own}, []Reading{
		{Node: "n2", Wall: t0 + wall2, Error: error2}, {Node: "n3", Wall: t0 + wall3, Error: error3},
	}
}

// TestErrorsOfReadings: what an error can explain is no difference, and what it hides is no
// agreement. n1 is exact, its tolerance 500 ms.
func TestErrorsOfReadings(t *testing.T) {
	const ms = time.Millisecond
	for name, tc := range map[string]struct {
		own, wall2       int64
		error2           time.Duration
		wall3            int64
		error3           time.Duration
		known, member    bool
		off              bool
		outside          int
		earliest         int64
		errorOfAgreement time.Duration
	}{
		"exact":                       {0, 100, 0, 200, 0, true, true, false, 0, 0, 0},
		"exact, own is off":           {0, 900, 0, 950, 0, true, false, true, 1, 0, 0},
		"starved":                     {0, 989, 900 * ms, 989, 900 * ms, false, false, false, 0, 0, 0},
		"an error can explain it":     {0, 989, 495 * ms, 989, 495 * ms, true, false, false, 0, 0, 495 * ms},
		"an error cannot explain it":  {0, 1100, 400 * ms, 1100, 400 * ms, true, false, true, 1, 0, 400 * ms},
		"off by a day, others vague":  {86400000, 0, 600 * ms, 0, 600 * ms, false, false, false, 0, -600, 0},
		"off by a day, others rough":  {86400000, 0, 450 * ms, 0, 450 * ms, true, false, true, 1, -450, 450 * ms},
		"a vague one makes no quorum": {0, 0, 501 * ms, 2000, 0, false, false, false, 1, -501, 0},
		"one is off, the other vague": {0, 3000, 100 * ms, 0, 501 * ms, false, false, false, 1, -501, 0},
		"two agree, the third vague":  {0, 10, 5 * ms, 3000, 600 * ms, true, true, false, 0, 0, 0},
	} {
		own, others := readings(tc.own, tc.wall2, tc.error2, tc.wall3, tc.error3)
		a := Agree(own, others, 3, 500*ms)
		if a.Known != tc.known || a.Member != tc.member || a.Off != tc.off || len(a.Outside) != tc.outside ||
			a.Earliest-t0 != tc.earliest || a.Error != tc.errorOfAgreement {
			t.Errorf("%s: %+v, earliest %d", name, a, a.Earliest-t0)
		}
	}
}

// TestAnErrorMovesNoClockForward: the log's clock steps over what is certain alone.
func TestAnErrorMovesNoClockForward(t *testing.T) {
	const rough = 400 * time.Millisecond
	all := func(wall int64, e time.Duration) Agreement {
		a := Agree(Reading{Node: "n1", Wall: t0 + wall, Error: e},
			[]Reading{{Node: "n2", Wall: t0 + wall, Error: e}, {Node: "n3", Wall: t0 + wall, Error: e}}, 3, DefaultTolerance)
		return a
	}
	var c Clock
	c.Start(0, Stamp{Wall: t0}, 0)
	if by := c.Adjust(0, all(800, rough)); by != 0 {
		t.Errorf("a step by %v, of which 400 ms may be an error", by)
	}
	if by := c.Resume(0, all(300, rough)); by != 0 {
		t.Errorf("a new leader's step by %v, which may be an error", by)
	}
	if by := c.Adjust(0, all(1000, rough)); by != time.Second {
		t.Errorf("a step by %v, want 1s", by)
	}
}

// TestErrorsNeverMakeAgreement: with errors no more is agreed, and nobody is off, that would
// not be by the true clocks of some cluster these readings are of.
func TestErrorsNeverMakeAgreement(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		voters := rapid.SampledFrom([]int{3, 5}).Draw(t, "voters")
		wall := rapid.Int64Range(-1500, 1500)
		draw := func(i int) (exact, rough Reading) {
			exact = Reading{Node: string(rune('a' + i)), Wall: t0 + wall.Draw(t, "wall")}
			rough = exact
			rough.Error = time.Duration(rapid.Int64Range(0, 900).Draw(t, "error")) * time.Millisecond
			rough.Wall += rapid.Int64Range(-rough.Error.Milliseconds(), rough.Error.Milliseconds()).Draw(t, "by")
			return exact, rough
		}
		own, _ := draw(0)
		var exact, rough []Reading
		for i := 1; i < voters; i++ {
			e, r := draw(i)
			exact, rough = append(exact, e), append(rough, r)
		}
		a := Agree(own, rough, voters, DefaultTolerance)
		for _, r := range a.Outside {
			i := int(r.Node[0] - 'a')
			truth := own
			if i > 0 {
				truth = exact[i-1]
			}
			if far := max(truth.Wall-own.Wall, own.Wall-truth.Wall); !a.Known && far <= DefaultTolerance.Milliseconds() {
				t.Fatalf("%s counts as off by %d ms", r.Node, far)
			}
		}
		for i := range rough {
			if rough[i].Error > DefaultTolerance {
				rough[i].Wall, rough[i].Error = own.Wall, 0 // nearest to agreeing
			}
		}
		if b := Agree(own, rough, voters, DefaultTolerance); a.Known && a.Member && !b.Known {
			t.Fatal("unknown clocks agreed")
		}
		if truth := Agree(own, exact, voters, DefaultTolerance); a.Off && truth.Known && truth.Member && len(truth.Outside) == 0 {
			t.Fatal("off, though all true clocks agree")
		}
	})
}
