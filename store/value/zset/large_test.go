package zset

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// TestAMillionMembers: every operation finds its way, and none of them is slow.
func TestAMillionMembers(t *testing.T) {
	const n = 1_000_000
	z := NewLarge()
	lim := DefaultLimits()
	start := time.Now()
	for i := range n {
		z.Add(benchMember(i, 16), float64(i/2), lim)
	}
	t.Logf("%v for %d members, height %d", time.Since(start), n, z.large.scores.Height())
	rng := rand.New(rand.NewPCG(3, 4))
	v := z.Freeze()
	for range 2000 {
		i := rng.IntN(n)
		rank, score, ok := z.Rank(benchMember(i, 16))
		if !ok || rank != i || score != float64(i/2) {
			t.Fatalf("member %d has rank %d, score %v", i, rank, score)
		}
		if at, _ := z.At(i); string(at) != string(benchMember(i, 16)) {
			t.Fatalf("rank %d has %s", i, at)
		}
		if below := z.Below(float64(i/2), true); below != i/2*2+2 {
			t.Fatalf("%d are not above %d", below, i/2)
		}
	}
	z.RemoveRange(1000, 4000)
	if member, score := z.At(1000); string(member) != string(benchMember(4000, 16)) || score != 2000 || z.Len() != n-3000 {
		t.Fatalf("behind what was removed is %s %v, of %d", member, score, z.Len())
	}
	if member, _ := v.At(1000); string(member) != string(benchMember(1000, 16)) || v.Len() != n {
		t.Fatalf("the view has %s", member)
	}
	v.Release()
}

// TestTreesGrowAndShrink goes through several heights, in orders that the trees differ in.
func TestTreesGrowAndShrink(t *testing.T) {
	const n = 8_000
	rng := rand.New(rand.NewPCG(1, 2))
	z := NewLarge()
	order := rng.Perm(n)
	var views []*View
	var sums []uint64
	member := func(k int) []byte { return benchMember(k, 16+k%2*180) }
	check := func(i int) {
		if err := z.verify(); err != nil {
			t.Fatalf("after %d: %v", i, err)
		}
	}
	for i, k := range order {
		if added, _, _ := z.Add(member(k), float64(k%100), DefaultLimits()); !added {
			t.Fatalf("%d is there already", k)
		}
		if i%(n/4) == 0 {
			check(i)
			views, sums = append(views, z.Freeze()), append(sums, z.Sum())
		}
	}
	for i, k := range order {
		if _, changed, _ := z.Add(member(k), float64(k), DefaultLimits()); changed != (k >= 100) {
			t.Fatalf("%d changed %v", k, changed)
		}
		if i%(n/2) == 0 {
			check(n + i)
		}
	}
	for i, k := range rng.Perm(n) {
		if removed, _ := z.Remove(member(k)); !removed {
			t.Fatalf("%d is not there", k)
		}
		if i%(n/4) == 0 {
			check(2*n + i)
		}
	}
	check(3 * n)
	if z.Len() != 0 || z.Size() != largeOverhead || z.Sum() != 0 || z.large.scores.Height() != 1 {
		t.Fatalf("after all removals: %d members, size %d, sum %x", z.Len(), z.Size(), z.Sum())
	}
	for i, v := range views {
		if err := (&ZSet{contents: v.contents}).verify(); err != nil || v.Sum() != sums[i] {
			t.Fatalf("view %d: %v", i, err)
		}
	}
}

// TestPackedBlocksHaveABound whatever the limits say, since a copy is a whole block.
func TestPackedBlocksHaveABound(t *testing.T) {
	wide := Limits{1 << 30, 1 << 30}
	for _, length := range []int{10, 100, 5000, 70_000} {
		z := New()
		for i := range 5000 {
			z.Add(fmt.Appendf(nil, "%0*d", length, i), 0.1, wide)
			if !z.Packed() {
				break
			}
			if cap(z.buf) > maxPackedBlock+maxPackedBlock/8 || z.Len() > maxPackedMembers {
				t.Fatalf("%d members are packed in %d bytes", z.Len(), cap(z.buf))
			}
		}
		if err := z.verify(); err != nil || z.Packed() {
			t.Fatalf("members of %d: packed %v, %v", length, z.Packed(), err)
		}
	}
}

// TestViewsAreReadWhileTheWriterGoesOn has its point in the race detector.
func TestViewsAreReadWhileTheWriterGoesOn(t *testing.T) {
	for _, n := range []int{20, 3000} {
		z := New()
		lim := DefaultLimits()
		for i := range n {
			z.Add(benchMember(i, 16+i%2*50), 0, lim)
		}
		var readers sync.WaitGroup
		var owner sync.RWMutex
		for round := range 6 {
			for range 2 { // Freeze counts as reading
				readers.Go(func() {
					owner.RLock()
					v, want := z.Freeze(), z.Sum()
					owner.RUnlock()
					defer v.Release()
					if v.Resum() != want {
						t.Errorf("round %d: the view changed", round)
					}
				})
			}
			for i := range n {
				owner.Lock()
				if i%7 == round {
					z.Remove(benchMember(i, 16+i%2*50))
				} else {
					z.Add(benchMember(i, 16+i%2*50), float64(i%5-round), lim)
				}
				owner.Unlock()
			}
		}
		readers.Wait()
		if z.head.Views() != 0 {
			t.Fatalf("%d views are left", z.head.Views())
		}
	}
}

// nodes has all nodes and blocks that a set consists of.
func (c *contents) nodes() map[any]bool {
	all := map[any]bool{}
	if c.large == nil {
		if cap(c.buf) > 0 {
			all[&c.buf[:1][0]] = true
		}
		return all
	}
	for node := range c.large.members.Nodes() {
		all[node] = true
	}
	for node := range c.large.scores.Nodes() {
		all[node] = true
	}
	return all
}

// TestCopiesAreBoundedByNodes: a change copies the nodes on its ways, each at most once for
// one view, and none without a view.
func TestCopiesAreBoundedByNodes(t *testing.T) {
	for _, n := range []int{50, 50_000} {
		z := New()
		for i := range n {
			z.Add(benchMember(i, 16), float64(i), DefaultLimits())
		}
		score := 7.25
		change := func(what string, most int) {
			t.Helper()
			before := z.nodes()
			score += 1e-6
			z.Add(benchMember(7, 16), score, DefaultLimits())
			fresh := 0
			for node := range z.nodes() {
				if !before[node] {
					fresh++
				}
			}
			if fresh != most {
				t.Errorf("%d members, %s: %d nodes copied, want %d", n, what, fresh, most)
			}
		}
		whole := 1
		if z.large != nil {
			whole = z.large.members.Height() + z.large.scores.Height() + 2
		}
		change("before any view", 0)
		v := z.Freeze()
		change("first change", whole)
		change("second change", 0)
		v.Release()
		z.Freeze().Release()
		change("views came and went", 0)
		z = z.Own(1, true)
		change("the owner looks", whole)
		if z.Own(2, false) != z {
			t.Fatal("copied for nobody")
		}
		change("the owner looked away", 0)
		c := z.Clone()
		change("after Clone", whole)
		change("after Clone again", 0)
		z = c
		change("the clone", whole)
	}
}
