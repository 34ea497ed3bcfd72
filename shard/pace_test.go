package shard

import (
	"testing"
	"time"
)

func TestWriterOfSnapshotRests(t *testing.T) {
	const usual = 2 * time.Millisecond
	var r rests
	for i, step := range []struct{ busy, slowest, want time.Duration }{
		{30 * time.Millisecond, usual, 30 * time.Millisecond}, // half of the disk's time
		{30 * time.Millisecond, leastSlowFlush, 30 * time.Millisecond},
		{30 * time.Millisecond, leastSlowFlush + 1, 60 * time.Millisecond},
		{30 * time.Millisecond, 100 * time.Millisecond, 120 * time.Millisecond},
		{0, 100 * time.Millisecond, 80 * time.Millisecond}, // the page cache took it at once
		{500 * time.Millisecond, 100 * time.Millisecond, mostRest},
		{30 * time.Millisecond, usual, 30 * time.Millisecond},
	} {
		if got := r.after(step.busy, step.slowest, usual); got != step.want {
			t.Errorf("step %d: rests %v, want %v", i, got, step.want)
		}
	}
	// A disk that is slow at all times is not slower than usual.
	if got := r.after(time.Millisecond, 60*time.Millisecond, 20*time.Millisecond); got != time.Millisecond {
		t.Errorf("on a slow disk: %v", got)
	}
}

func TestPlacesDiffer(t *testing.T) {
	members := []string{"a", "b", "c", "d", "e"}
	firsts := map[string]bool{}
	for shard := range uint32(8) {
		seen := map[int]string{}
		for _, m := range members {
			at, of := place(m, "c", members, shard)
			if other, taken := seen[at]; taken || of != len(members) {
				t.Errorf("shard %d: %s and %s have place %d of %d", shard, m, other, at, of)
			}
			seen[at] = m
		}
		if seen[len(members)-1] != "c" {
			t.Errorf("shard %d: the leader is not the last: %v", shard, seen)
		}
		firsts[seen[0]] = true
	}
	if len(firsts) != len(members)-1 {
		t.Errorf("of several shards, the first are %v", firsts)
	}
	if at, of := place("a", "a", members[:1], 3); dueAt(1000, at, of) != 1000 {
		t.Errorf("a node alone is due at %d of 1000", dueAt(1000, at, of))
	}
	for at := range 5 {
		if got := dueAt(1<<20, at, 5); got <= 3<<18 || got > 1<<20 {
			t.Errorf("place %d is due at %d", at, got)
		}
	}
}
