package view

import (
	"errors"
	"sync"
	"sync/atomic"
)

// ErrOtherShards is the error of Set for a view with another number of shards: that is fixed
// while a process runs.
var ErrOtherShards = errors.New("view: the number of shards is another one")

// Current has the newest view that a node knows. It is safe for concurrent use, and Get is a
// load of a pointer.
type Current struct {
	view atomic.Pointer[View]
	mu   sync.Mutex
	next chan struct{} // closed by the next change; guarded by mu
}

// NewCurrent returns one that has v.
func NewCurrent(v *View) *Current {
	c := &Current{next: make(chan struct{})}
	c.view.Store(v)
	return c
}

// Get returns the view in force.
func (c *Current) Get() *View { return c.view.Load() }

// Changed returns the view in force, and a channel that is closed when it is no longer.
func (c *Current) Changed() (*View, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.view.Load(), c.next
}

// Set puts v in force if its epoch is higher than that of the view in force, and reports
// whether it is.
func (c *Current) Set(v *View) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.view.Load()
	switch {
	case v.Shards() != was.Shards():
		return false, ErrOtherShards
	case v.Epoch() <= was.Epoch():
		return false, nil
	}
	c.view.Store(v)
	close(c.next)
	c.next = make(chan struct{})
	return true, nil
}
