package fsm

import (
	"context"
	"sync"
	"sync/atomic"
)

// waiters holds the goroutines that wait for an index to be reached.
type waiters struct {
	n  atomic.Int64 // len(set), so that wake costs nothing when nobody waits
	mu sync.Mutex
	// set is guarded by mu. It is small: followers' reads in flight.
	set map[*waiter]struct{}
}

type waiter struct {
	index uint64
	done  chan struct{}
}

func (w *waiters) wait(ctx context.Context, index uint64, reached *atomic.Uint64) error {
	entry := &waiter{index: index, done: make(chan struct{})}
	w.mu.Lock()
	if w.set == nil {
		w.set = make(map[*waiter]struct{})
	}
	w.set[entry] = struct{}{}
	w.n.Store(int64(len(w.set)))
	w.mu.Unlock()
	// Checked after joining the others, or an apply in between would be missed.
	if reached.Load() >= index {
		w.wake(reached.Load())
	}
	select {
	case <-entry.done:
		return nil
	case <-ctx.Done():
		w.forget(entry)
		return ctx.Err()
	}
}

func (w *waiters) wake(index uint64) {
	if w.n.Load() == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for e := range w.set {
		if e.index <= index {
			close(e.done)
			delete(w.set, e)
		}
	}
	w.n.Store(int64(len(w.set)))
}

func (w *waiters) forget(e *waiter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.set, e)
	w.n.Store(int64(len(w.set)))
}
