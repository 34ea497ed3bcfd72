package fsm

import (
	"context"
	"sync"
	"sync/atomic"
)

// waiters holds the goroutines that wait for an index to be applied.
type waiters struct {
	n  atomic.Int64 // len(list), so that wake costs nothing when nobody waits
	mu sync.Mutex
	// list is guarded by mu. It is short: followers' reads in flight.
	list []waiter
}

type waiter struct {
	index uint64
	done  chan struct{}
}

func (w *waiters) wait(ctx context.Context, index uint64, applied *atomic.Uint64) error {
	entry := waiter{index: index, done: make(chan struct{})}
	w.mu.Lock()
	w.list = append(w.list, entry)
	w.n.Store(int64(len(w.list)))
	w.mu.Unlock()
	// Checked after joining the list, or an apply in between would be missed.
	if applied.Load() >= index {
		w.wake(applied.Load())
	}
	select {
	case <-entry.done:
		return nil
	case <-ctx.Done():
		w.forget(entry.done)
		return ctx.Err()
	}
}

func (w *waiters) wake(index uint64) {
	if w.n.Load() == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	kept := w.list[:0]
	for _, e := range w.list {
		if e.index <= index {
			close(e.done)
		} else {
			kept = append(kept, e)
		}
	}
	clear(w.list[len(kept):])
	w.list = kept
	w.n.Store(int64(len(kept)))
}

func (w *waiters) forget(done chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, e := range w.list {
		if e.done == done {
			w.list = append(w.list[:i], w.list[i+1:]...)
			break
		}
	}
	w.n.Store(int64(len(w.list)))
}
