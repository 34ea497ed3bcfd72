package readindex

import (
	"context"
	"runtime"
	"sync"
)

// rounds lets many callers share one expensive confirmation. A caller may only
// use a round that starts after it called, so at any time one round runs and at
// most one more is waited for. The first caller of a waiting round runs it, on
// its own goroutine, when the running one ends.
type rounds struct {
	run func(ctx context.Context) (Noted, error)

	mu      sync.Mutex
	running bool
	next    *round // guarded by mu; waits for the running one
}

type round struct {
	lead    chan struct{} // holds one token when the round may start
	done    chan struct{}
	callers int // guarded by rounds.mu
	value   Noted
	err     error
}

func newRound() *round {
	return &round{lead: make(chan struct{}, 1), done: make(chan struct{})}
}

// join waits for a round that starts after the call and returns its result.
func (r *rounds) join(ctx context.Context) (Noted, error) {
	r.mu.Lock()
	if !r.running {
		r.running = true
		rd := newRound()
		rd.callers = 1
		r.next = rd
		r.mu.Unlock()
		return r.lead(ctx, rd)
	}
	rd := r.next
	if rd == nil {
		rd = newRound()
		r.next = rd
	}
	rd.callers++
	r.mu.Unlock()
	select {
	case <-rd.done:
		return rd.value, rd.err
	case <-rd.lead:
		return r.lead(ctx, rd)
	case <-ctx.Done():
		r.leave(rd)
		return Noted{}, ctx.Err()
	}
}

// leave takes a caller out of a round that it no longer waits for. The last one
// to leave takes the round with it, started or not: nobody else would run it.
func (r *rounds) leave(rd *round) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rd.callers--
	if rd.callers > 0 || r.next != rd {
		return
	}
	r.next = nil
	select {
	case <-rd.lead: // it was this round's turn
		r.running = false
	default:
	}
}

// lead runs rd and then lets the next round start.
func (r *rounds) lead(ctx context.Context, rd *round) (Noted, error) {
	runtime.Gosched() // those who are about to join may as well share this round
	r.mu.Lock()
	r.next = nil // whoever comes from now on is too late for rd
	r.mu.Unlock()
	rd.value, rd.err = r.run(ctx)
	close(rd.done)

	r.mu.Lock()
	if r.next == nil {
		r.running = false
	} else {
		r.next.lead <- struct{}{}
	}
	r.mu.Unlock()
	return rd.value, rd.err
}
