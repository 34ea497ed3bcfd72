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
	own := Reading{s.leader, s.truth() + s.off[s.leader].Milliseconds()}
	var others []Reading
	for n, off := range s.off {
		if n != s.leader && !s.down[n] {
			others = append(others, Reading{n, s.truth() + off.Milliseconds()})
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
