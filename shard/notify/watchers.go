package notify

import (
	"slices"
	"sync"

	"github.com/lockstepkv/lockstep/fsm/wait"
)

// room is how many events a watcher may be behind.
const room = 64

// Watchers are who watches, by topic. Telling them never blocks.
type Watchers struct {
	mu sync.Mutex
	at map[wait.Topic][]chan wait.Event // guarded by mu
}

// Watch follows what is told of a topic from now on, until stop is called. The channel is
// closed when events were missed: then watch anew, and look.
func (w *Watchers) Watch(t wait.Topic) (events <-chan wait.Event, stop func()) {
	n := room
	if t.Kind.Once() {
		n = 1
	}
	ch := make(chan wait.Event, n)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.at == nil {
		w.at = make(map[wait.Topic][]chan wait.Event)
	}
	w.at[t] = append(w.at[t], ch)
	return ch, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.keep(t, func(c chan wait.Event) bool { return c != ch })
	}
}

// keep lets go of a topic's watchers for whom fn returns false; mu is held.
func (w *Watchers) keep(t wait.Topic, fn func(chan wait.Event) bool) {
	list := slices.DeleteFunc(w.at[t], func(ch chan wait.Event) bool { return !fn(ch) })
	if len(list) == 0 {
		delete(w.at, t)
		return
	}
	w.at[t] = list
}

// Tell tells those who watch e's topic, in the order of the calls. Who is too far behind
// misses it, and is told that; who was told all there is needs no more.
func (w *Watchers) Tell(e wait.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.at[e.Topic]) == 0 {
		return
	}
	w.keep(e.Topic, func(ch chan wait.Event) bool {
		select {
		case ch <- e:
			return true
		default:
		}
		if !e.Topic.Kind.Once() {
			close(ch)
		}
		return e.Topic.Kind.Once()
	})
}

// MissedAt tells those who watch a topic that events were missed.
func (w *Watchers) MissedAt(t wait.Topic) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, ch := range w.at[t] {
		close(ch)
	}
	delete(w.at, t)
}

// Missed tells everybody that events were missed, at any topic.
func (w *Watchers) Missed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, list := range w.at {
		for _, ch := range list {
			close(ch)
		}
	}
	clear(w.at)
}
