package transport

import (
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/internal/clock"
)

// A reading is exact to half the round trip, by the clock that it is extrapolated with.
func TestTheErrorOfAClockReading(t *testing.T) {
	c := clock.NewManual(1_700_000_000_000)
	p, on := &peer{t: &Transport{clock: c}}, new(conn)
	probed := func(id uint64, took time.Duration) (h Health) {
		p.clock.sent = probe{conn: on, id: id, mono: c.Mono()}
		c.Advance(took)
		p.pong(on, id, c.WallMillis()) // the answer took no time back: as wrong as it can be
		p.clock.read(&h, c)
		return h
	}
	h := probed(1, 800*time.Millisecond)
	if h.RTT != 800*time.Millisecond || h.ClockError != 400*time.Millisecond || h.ClockAt != c.Mono() {
		t.Errorf("%+v", h)
	}
	if h.ClockOffset.Abs() > h.ClockError {
		t.Errorf("off by %v, more than its error %v", h.ClockOffset, h.ClockError)
	}
	if h = probed(2, 2*time.Millisecond); h.ClockError != time.Millisecond {
		t.Errorf("the quickest probe of two is not taken: %+v", h)
	}
	for id := uint64(3); id < 3+clockSamples; id++ {
		h = probed(id, 100*time.Millisecond)
	}
	if h.ClockError != 50*time.Millisecond {
		t.Errorf("an old probe still counts: %+v", h)
	}
}
