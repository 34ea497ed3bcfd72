package compact

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestWriterOfSnapshotRests(t *testing.T) {
	const usual = 2 * time.Millisecond
	var r rests
	for i, step := range []struct{ busy, slowest, want time.Duration }{
		{30 * time.Millisecond, usual, 30 * time.Millisecond}, // half of the disk's time
		{30 * time.Millisecond, leastSlowFlush, 30 * time.Millisecond},
		{30 * time.Millisecond, leastSlowFlush + 1, 60 * time.Millisecond},
		{30 * time.Millisecond, 100 * time.Millisecond, 120 * time.Millisecond},
		{0, 100 * time.Millisecond, 80 * time.Millisecond}, // the page cache took it at once
		{500 * time.Millisecond, 100 * time.Millisecond, mostRest},
		{30 * time.Millisecond, usual, 30 * time.Millisecond},
	} {
		if got := r.after(step.busy, step.slowest, usual); got != step.want {
			t.Errorf("step %d: rests %v, want %v", i, got, step.want)
		}
	}
	// A disk that is slow at all times is not slower than usual.
	if got := r.after(time.Millisecond, 60*time.Millisecond, 20*time.Millisecond); got != time.Millisecond {
		t.Errorf("on a slow disk: %v", got)
	}
}

// TestPace: the writer rests as long as the disk was busy, waits for a flush that hangs, and for none when the
// log has grown too long.
func TestPace(t *testing.T) {
	for name, c := range map[string]struct {
		given func(p *replica)
		want  time.Duration
	}{
		"the disk is well":    {func(*replica) {}, 30 * time.Millisecond},
		"flushes are slow":    {func(p *replica) { p.slowest = 100 * time.Millisecond }, 60 * time.Millisecond},
		"one hangs":           {func(p *replica) { p.hangs = time.Second }, 30*time.Millisecond + waitForFlush},
		"slow, and much log":  {func(p *replica) { p.slowest, p.log = time.Second, 2*threshold }, 30 * time.Millisecond},
		"hangs, and much log": {func(p *replica) { p.hangs, p.log = time.Second, 2*threshold }, 30 * time.Millisecond},
		"hangs no longer":     {func(p *replica) { p.hangs = leastSlowFlush }, 30 * time.Millisecond},
		"hangs for a while yet": {func(p *replica) {
			p.hangs = time.Second
			time.AfterFunc(time.Second, func() { p.with(func() { p.hangs = 0 }) })
		}, time.Second},
		"the node stops": {func(p *replica) { p.hangs = time.Second; time.AfterFunc(time.Second, p.c.Close) }, time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newReplica()
			c.given(p)
			began := time.Now()
			p.c.Pace(30 * time.Millisecond)
			if took := time.Since(began); took < c.want || took > c.want+hangPoll || p.paused != took {
				t.Errorf("%s: %v, want %v; shown %v", name, took, c.want, p.paused)
			}
		})
	}
}
