package workload

import (
	"context"
	"fmt"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/check"
	"github.com/lockstepkv/lockstep/jepsen/history"
)

// hot reads one counter on every node as fast as it can, while two clients
// increment it. What a read may not be older than changes with every answer to
// anybody: a read that goes back by one entry, for a millisecond, is seen here and
// hardly ever by workloads on many keys. Another client has one node after the other
// search all keys, which holds up the state machine there and nowhere else.
type hot struct {
	counter
	filled int // by worker hotSearcher alone
}

// hotWriters is how many of the workers increment, hotSearcher the one that
// searches among hotFiller keys.
const (
	hotWriters  = 2
	hotSearcher = 2
	hotFiller   = 25_000 // more would put snapshots off for longer than a run
)

// hotBurst is for how long a worker goes on without a pause.
const hotBurst = 200 * time.Millisecond

// hotMost bounds the history; beyond it workers pause after each operation.
const hotMost = 1_000_000

func newHot(o Options) Workload {
	return &hot{counter: counter{newRecorded[check.CounterInput, check.CounterOutput]("hot", o), keyring{prefix: "h", active: 1, per: 1 << 40}}}
}

// Step implements Workload.
func (h *hot) Step(ctx context.Context, w *Worker) {
	key := h.keys.name(0)
	if w.ID == hotSearcher {
		h.search(ctx, w)
		return
	}
	for until := time.Now().Add(hotBurst); ctx.Err() == nil && time.Now().Before(until); {
		failures := w.Failures
		if w.ID < hotWriters {
			h.add(ctx, w, w.Home, key, 1)
		} else {
			h.read(ctx, w, w.Home, key)
		}
		if w.Failures > failures {
			return
		}
		if h.rec.Len() > hotMost {
			sleep(ctx, 20*time.Millisecond)
		}
	}
}

// search keeps one node busy for a moment. It is no part of the history.
func (h *hot) search(ctx context.Context, w *Worker) {
	c := w.All[w.Rand.IntN(len(w.All))]
	for until := time.Now().Add(hotBurst); ctx.Err() == nil && time.Now().Before(until); {
		if h.filled < hotFiller {
			fill := []string{"MSET"}
			for range 1000 {
				h.filled++
				fill = append(fill, fmt.Sprintf("{h}:%d", h.filled), "x")
			}
			c.Do(ctx, fill...)
			continue
		}
		if r := c.Do(ctx, "KEYS", "nothing:*"); r.Outcome != history.OK {
			return
		}
	}
}

// Entries implements Workload. Of so many operations a report shows statistics
// only, so what they asked and answered is left out.
func (h *hot) Entries() []history.Entry {
	ops := h.rec.History()
	out := make([]history.Entry, len(ops))
	for i := range ops {
		out[i] = history.Entry{Meta: ops[i].Meta}
	}
	return out
}

// Check implements Workload.
func (h *hot) Check() check.Verdict {
	v := check.Counter(h.rec.History())
	v.Checker = "hot"
	return v
}
