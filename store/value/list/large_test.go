package list

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

func element(i int) []byte { return fmt.Appendf(nil, "element:%08d", i) } // 16 bytes

func million(n int) *List {
	l := NewLarge()
	for i := range n {
		l.PushBack(element(i))
	}
	return l
}

func check(t *testing.T, l *List) {
	t.Helper()
	if err := l.verify(); err != nil {
		t.Fatal(err)
	}
}

// TestLargeTreesGrowAndShrink goes through every height that a test has time for.
func TestLargeTreesGrowAndShrink(t *testing.T) {
	const n = 40_000
	rng := rand.New(rand.NewPCG(1, 2))
	l, value := NewLarge(), make([]byte, 240)
	views := []*View{l.Freeze()}
	sums := []uint64{l.Sum()}
	for i := range n {
		l.Insert(rng.IntN(i+1), fmt.Append(value, i))
		if i%(n/4) == 0 {
			check(t, l)
			views, sums = append(views, l.Freeze()), append(sums, l.Sum())
		}
	}
	check(t, l)
	if l.tree.height < 3 {
		t.Fatalf("height %d: too small to mean anything", l.tree.height)
	}
	for l.Len() > 0 {
		i := rng.IntN(l.Len())
		l.Remove(i, i+1)
		if l.Len()%(n/8) == 0 {
			check(t, l)
		}
	}
	if l.Size() != largeOverhead || l.Sum() != 0 || l.tree.height != 1 {
		t.Fatalf("after all removals: size %d, sum %x, height %d", l.Size(), l.Sum(), l.tree.height)
	}
	for i, v := range views {
		if v.Sum() != sums[i] || v.Resum() != sums[i] {
			t.Fatalf("view %d changed", i)
		}
	}
}

