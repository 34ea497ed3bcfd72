package detector

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

const silenceBase = 300 * time.Millisecond

func chanceOf(v float64) func() float64 { return func() float64 { return v } }

func newSilence() *silence { return &silence{base: silenceBase, step: silenceBase / 6} }

// pass lets time pass, a step at a time.
func (s *silence) pass(d time.Duration) {
	for ; d > 0; d -= s.step {
		s.tick(s.ticked+s.step, false, chanceOf(0))
	}
}

// TestSleeperHasNotListened: time in which this process did not run is no silence of
// the leader.
func TestSleeperHasNotListened(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSilence()
		s.tick(time.Hour, true, chanceOf(0))
		awake := time.Duration(0)
		for range rapid.IntRange(1, 50).Draw(t, "ticks") {
			gap := time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "gap"))
			awake += min(gap, 2*s.step)
			s.tick(s.ticked+gap, false, chanceOf(0))
		}
		if s.lasts != awake {
			t.Fatalf("%v of silence in %v awake", s.lasts, awake)
		}
		if s.tick(s.ticked+time.Minute, true, chanceOf(0)); s.lasts != 0 {
			t.Fatalf("%v of silence after a sign of life", s.lasts)
		}
	})
}

// TestLimitsOfSilence: half to all of the heartbeat timeout when nobody can be heard, once
// to twice otherwise.
func TestLimitsOfSilence(t *testing.T) {
	for _, c := range []struct {
		gone   bool
		chance float64
		limit  time.Duration
	}{{true, 0, silenceBase / 2}, {true, 1, silenceBase}, {false, 0, silenceBase}, {false, 1, 2 * silenceBase}} {
		s := newSilence()
		s.tick(time.Hour, true, chanceOf(c.chance))
		if s.lasts = c.limit - 1; s.tooLong(c.gone) {
			t.Errorf("gone %v, chance %v: too long before %v", c.gone, c.chance, c.limit)
		}
		if s.lasts = c.limit; !s.tooLong(c.gone) {
			t.Errorf("gone %v, chance %v: not too long at %v", c.gone, c.chance, c.limit)
		}
	}
}

// TestOnePauseIsAnAccidentTwoAreAPattern, and what was learned is forgotten.
func TestOnePauseIsAnAccidentTwoAreAPattern(t *testing.T) {
	s := newSilence()
	s.tick(time.Hour, true, chanceOf(0))
	pauses := func(d time.Duration) time.Duration {
		s.pass(d)
		s.tick(s.ticked+s.step, true, chanceOf(0))
		return s.least(false)
	}
	for _, c := range []struct{ lasts, limit time.Duration }{
		{250 * time.Millisecond, 300 * time.Millisecond}, // as expected
		{850 * time.Millisecond, 300 * time.Millisecond},
		{550 * time.Millisecond, 900 * time.Millisecond},
		{3 * time.Second, 1275 * time.Millisecond},
		{3 * time.Second, 2250 * time.Millisecond}, // at most Raft's own, and half of that
	} {
		if got := pauses(c.lasts); got > c.limit*11/10 || got < c.limit*9/10 {
			t.Errorf("after a pause of %v: %v, want %v", c.lasts, got, c.limit)
		}
	}
	for range 3 * 60 * 20 * 2 {
		s.tick(s.ticked+s.step, true, chanceOf(0))
	}
	if got := s.least(false); got != silenceBase {
		t.Errorf("six minutes later: %v", got)
	}
	if got := s.least(true); got != silenceBase/2 {
		t.Errorf("a lost connection has no patience: %v", got)
	}
}
