package lock

import (
	"container/heap"
	"strings"
)

// timer is when a grant or a wait is over. Every lock and every waiter has one,
// and moves it with each renewal: there is never an old one that could end what
// was renewed since.
type timer struct {
	at          int64
	name, token string // token of a waiter; empty for a lock
	lock        *held
	waiter      *waiter
	index       int    // in the heap, -1 when it is not there
	sum         uint64 // what it adds to the table's running sum
}

// timers is a heap by time. Those of the same time are in an order that depends
// on nothing but their names, so that a replica that read them from a snapshot
// serves them in the same order.
type timers []*timer

func (h timers) Len() int { return len(h) }

func (h timers) Less(i, j int) bool {
	a, b := h[i], h[j]
	if a.at != b.at {
		return a.at < b.at
	}
	if a.name != b.name {
		return a.name < b.name
	}
	return strings.Compare(a.token, b.token) < 0
}

func (h timers) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push and Pop are for package heap alone.
func (h *timers) Push(x any) {
	t := x.(*timer)
	t.index = len(*h)
	*h = append(*h, t)
}

func (h *timers) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	t.index = -1
	return t
}

func (h *timers) set(t *timer, at int64) {
	t.at = at
	if t.index < 0 {
		heap.Push(h, t)
		return
	}
	heap.Fix(h, t.index)
}

func (h *timers) clear(t *timer) {
	if t.index >= 0 {
		heap.Remove(h, t.index)
	}
}

func (h timers) first() *timer {
	if len(h) == 0 {
		return nil
	}
	return h[0]
}
