package transport

import (
	"testing"
	"time"
)

// A follower is behind while it has less and keeps coming; one that stands still is not waited for.
func TestBehind(t *testing.T) {
	var g Group
	before := time.Now().Add(-time.Second)
	if g.Behind(1, before) {
		t.Error("behind without followers")
	}
	g.progress.note("n2", 10)
	g.progress.note("n3", 7)
	for _, c := range []struct {
		index uint64
		since time.Time
		want  bool
	}{{7, before, false}, {8, before, true}, {11, before, true}, {11, time.Now().Add(time.Second), false}} {
		if got := g.Behind(c.index, c.since); got != c.want {
			t.Errorf("behind %d: %v, want %v", c.index, got, c.want)
		}
	}
	g.progress.note("n3", 12)
	if g.Behind(10, before) {
		t.Error("behind although all have come")
	}
}
