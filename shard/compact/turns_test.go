package compact

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestPlacesDiffer(t *testing.T) {
	members := []string{"a", "b", "c", "d", "e"}
	firsts := map[string]bool{}
	for shard := range 8 {
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

// TestPlaceOfAStranger: who is not among the holders comes last, as long as it asks.
func TestPlaceOfAStranger(t *testing.T) {
	for _, holders := range [][]string{nil, {"a"}, {"a", "b"}, {"a", "b", "c"}} {
		if at, of := place("x", "a", holders, 7); at != of-1 {
			t.Errorf("%v: %d of %d", holders, at, of)
		}
	}
}

func TestFirst(t *testing.T) {
	for d, want := range map[Doing][3]bool{ // whose place is before, the same, after
		Nothing: {false, false, false},
		Due:     {true, false, false},
		Claims:  {true, true, true},
		Writes:  {true, true, true},
	} {
		for i, its := range []int{0, 1, 2} {
			if got := first(d, its, 1); got != want[i] {
				t.Errorf("doing %d at place %d: %v", d, its, got)
			}
		}
	}
}

// TestClaim: of shard 3 with leader a, b is the second follower to write and c the first.
func TestClaim(t *testing.T) {
	set := func(id string, d Doing) func(r *ring) {
		return func(r *ring) { r.replicas[id].c.doing.Store(int32(d)) }
	}
	for name, c := range map[string]struct {
		given func(r *ring)
		log   int64
		want  bool
		asked int
	}{
		"nobody else wants to":    {func(*ring) {}, threshold, true, 2},
		"another writes":          {set("a", Writes), threshold, false, 0},
		"another claims":          {set("a", Claims), threshold, false, 0},
		"a later one is due":      {set("a", Due), threshold, true, 2},
		"an earlier one is due":   {set("c", Due), threshold, false, 0},
		"who writes is away":      {func(r *ring) { set("a", Writes)(r); r.replicas["a"].away = true }, threshold, true, 2},
		"the log has become long": {set("a", Writes), threshold * 3 / 2, true, 0},
		"it began a moment ago": {func(r *ring) {
			set("a", Writes)(r)
			was := Nothing
			r.replicas["a"].tells = &was
		}, threshold, false, 1},
	} {
		r := newRing("a", "b", "c")
		b := r.replicas["b"]
		b.log = c.log
		c.given(r)
		if got := b.c.claimTurn(t.Context()); got != c.want || len(b.asked) != c.asked {
			t.Errorf("%s: %v, asked %v", name, got, b.asked)
		}
		if !c.want && b.c.Doing() == Claims {
			t.Errorf("%s: it still claims", name)
		}
	}
}

// TestClaimIsToldBeforeOthersAreAsked: of two that want to at once at least one is told. b, whose turn
// is earlier, becomes due when it has just told a that it is not.
func TestClaimIsToldBeforeOthersAreAsked(t *testing.T) {
	r := newRing("a", "b")
	a, b := r.replicas["a"], r.replicas["b"]
	a.c.doing.Store(int32(Due))
	other := false
	b.onAsk = func() {
		b.c.doing.Store(int32(Due))
		other = b.c.claimTurn(t.Context())
	}
	if got := a.c.claimTurn(t.Context()); !got || other {
		t.Errorf("a begins: %v, b begins: %v", got, other)
	}
}

// TestTurnsInTime: the log of all grows alike. Nobody writes at the same time as another, and no log becomes much
// longer than what makes a snapshot due.
func TestTurnsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRing("a", "b", "c", "d", "e")
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for _, p := range r.replicas {
			p.takes = 4 * time.Second
			wg.Go(func() { p.c.Run(ctx) })
		}
		for range 600 {
			time.Sleep(time.Second)
			synctest.Wait()
			writing := 0
			for id, p := range r.replicas {
				p.with(func() {
					p.log += 1 << 20
					p.applied++
					if p.writing {
						writing++
					}
					if p.log > threshold*3/2+8<<20 {
						t.Errorf("the log of %s has %d MiB", id, p.log>>20)
					}
				})
			}
			if writing > 1 {
				t.Fatalf("%d write", writing)
			}
		}
		stop()
		wg.Wait()
		for id, p := range r.replicas {
			if p.taken < 5 || p.taken > 9 {
				t.Errorf("%s took %d snapshots in 600 MiB of log", id, p.taken)
			}
		}
	})
}
