package hash

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
)

// TestLargeTreesGrowAndShrink goes through every height that a test has time for.
func TestLargeTreesGrowAndShrink(t *testing.T) {
	const n = 40_000
	rng := rand.New(rand.NewPCG(1, 2))
	h := NewLarge()
	lim := DefaultLimits()
	field := func(i int) []byte { return fmt.Appendf(nil, "field:%d", i) }
	order, value := rng.Perm(n), make([]byte, 240)
	views := []*View{h.Freeze()}
	sums := []uint64{h.Sum()}
	check := func(i int) {
		if err := h.verify(); err != nil {
			t.Fatalf("after %d: %v", i, err)
		}
	}
	for i, k := range order {
		if added, _ := h.Set(field(k), value, lim); !added {
			t.Fatalf("%d is there already", k)
		}
		if i%(n/4) == 0 {
			check(i)
			views, sums = append(views, h.Freeze()), append(sums, h.Sum())
		}
	}
	check(n)
	if h.tree.Height() < 3 {
		t.Fatalf("height %d: too small to mean anything", h.tree.Height())
	}
	for i, k := range order {
		if deleted, _ := h.Delete(field(k)); !deleted {
			t.Fatalf("%d is not there", k)
		}
		if i%(n/8) == 0 {
			check(i)
		}
	}
	check(2 * n)
	if h.Len() != 0 || h.Size() != largeOverhead || h.Sum() != 0 || h.tree.Height() != 1 {
		t.Fatalf("after all deletions: %d fields, size %d, sum %x, height %d", h.Len(), h.Size(), h.Sum(), h.tree.Height())
	}
	for i, v := range views {
		if err := (&Hash{contents: v.contents}).verify(); err != nil || v.Sum() != sums[i] {
			t.Fatalf("view %d: %v", i, err)
		}
	}
}

// TestNodesJoinBesideViews: what joins takes in neighbours that a view still has.
func TestNodesJoinBesideViews(t *testing.T) {
	h := NewLarge()
	var order [][]byte
	for i := range 40_000 {
		h.Set(fmt.Append(nil, i), make([]byte, 240), DefaultLimits())
	}
	h.Each(func(field, _ []byte) bool {
		order = append(order, bytes.Clone(field))
		return true
	})
	var views []*View
	var sums []uint64
	for i, field := range slices.Backward(order) {
		if i%5 < 3 { // so that there are nodes small enough to join
			h.Delete(field)
		}
	}
	for i, field := range slices.Backward(order) {
		if h.Delete(field); i%400 == 0 {
			views, sums = append(views, h.Freeze()), append(sums, h.Sum())
		}
	}
	for i, v := range views {
		if v.Resum() != sums[i] {
			t.Fatalf("view %d of %d fields changed", i, v.Len())
		}
	}
}

// TestFillingInOrderLeavesFullLeaves: so does a restore, and Grow.
func TestFillingInOrderLeavesFullLeaves(t *testing.T) {
	h, again := NewLarge(), NewLarge()
	for i := range 20_000 {
		h.Set(fmt.Appendf(nil, "field:%d", i), []byte("value of some length"), DefaultLimits())
	}
	h.Each(func(field, value []byte) bool {
		again.Set(field, value, DefaultLimits())
		return true
	})
	if err := again.verify(); err != nil {
		t.Fatal(err)
	}
	if full := again.tree.Full(); full < 0.95 {
		t.Errorf("leaves are full to %.2f", full)
	}
	if full := h.tree.Full(); full < 0.6 {
		t.Errorf("in random order, leaves are full to %.2f", full)
	}
}

// TestPackedBlocksHaveABound whatever the limits say, since a copy is a whole block.
func TestPackedBlocksHaveABound(t *testing.T) {
	wide := Limits{1 << 30, 1 << 30}
	for _, value := range []int{1, 100, 5000, 70_000} {
		h := New()
		for i := range 5000 {
			h.Set(fmt.Append(nil, i), make([]byte, value), wide)
			if !h.Packed() {
				break
			}
			if cap(h.buf) > maxPackedBlock+maxPackedBlock/8 || h.Len() > maxPackedFields {
				t.Fatalf("%d fields are packed in %d bytes", h.Len(), cap(h.buf))
			}
		}
		if err := h.verify(); err != nil || h.Packed() {
			t.Fatalf("values of %d: packed %v, %v", value, h.Packed(), err)
		}
	}
}

// colliding returns the i-th of many names with the same hash. xxhash takes in 32
// bytes at a time, in a way that can be undone: the second 32 make up for the first.
func colliding(i int) []byte {
	var prime1, prime2 uint64 = 11400714785074694791, 14029467366897019727
	inverse := prime2 // Newton: each step doubles the bits that are right
	for range 6 {
		inverse *= 2 - prime2*inverse
	}
	state := bits.RotateLeft64(prime1+prime2+uint64(i)*prime2, 31) * prime1
	name := make([]byte, 64)
	binary.LittleEndian.PutUint64(name, uint64(i))
	binary.LittleEndian.PutUint64(name[32:], -state*inverse)
	return name
}

