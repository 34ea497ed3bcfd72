package batch

import (
	"testing"
	"time"
)

// TestPacerFindsTheBetterChoice runs a pacer on a made-up machine on which
// waiting pays, then on one on which it does not.
func TestPacerFindsTheBetterChoice(t *testing.T) {
	now := time.Unix(0, 0)
	p := newPacer(func() time.Time { return now })
	run := func(perEntryWaiting, perEntryNot time.Duration, entries int) (units int) {
		for range entries {
			n, took := 25, perEntryNot
			if p.wait() > 0 {
				n, took = 50, perEntryWaiting
			}
			now = now.Add(took)
			p.logged(n)
			units += n
		}
		return units
	}
	const cycle = 2*tryEntries + keepEntries
	if units := run(2500*time.Microsecond, 2*time.Millisecond, 2*cycle); units < 2*cycle*45 {
		t.Errorf("%d units in %d entries: the pacer does not wait though it pays", units, 2*cycle)
	}
	run(5*time.Millisecond, 2*time.Millisecond, cycle)
	if units := run(5*time.Millisecond, 2*time.Millisecond, cycle); units > cycle*30 {
		t.Errorf("%d units in %d entries: the pacer waits though it costs", units, cycle)
	}
}
