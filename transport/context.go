package transport

import (
	"context"
	"errors"
	"sync"
	"time"
)

// requestCtx is a handler's context. Most handlers never wait for its end, so
// the timer behind Done is made only when somebody asks.
type requestCtx struct {
	parent   context.Context
	deadline time.Time // zero: none

	mu     sync.Mutex
	inner  context.Context // guarded by mu; nil until needed
	cancel context.CancelFunc
	done   bool // guarded by mu; the handler returned
}

func newRequestCtx(parent context.Context, timeout time.Duration) *requestCtx {
	c := &requestCtx{parent: parent}
	if timeout > 0 {
		c.deadline = time.Now().Add(timeout)
	}
	return c
}

// get makes the real context.
func (c *requestCtx) get() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inner == nil {
		if c.deadline.IsZero() {
			c.inner, c.cancel = context.WithCancel(c.parent)
		} else {
			c.inner, c.cancel = context.WithDeadline(c.parent, c.deadline)
		}
		if c.done {
			c.cancel()
		}
	}
	return c.inner
}

// finish ends the context when its handler has returned.
func (c *requestCtx) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done = true
	if c.cancel != nil {
		c.cancel()
	}
}

// gaveUp reports whether err says no more than that the handler's time was up.
func (c *requestCtx) gaveUp(err error) bool {
	return err != nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)) && c.Err() != nil
}

func (c *requestCtx) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }

func (c *requestCtx) Done() <-chan struct{} { return c.get().Done() }

func (c *requestCtx) Err() error { return c.get().Err() }

// Value hands out the real context's own value too: by it, contexts that are
// derived from this one link to it without a goroutine.
func (c *requestCtx) Value(key any) any { return c.get().Value(key) }