// TestEqualHashes: fields that were made to collide cost no more than others.
func TestEqualHashes(t *testing.T) {
	if a, b := hashOf(colliding(1)), hashOf(colliding(77)); a != b {
		t.Fatalf("%x and %x: no collision", a, b)
	}
	const n = 5000
	h := NewLarge()
	for _, i := range rand.New(rand.NewPCG(3, 4)).Perm(n) {
		h.Set(colliding(i), fmt.Append(nil, i), DefaultLimits())
		h.Set(fmt.Append(nil, i), []byte("other"), DefaultLimits())
	}
	if err := h.verify(); err != nil {
		t.Fatal(err)
	}
	seenOnce := map[string]int{}
	for cursor := uint64(0); ; {
		cursor = h.Scan(cursor, 10, func(field, _ []byte) { seenOnce[string(field)]++ })
		if cursor == 0 {
			break
		}
	}
	for i := range n {
		if v, ok := h.Get(colliding(i)); !ok || string(v) != fmt.Sprint(i) {
			t.Fatalf("%d: %q", i, v)
		}
		if seenOnce[string(colliding(i))] != 1 {
			t.Fatalf("%d came %d times", i, seenOnce[string(colliding(i))])
		}
	}
	for i := range n {
		if deleted, _ := h.Delete(colliding(i)); !deleted {
			t.Fatalf("%d is not there", i)
		}
	}
	if err := h.verify(); err != nil || h.Len() != n {
		t.Fatalf("%d are left: %v", h.Len(), err)
	}
}

// TestViewsAreReadWhileTheWriterGoesOn has its point in the race detector.
func TestViewsAreReadWhileTheWriterGoesOn(t *testing.T) {
	for _, n := range []int{20, 5000} {
		h := New()
		lim := DefaultLimits()
		field := func(i int) []byte { return fmt.Appendf(nil, "field:%d", i) }
		for i := range n {
			h.Set(field(i), []byte("0"), lim)
		}
		var readers sync.WaitGroup
		var owner sync.RWMutex
		for round := range 8 {
			for range 2 { // Freeze counts as reading
				readers.Go(func() {
					owner.RLock()
					v, want := h.Freeze(), h.Sum()
					owner.RUnlock()
					defer v.Release()
					sum := uint64(0)
					v.Each(func(field, value []byte) bool {
						sum += elementSum(hashOf(field), value)
						return true
					})
					if sum != want {
						t.Errorf("round %d: the view changed", round)
					}
				})
			}
			for i := range n {
				owner.Lock()
				if i%7 == round {
					h.Delete(field(i))
				} else {
					h.Set(field(i), fmt.Append(nil, round), lim)
				}
				owner.Unlock()
			}
		}
		readers.Wait()
		if h.head.Views() != 0 {
			t.Fatalf("%d views are left", h.head.Views())
		}
	}
}

// nodes has all nodes and blocks that a hash consists of.
func (c *contents) nodes() map[any]bool {
	if c.tree == nil {
		all := map[any]bool{}
		if cap(c.buf) > 0 {
			all[&c.buf[:1][0]] = true
		}
		return all
	}
	return c.tree.Nodes()
}

// TestCopiesAreBoundedByNodes: a change copies the nodes on its way, each at most
// once for one view, and none without a view.
func TestCopiesAreBoundedByNodes(t *testing.T) {
	for _, n := range []int{50, 50_000} {
		h := New()
		field := func(i int) []byte { return fmt.Appendf(nil, "field:%d", i) }
		for i := range n {
			h.Set(field(i), []byte("value"), DefaultLimits())
		}
		change := func(what string, most int) {
			t.Helper()
			before := h.nodes()
			h.Set(field(7), []byte("other"), DefaultLimits())
			fresh := 0
			for node := range h.nodes() {
				if !before[node] {
					fresh++
				}
			}
			if fresh != most {
				t.Errorf("%d fields, %s: %d nodes copied, want %d", n, what, fresh, most)
			}
		}
		whole := 1
		if h.tree != nil {
			whole = h.tree.Height() + 1
		}
		change("before any view", 0)
		v := h.Freeze()
		change("first change", whole)
		change("second change", 0)
		second := h.Freeze()
		second.Release()
		change("another view came and went", whole) // the first is still there
		v.Release()
		h.Freeze().Release()
		change("views came and went", 0)

		watchedBy := h.Own(1, true)
		if watchedBy == h {
			t.Fatal("a hash that its owner looks at changes in place")
		}
		h = watchedBy
		change("the owner looks", whole)
		change("the owner still looks", 0)
		if h.Own(2, false) != h {
			t.Fatal("copied for nobody")
		}
		change("the owner looked away", 0)
		c := h.Clone()
		change("after Clone", whole)
		change("after Clone again", 0)
		h = c
		change("the clone", whole)
		change("the clone again", 0)
	}
}

// TestViewOutlivesTheOwnersView: a view or a clone of the hash that Own went on from.
func TestViewOutlivesTheOwnersView(t *testing.T) {
	for _, n := range []int{3, 3000} {
		h := New()
		for i := range n {
			h.Set(fmt.Append(nil, i), []byte("before"), DefaultLimits())
		}
		sum := h.Sum()
		overwrite := func(h *Hash) {
			h = h.Own(1, true).Own(2, false)
			for i := range n {
				h.Set(fmt.Append(nil, i), []byte("behind"), DefaultLimits())
			}
		}
		c := h.Clone()
		if overwrite(c); h.Resum() != sum {
			t.Errorf("%d fields: what was cloned changed", n)
		}
		c = h.Clone()
		if overwrite(h); c.Resum() != sum {
			t.Errorf("%d fields: the clone changed", n)
		}
		v := c.Freeze()
		if overwrite(c); v.Resum() != sum {
			t.Errorf("%d fields: the view changed", n)
		}
		v.Release()
	}
}
