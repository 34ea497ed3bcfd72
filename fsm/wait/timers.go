package wait

import (
	"container/heap"
	"math"
	"strings"
)

// Never is the deadline of who waits until served.
const Never = math.MaxInt64

// Moment is when something is over, and what. What is over at the same time is in an order
// that depends on nothing but names, so that a replica that was restored from a snapshot
// ends it in the same order. An empty ID comes before the waiters of its topic.
type Moment struct {
	At    int64
	Topic Topic
	ID    string
}

// Before reports whether m comes before o.
func (m Moment) Before(o Moment) bool {
	if m.At != o.At {
		return m.At < o.At
	}
	if c := m.Topic.compare(o.Topic); c != 0 {
		return c < 0
	}
	return strings.Compare(m.ID, o.ID) < 0
}

// Timer is the moment at which Of is over. There is one for each thing, which is moved:
// there is never an old one that could end what was renewed since.
type Timer[T any] struct {
	Moment
	Of    T
	place int // in the heap, from 1 on; 0 when it is not there
}

// Timers are those that are set, in order of their moments.
type Timers[T any] struct{ set timerHeap[T] }

// Set lets x end at the given time; its topic and its ID are those from before.
func (ts *Timers[T]) Set(x *Timer[T], at int64) {
	x.At = at
	if x.place == 0 {
		heap.Push(&ts.set, x)
		return
	}
	heap.Fix(&ts.set, x.place-1)
}

// Clear takes x out, if it is set.
func (ts *Timers[T]) Clear(x *Timer[T]) {
	if x.place > 0 {
		heap.Remove(&ts.set, x.place-1)
	}
}

// First is the timer that is over first, nil when none is set.
func (ts *Timers[T]) First() *Timer[T] {
	if len(ts.set) == 0 {
		return nil
	}
	return ts.set[0]
}

// Len is how many are set.
func (ts *Timers[T]) Len() int { return len(ts.set) }

// timerHeap is for package heap.
type timerHeap[T any] []*Timer[T]

func (h timerHeap[T]) Len() int { return len(h) }

func (h timerHeap[T]) Less(i, j int) bool {
	if a, b := h[i].At, h[j].At; a != b { // as a rule; spares copies
		return a < b
	}
	return h[i].Before(h[j].Moment)
}

func (h timerHeap[T]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i+1, j+1
}

func (h *timerHeap[T]) Push(x any) {
	t := x.(*Timer[T])
	*h = append(*h, t)
	t.place = len(*h)
}

func (h *timerHeap[T]) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	t.place = 0
	return t
}