// TestRangesOfAMillion: whole subtrees go, and views keep them.
func TestRangesOfAMillion(t *testing.T) {
	const n = 1 << 20
	l := million(n)
	v := l.Freeze()
	l.Remove(10, n/2)
	check(t, l)
	l.Remove(l.Len()-n/4, l.Len()-10)
	check(t, l)
	if l.Len() != n/4+20 || string(l.At(10)) != string(element(n/2)) || string(l.At(l.Len()-10)) != string(element(n-10)) {
		t.Fatalf("%d are left: %s", l.Len(), l.At(10))
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for l.Len() > 1000 {
		i := rng.IntN(l.Len())
		l.Remove(i, min(i+rng.IntN(2000), l.Len()))
		l.Insert(rng.IntN(l.Len()), []byte("another"))
	}
	check(t, l)
	if v.Len() != n || v.Resum() != v.Sum() {
		t.Fatal("the view changed")
	}
	l.RemoveEqual([]byte("another"), n, true)
	check(t, l)
	if _, found := l.Index([]byte("another")); found {
		t.Fatal("not all are gone")
	}
}

// TestFillingAtAnEndLeavesFullLeaves: so does a restore, and Grow.
func TestFillingAtAnEndLeavesFullLeaves(t *testing.T) {
	back, front, random := NewLarge(), NewLarge(), NewLarge()
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range 200_000 {
		back.PushBack(element(i))
		front.PushFront(element(i))
		random.Insert(rng.IntN(i+1), element(i))
	}
	for name, c := range map[string]struct {
		l    *List
		full float64
	}{"back": {back, 0.98}, "front": {front, 0.98}, "random": {random, 0.6}} {
		check(t, c.l)
		leaves, weight := c.l.tree.root.leaves()
		if full := float64(weight) / float64(leaves*leafMax); full < c.full {
			t.Errorf("%s: leaves are full to %.2f", name, full)
		}
		if c.l.tree.height > 3 {
			t.Errorf("%s: height %d", name, c.l.tree.height)
		}
	}
}

func (in *inner) leaves() (n, weight int) {
	for _, k := range in.kids {
		if k.leaf != nil {
			n, weight = n+1, weight+k.leaf.weight()
			continue
		}
		a, b := k.inner.leaves()
		n, weight = n+a, weight+b
	}
	return n, weight
}

// TestQueue: what is pushed at one end comes out at the other, and the tree stays small.
func TestQueue(t *testing.T) {
	for _, length := range []int{100, 20_000} {
		l := million(length)
		for i := range 30_000 {
			l.PushBack(element(length + i))
			if got := string(l.At(0)); got != string(element(i)) {
				t.Fatalf("%d: %s", i, got)
			}
			l.Remove(0, 1)
		}
		check(t, l)
		leaves, weight := l.tree.root.leaves()
		if leaves > 3+weight/(leafMax*9/10) {
			t.Errorf("%d leaves for %d bytes", leaves, weight)
		}
	}
}

// TestPackedBlocksHaveABound whatever the limits say, since a copy is a whole block.
func TestPackedBlocksHaveABound(t *testing.T) {
	for _, size := range []int{1, 100, 5000, 70_000} {
		l := New()
		for i := 0; i < 200_000 && l.Packed(); i++ {
			l.PushBack(make([]byte, size))
			if cap(l.buf) > maxPackedBlock+maxPackedBlock/8 {
				t.Fatalf("%d elements are packed in %d bytes", l.Len(), cap(l.buf))
			}
		}
		check(t, l)
		if l.Packed() {
			t.Fatalf("elements of %d are packed", size)
		}
	}
}

// TestFormAsRedisHasIt at the limits, with hysteresis.
func TestFormAsRedisHasIt(t *testing.T) {
	l, lim := New(), DefaultLimits()
	push := func(e string) {
		l.Reserve(lim, 1, len(e))
		l.PushBack([]byte(e))
	}
	for i := range 455 { // 7 + 455 * 18 = 8197
		push(string(element(i)))
		if l.Packed() != (i < 454) {
			t.Fatalf("packed with %d elements: %v", i+1, l.Packed())
		}
	}
	for l.Len() > 0 { // 7 + 227 * 18 = 4093
		l.Remove(0, 1)
		l.Shrink(lim)
		if l.Packed() != (l.Len() <= 227) {
			t.Fatalf("packed with %d elements: %v", l.Len(), l.Packed())
		}
	}
	for fill, want := range map[int]Limits{
		-1: {4096, 0}, -2: {8192, 0}, -5: {65536, 0}, -9: {65536, 0}, 0: {8192, 1}, 128: {8192, 128},
	} {
		if got := LimitsOf(fill); got != want {
			t.Errorf("LimitsOf(%d) is %v", fill, got)
		}
	}
}

// TestViewsAreReadWhileTheWriterGoesOn has its point in the race detector.
func TestViewsAreReadWhileTheWriterGoesOn(t *testing.T) {
	for _, n := range []int{20, 5000} {
		l := New()
		for i := range n {
			l.Reserve(DefaultLimits(), 1, 16)
			l.PushBack(element(i))
		}
		var readers sync.WaitGroup
		var owner sync.RWMutex
		for round := range 8 {
			for range 2 { // Freeze counts as reading
				readers.Go(func() {
					owner.RLock()
					v, want := l.Freeze(), l.Sum()
					owner.RUnlock()
					defer v.Release()
					if v.Resum() != want {
						t.Errorf("round %d: the view changed", round)
					}
				})
			}
			for i := range n {
				owner.Lock()
				switch i % 5 {
				case round % 5:
					l.Remove(i%l.Len(), i%l.Len()+1)
				case 1:
					l.PushFront(element(i))
				default:
					l.Set(i%l.Len(), fmt.Append(nil, round))
				}
				owner.Unlock()
			}
		}
		readers.Wait()
		if l.views.Load() != 0 {
			t.Fatalf("%d views are left", l.views.Load())
		}
	}
}

// nodes has all nodes and blocks that a list consists of.
func (c *contents) nodes() map[any]bool {
	all := map[any]bool{}
	if c.tree == nil {
		if cap(c.buf) > 0 {
			all[&c.buf[:1][0]] = true
		}
		return all
	}
	var add func(in *inner)
	add = func(in *inner) {
		all[in] = true
		for _, k := range in.kids {
			if k.leaf != nil {
				all[k.leaf] = true
			} else {
				add(k.inner)
			}
		}
	}
	add(c.tree.root)
	return all
}

// TestCopiesAreBoundedByNodes: a change copies the nodes on its way, each at most
// once for one view, and none without a view.
func TestCopiesAreBoundedByNodes(t *testing.T) {
	for _, n := range []int{50, 50_000} {
		l := New()
		for i := range n {
			l.Reserve(DefaultLimits(), 1, 16)
			l.PushBack(element(i))
		}
		change := func(what string, most int) {
			t.Helper()
			before := l.nodes()
			l.Set(7, []byte("another element!"))
			fresh := 0
			for node := range l.nodes() {
				if !before[node] {
					fresh++
				}
			}
			if fresh != most {
				t.Errorf("%d elements, %s: %d nodes copied, want %d", n, what, fresh, most)
			}
		}
		whole := 1
		if l.tree != nil {
			whole = l.tree.height + 1
		}
		change("before any view", 0)
		v := l.Freeze()
		change("first change", whole)
		change("second change", 0)
		second := l.Freeze()
		second.Release()
		change("another view came and went", whole) // the first is still there
		v.Release()
		l.Freeze().Release()
		change("views came and went", 0)

		watchedBy := l.Own(1, true)
		if watchedBy == l {
			t.Fatal("a list that its owner looks at changes in place")
		}
		l = watchedBy
		change("the owner looks", whole)
		change("the owner still looks", 0)
		if l.Own(2, false) != l {
			t.Fatal("copied for nobody")
		}
		change("the owner looked away", 0)
		c := l.Clone()
		change("after Clone", whole)
		change("after Clone again", 0)
		l = c
		change("the clone", whole)
		change("the clone again", 0)
	}
}

// TestViewOutlivesTheOwnersView: a view or a clone of the list that Own went on from.
func TestViewOutlivesTheOwnersView(t *testing.T) {
	for _, n := range []int{3, 3000} {
		l := New()
		for i := range n {
			l.Reserve(DefaultLimits(), 1, 16)
			l.PushBack(element(i))
		}
		sum := l.Sum()
		overwrite := func(l *List) {
			l = l.Own(1, true).Own(2, false)
			for i := range n {
				l.Set(i, []byte("behind"))
			}
		}
		c := l.Clone()
		if overwrite(c); l.Resum() != sum {
			t.Errorf("%d elements: what was cloned changed", n)
		}
		c = l.Clone()
		if overwrite(l); c.Resum() != sum {
			t.Errorf("%d elements: the clone changed", n)
		}
		v := c.Freeze()
		if overwrite(c); v.Resum() != sum {
			t.Errorf("%d elements: the view changed", n)
		}
		v.Release()
	}
}
