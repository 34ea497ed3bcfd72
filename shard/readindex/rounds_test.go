package readindex

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestRoundStartsAfterItsCallers checks the one property that reads rest on: a
// caller never gets the result of a round that began before it called.
func TestRoundStartsAfterItsCallers(t *testing.T) {
	var begun atomic.Uint64
	r := &rounds{run: func(context.Context) (Noted, error) {
		n := begun.Add(1)
		for range 100 { // let callers pile up
			runtime.Gosched()
		}
		return Noted{Index: n}, nil
	}}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 500 {
				before := begun.Load()
				n, err := r.join(context.Background())
				if err != nil || n.Index <= before {
					t.Errorf("round %d (%v) had begun before the call (%d)", n.Index, err, before)
					return
				}
			}
		})
	}
	wg.Wait()
	if rounds := begun.Load(); rounds > 16*500/2 {
		t.Errorf("%d rounds for %d calls: they are not shared", rounds, 16*500)
	}
}

// TestRoundGoesOnWithoutACallerThatLeft: the caller that was to run the next
// round has a deadline, the others must not wait for ever.
func TestRoundGoesOnWithoutACallerThatLeft(t *testing.T) {
	release := make(chan struct{})
	first := true
	r := &rounds{run: func(context.Context) (Noted, error) {
		if first {
			first = false
			<-release
		}
		return Noted{}, nil
	}}
	running := make(chan struct{})
	go func() { close(running); r.join(context.Background()) }()
	<-running
	for r.isIdle() {
		runtime.Gosched()
	}
	ctx, cancel := context.WithCancel(context.Background())
	left := make(chan struct{})
	go func() { r.join(ctx); close(left) }()
	for r.hasNoNext() {
		runtime.Gosched()
	}
	cancel()
	<-left
	close(release)
	done := make(chan struct{})
	go func() { r.join(context.Background()); close(done) }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("the round was left to a caller that is gone")
	}
}

func (r *rounds) isIdle() bool    { r.mu.Lock(); defer r.mu.Unlock(); return !r.running }
func (r *rounds) hasNoNext() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.next == nil }
