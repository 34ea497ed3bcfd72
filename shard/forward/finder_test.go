package forward

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeCluster is what a finder sees.
type fakeCluster struct {
	mu       sync.Mutex
	holders  []string
	standing map[string]Standing // of those that answer
	next     chan struct{}
	asked    map[string]int
}

func (f *fakeCluster) Holders() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.holders)
}

func (f *fakeCluster) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.next
}

func (f *fakeCluster) Connected(node string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.standing[node]
	return ok
}

func (f *fakeCluster) Ask(_ context.Context, node string) (Standing, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked[node]++
	s, ok := f.standing[node]
	if !ok {
		return s, errors.New("down")
	}
	return s, nil
}

func (f *fakeCluster) change(fn func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fn()
}

func find(t *testing.T, fn func(f *fakeCluster, find *Finder, changes *int)) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeCluster{
			holders: []string{"a", "b", "c"}, next: make(chan struct{}), asked: map[string]int{},
			standing: map[string]Standing{"a": {Leader: "b", Term: 4}, "b": {Leader: "b", Term: 4, Serving: true}, "c": {Leader: "b", Term: 4}},
		}
		changes := 0
		finder := NewFinder(f, func() { changes++ })
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			finder.Run(ctx)
			close(done)
		}()
		time.Sleep(50 * time.Millisecond)
		synctest.Wait()
		fn(f, finder, &changes)
		stop()
		<-done
	})
}

func TestLeaderIsFound(t *testing.T) {
	find(t, func(f *fakeCluster, finder *Finder, changes *int) {
		if finder.Leader() != "b" || *changes != 1 || !slices.Equal(finder.Order(), []string{"b", "a", "c"}) {
			t.Fatalf("%q, %v", finder.Leader(), finder.Order())
		}
		f.change(func() { delete(f.standing, "a"); clear(f.asked) })
		time.Sleep(10 * lookEvery)
		synctest.Wait()
		if f.asked["b"] < 9 || f.asked["c"] > 0 || !slices.Equal(finder.Order(), []string{"b", "c", "a"}) {
			t.Errorf("asked %v, order %v", f.asked, finder.Order())
		}
	})
}

// TestNextLeaderIsFound: one that still says that it serves, in an older term, does not count.
func TestNextLeaderIsFound(t *testing.T) {
	find(t, func(f *fakeCluster, finder *Finder, _ *int) {
		f.change(func() { f.standing["b"], f.standing["c"] = Standing{Term: 4}, Standing{Leader: "c", Term: 5} })
		finder.Denied("b")
		time.Sleep(time.Second)
		synctest.Wait()
		if finder.Leader() != "" {
			t.Fatalf("%q leads, and nobody serves", finder.Leader())
		}
		f.change(func() { f.standing["c"] = Standing{Leader: "c", Term: 5, Serving: true} })
		time.Sleep(lookAgainMost + lookAgain)
		synctest.Wait()
		if finder.Leader() != "c" {
			t.Fatalf("%q leads", finder.Leader())
		}
		finder.Denied("a") // is none
		if finder.Leader() != "c" {
			t.Error("forgotten for the sake of another")
		}
	})
}

// TestFinderFollowsTheView as soon as it changes.
func TestFinderFollowsTheView(t *testing.T) {
	find(t, func(f *fakeCluster, finder *Finder, _ *int) {
		f.change(func() {
			f.holders, f.standing["d"] = []string{"d"}, Standing{Leader: "d", Term: 1, Serving: true}
			close(f.next)
			f.next = make(chan struct{})
		})
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if finder.Leader() != "d" || !slices.Equal(finder.Order(), []string{"d"}) {
			t.Errorf("%q, %v", finder.Leader(), finder.Order())
		}
	})
}
