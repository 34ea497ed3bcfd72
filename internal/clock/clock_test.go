package clock

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestSystemClock(t *testing.T) {
	c := System()
	before := time.Now()
	wall := c.WallMillis()
	if after := time.Now(); wall < before.UnixMilli()-1000 || wall > after.UnixMilli()+1000 {
		t.Fatalf("wall clock says %d, it is %d to %d", wall, before.UnixMilli(), after.UnixMilli())
	}
	before = time.Now()
	startMono := c.Mono()
	start := time.Now()
	last := startMono
	for range 10_000 {
		now := c.Mono()
		if now < last {
			t.Fatalf("monotonic clock ran backwards: %v after %v", now, last)
		}
		last = now
	}
	least := time.Since(start)
	ran := c.Mono() - startMono
	if most := time.Since(before); ran > most+50*time.Millisecond || ran < least-50*time.Millisecond {
		t.Fatalf("monotonic clock ran %v in %v to %v", ran, least, most)
	}
}

func TestManualClock(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wall := rapid.Int64Range(0, 1<<42).Draw(t, "wall")
		m, mono := NewManual(wall), time.Duration(0)
		for range rapid.IntRange(0, 20).Draw(t, "steps") {
			millis := rapid.Int64Range(0, 1<<20).Draw(t, "millis")
			d := time.Duration(millis) * time.Millisecond
			if rapid.Bool().Draw(t, "advance") {
				m.Advance(d)
				wall, mono = wall+millis, mono+d
			} else {
				m.StepWall(-d)
				wall -= millis
			}
			if m.WallMillis() != wall || m.Mono() != mono {
				t.Fatalf("clock at %d, %v; want %d, %v", m.WallMillis(), m.Mono(), wall, mono)
			}
		}
	})
}

func TestAdvanceRefusesToRunBackwards(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("Advance took a negative duration")
		}
	}()
	NewManual(0).Advance(-1)
}

func TestSkewedClock(t *testing.T) {
	base := NewManual(1_000_000)
	base.Advance(time.Hour)
	c := Skewed(base, -700*time.Millisecond, 2)
	mono := c.Mono()
	if got := c.WallMillis() - base.WallMillis(); got != -700 {
		t.Fatalf("offset %d ms", got)
	}
	base.Advance(time.Second)
	if got := c.Mono() - mono; got != 2*time.Second {
		t.Fatalf("a clock of double speed ran %v in a second", got)
	}
	if got := c.WallMillis() - base.WallMillis(); got != 300 {
		t.Fatalf("offset %d ms after a second", got)
	}
}
