package raftlog

import (
	"sync"
	"sync/atomic"
	"time"
)

// Op names a disk operation in Options.Observe and Options.OnStall.
type Op string

// The operations that are timed.
const (
	OpStore  Op = "store"  // StoreLogs: append and fsync
	OpSet    Op = "set"    // stable store: term and vote
	OpDelete Op = "delete" // DeleteRange
	OpRead   Op = "read"   // GetLog that the cache could not answer
)

// stallSlot holds when the running operation of one kind began. Operations of one kind are serial
// except while they queue; a queue is timed from its head.
type stallSlot struct {
	running  atomic.Int32
	since    atomic.Int64 // nanoseconds after the watchdog's base, 0 when idle
	reported int64        // the since that OnStall was called for; watchdog's goroutine only
}

// watchdog calls onStall from its own goroutine, once per operation, when one lasts longer than timeout:
// the caller itself hangs in the kernel at that time and can tell nobody.
type watchdog struct {
	base    time.Time
	timeout time.Duration
	onStall func(op string, since time.Duration)
	slots   [3]stallSlot
	stop    chan struct{}
	done    sync.WaitGroup
}

var watchedOps = [3]Op{OpStore, OpSet, OpDelete}

func newWatchdog(timeout time.Duration, onStall func(string, time.Duration)) *watchdog {
	w := &watchdog{base: time.Now().Add(-time.Second), timeout: timeout, onStall: onStall, stop: make(chan struct{})}
	if timeout > 0 && onStall != nil {
		w.done.Go(w.run)
	}
	return w
}

func (w *watchdog) begin(slot int) time.Duration {
	now := time.Since(w.base)
	s := &w.slots[slot]
	if s.running.Add(1) == 1 {
		s.since.Store(int64(now))
	}
	return now
}

// end returns how long the operation took.
func (w *watchdog) end(slot int, began time.Duration) time.Duration {
	now := time.Since(w.base)
	s := &w.slots[slot]
	s.since.Store(int64(now)) // one that queued behind this one starts its own time
	if s.running.Add(-1) == 0 {
		s.since.CompareAndSwap(int64(now), 0)
		if s.running.Load() > 0 {
			// begin ran between the two steps above and its time was wiped.
			s.since.CompareAndSwap(0, int64(now))
		}
	}
	return now - began
}

func (w *watchdog) run() {
	ticker := time.NewTicker(max(w.timeout/4, time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-ticker.C:
		}
		for i := range w.slots {
			w.look(watchedOps[i], &w.slots[i])
		}
	}
}

func (w *watchdog) look(op Op, s *stallSlot) {
	since := s.since.Load()
	if since == 0 || since == s.reported {
		return
	}
	if lasted := time.Since(w.base) - time.Duration(since); lasted > w.timeout {
		s.reported = since
		w.onStall(string(op), lasted)
	}
}

func (w *watchdog) close() {
	close(w.stop)
	w.done.Wait()
}
