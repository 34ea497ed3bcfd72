package batch

import "time"

// pacer decides how long the packer waits for the clients that it just answered
// before it logs the next entry.
//
// With closed-loop clients two half-full batches tend to alternate: while one
// half's entry is on disk, the other half's commands wait, and so on for ever.
// Waiting until both halves are there saves every second flush, but costs the
// time that the clients take to come back. Which is better depends on the disk,
// the processors and the clients, and no model of them is as good as trying: the
// pacer measures the throughput of a short run of entries with and without
// waiting, keeps the better for a longer one, and tries again.
type pacer struct {
	choice  int        // index into patiences
	left    int        // entries to go before the next decision
	trying  bool       // measuring, as opposed to using the better choice
	units   int        // in this run
	started time.Time  // of this run
	rates   [2]float64 // units per second, as last measured
	now     func() time.Time
}

const (
	// patience bounds the wait, whatever else is expected.
	patience = time.Millisecond
	// tryEntries is the length of a measurement, keepEntries that of a run
	// with the better choice.
	tryEntries  = 96
	keepEntries = 20 * tryEntries
	// worthwhile is by how much waiting must be better: it costs latency.
	worthwhile = 1.05
)

func newPacer(now func() time.Time) *pacer {
	return &pacer{trying: true, left: tryEntries, started: now(), now: now}
}

// wait returns how long to wait for more.
func (p *pacer) wait() time.Duration {
	if p.choice == 0 {
		return 0
	}
	return patience
}

// logged counts an entry.
func (p *pacer) logged(units int) {
	p.units += units
	if p.left--; p.left > 0 {
		return
	}
	now := p.now()
	if elapsed := now.Sub(p.started).Seconds(); elapsed > 0 {
		p.rates[p.choice] = float64(p.units) / elapsed
	}
	p.units, p.started = 0, now
	switch {
	case p.trying && p.choice == 0: // now the other one
		p.choice, p.left = 1, tryEntries
	case p.trying:
		p.trying, p.left, p.choice = false, keepEntries, 0
		if p.rates[1] > p.rates[0]*worthwhile {
			p.choice = 1
		}
	default:
		p.trying, p.left, p.choice = true, tryEntries, 0
	}
}
