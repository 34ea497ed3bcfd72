package httpapi

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// budget bounds the bytes of all bodies that are being read or worked on. Each is charged
// for what it has taken, as it grows: what is only announced costs others nothing. A small
// body costs nothing: it is bounded by what its connection costs anyway.
//
// Bodies that grow beside each other could take everything and all wait for the rest. So
// what becomes free goes to the one that began first, if it is more than a little, and when
// all wait, the one that began last is refused. One that stands still while others wait ends.
type budget struct {
	limit int64

	mu      sync.Mutex
	free    int64            // guarded by mu
	begun   uint64           // guarded by mu; numbers charges
	holding map[*charge]bool // guarded by mu; those that have taken something
	waiting []*charge        // guarded by mu; the one that began first is first
	refused int64            // guarded by mu; total
}

// freeBytes are not charged.
const freeBytes = 16 << 10

var errNoBudget = errors.New("httpapi: the budget for bodies is used up")

func newBudget(limit int64) *budget {
	return &budget{limit: limit, free: limit, holding: make(map[*charge]bool)}
}

// charge is what one body has taken.
type charge struct {
	b       *budget
	number  uint64
	taken   int64      // guarded by b.mu
	want    int64      // guarded by b.mu; beyond taken, while it waits
	outcome chan error // gets one value for each wait
	conn    *conn      // that the body comes by; nil: unknown
}

// open begins a body, which comes by c if that is known.
func (b *budget) open(c *conn) *charge {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.begun++
	return &charge{b: b, number: b.begun, outcome: make(chan error, 1), conn: c}
}

// grow raises the charge to n bytes. It waits for others, until ctx ends.
func (c *charge) grow(ctx context.Context, n int64) error {
	b := c.b
	b.mu.Lock()
	more := min(n, b.limit) - c.taken
	if n <= freeBytes || more <= 0 {
		b.mu.Unlock()
		return nil
	}
	c.want = more
	at, _ := slices.BinarySearchFunc(b.waiting, c.number, func(w *charge, n uint64) int { return int(int64(w.number) - int64(n)) })
	b.waiting = slices.Insert(b.waiting, at, c)
	b.settle()
	b.mu.Unlock()
	tick := time.NewTicker(bodyGrace / 4)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case err := <-c.outcome:
			return err
		case <-ctx.Done():
		case <-tick.C:
			b.push()
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case err := <-c.outcome: // just now
		return err
	default:
	}
	b.answer(c, errNoBudget)
	b.settle() // those behind it may want less
	return <-c.outcome
}

// settle gives what is free to those who wait, and breaks a deadlock. b.mu is held.
func (b *budget) settle() {
	for i := 0; i < len(b.waiting); {
		c := b.waiting[i]
		if c.want > b.free || i > 0 && c.want > passingBytes {
			i++
			continue
		}
		b.holding[c] = true
		b.free -= c.want
		c.taken += c.want
		b.answer(c, nil)
	}
	if !b.stuck() {
		return
	}
	for _, c := range slices.Backward(b.waiting) {
		if c.taken > 0 {
			b.answer(c, errNoBudget) // it gives back what it has
			return
		}
	}
}

// passingBytes is how much a body may take though one that began before it waits for more
// than is free.
const passingBytes = 1 << 20

// stuck: all that have taken something wait for more, so nothing will become free. b.mu is
// held.
func (b *budget) stuck() bool {
	moving := len(b.holding)
	for _, w := range b.waiting {
		if w.taken > 0 {
			moving--
		}
	}
	return moving == 0
}

// push ends the body that has stood still for longest, since others wait for memory.
func (b *budget) push() {
	b.mu.Lock()
	defer b.mu.Unlock()
	pushStillest(func(yield func(*conn) bool) {
		for c := range b.holding {
			if c.conn != nil && !yield(c.conn) {
				return
			}
		}
	}, func(*conn) {})
}

// answer ends a wait. b.mu is held.
func (b *budget) answer(c *charge, err error) {
	b.waiting = slices.DeleteFunc(b.waiting, func(w *charge) bool { return w == c })
	if err != nil {
		b.refused++
	}
	c.outcome <- err
}

// release gives everything back.
func (c *charge) release() {
	b := c.b
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.holding, c)
	b.free += c.taken
	c.taken = 0
	b.settle()
}

// figures are the bytes taken, and how many bodies were refused.
func (b *budget) figures() (taken, refused int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.limit - b.free, b.refused
}

func (b *budget) register(reg prometheus.Registerer) {
	reg.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "lockstep", Name: "http_body_bytes",
			Help: "Memory taken by the bodies of HTTP requests; small ones do not count."},
			func() float64 { taken, _ := b.figures(); return float64(taken) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "lockstep", Name: "http_bodies_refused_total",
			Help: "HTTP requests refused because the memory for bodies was used up."},
			func() float64 { _, refused := b.figures(); return float64(refused) }),
	)
}
