package lock

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestListAsSorted compares lists, pages and counts with a sorted slice of names.
func TestListAsSorted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tab, held := NewTable(false), map[string]bool{}
		text := rapid.StringOfN(rapid.RuneFrom([]rune{'a', 'b', 0, '\u00ff'}), 0, 4, -1)
		raw := rapid.SampledFrom([]string{"", "\xff", "\xff\xff", "a\xff"})
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			name := "x" + text.Draw(t, "name")
			if rapid.IntRange(0, 3).Draw(t, "raw") == 0 {
				name = raw.Draw(t, "bytes") + name
			}
			if rapid.IntRange(0, 2).Draw(t, "op") > 0 {
				tab.Acquire(0, Request{Name: name, Token: "t", TTLMillis: 1})
				held[name] = true
			} else {
				tab.Release(0, []byte(name), []byte("t"))
				delete(held, name)
			}
		}
		prefix := rapid.SampledFrom([]string{"", "x", "xa", "xb", "x\x00", "\xff", "\xff\xff", "a\xff", "y"}).Draw(t, "prefix")
		var want []string
		for name := range held {
			if strings.HasPrefix(name, prefix) {
				want = append(want, name)
			}
		}
		slices.Sort(want)
		size := rapid.IntRange(1, 5).Draw(t, "page")
		var got []string
		for after, end := "", false; !end; {
			n := 0
			end = tab.List(prefix, after, func(l Listed) bool {
				if n == size {
					return false
				}
				n++
				after = l.Name
				got = append(got, l.Name)
				return true
			})
		}
		if !slices.Equal(got, want) || tab.Count(prefix) != len(want) {
			t.Fatalf("prefix %q: listed %q, counted %d, want %q", prefix, got, tab.Count(prefix), want)
		}
		checkOrder(t, tab.order.root)
	})
}

// checkOrder looks at what keeps the tree balanced, and at its counts.
func checkOrder(t *rapid.T, l *held) (n int) {
	if l == nil {
		return 0
	}
	for _, below := range []*held{l.tree.left, l.tree.right} {
		if below != nil && below.tree.weight > l.tree.weight {
			t.Fatalf("%q is above %q", l.name, below.name)
		}
	}
	if n = 1 + checkOrder(t, l.tree.left) + checkOrder(t, l.tree.right); n != l.tree.count {
		t.Fatalf("%q counts %d below it, there are %d", l.name, l.tree.count, n)
	}
	return n
}

// TestSortedNamesMakeNoDeepTree: the work of a request does not grow with the locks.
func TestSortedNamesMakeNoDeepTree(t *testing.T) {
	tab := NewTable(false)
	for i := range 20_000 {
		tab.Acquire(0, Request{Name: fmt.Sprintf("%08d", i), Token: "t", TTLMillis: 1})
	}
	if d := depth(tab.order.root); d > 100 {
		t.Errorf("20000 locks are %d deep", d)
	}
}

func depth(l *held) int {
	if l == nil {
		return 0
	}
	return 1 + max(depth(l.tree.left), depth(l.tree.right))
}

// TestBreak: the next waiter gets the lock with a higher fence; the old holder has lost it,
// and its fence counts no more, whether somebody waited or not.
func TestBreak(t *testing.T) {
	const now = 1700000000000
	tab := NewTable(true)
	tab.Acquire(now, Request{Name: "l", Token: "a", Owner: "alice", TTLMillis: 1000})
	tab.Acquire(now, Request{Name: "l", Token: "b", Owner: "bob", TTLMillis: 1000, WaitMillis: 500})
	first, _ := tab.Info([]byte("l"))
	if _, ok := tab.Break(now, []byte("l"), first.Fence+1); ok {
		t.Error("another grant than the one that was named was ended")
	}
	was, ok := tab.Break(now, []byte("l"), first.Fence)
	second, held := tab.Info([]byte("l"))
	if !ok || was != first || !held || second.Owner != "bob" || second.Fence <= first.Fence {
		t.Fatalf("%v %+v, then %+v", ok, was, second)
	}
	if _, ok := tab.Renew(now, []byte("l"), []byte("a"), 1000); ok || tab.Release(now, []byte("l"), []byte("a")) {
		t.Error("the old holder still holds the lock")
	}
	if _, v := tab.CheckFence(now, []byte("l"), first.Fence); v != FenceStale {
		t.Errorf("the old fence: %v", v)
	}
	if _, ok := tab.Break(now, []byte("l"), 0); !ok || tab.Len() != 0 {
		t.Error("nobody waits, and the lock is not free")
	}
	if _, v := tab.CheckFence(now, []byte("l"), second.Fence); v != FenceStale {
		t.Errorf("the fence of a grant that nobody followed: %v", v)
	}
	if _, ok := tab.Break(now, []byte("l"), 0); ok {
		t.Error("a free lock was released")
	}
	tab.Acquire(now, Request{Name: "l", Token: "c", TTLMillis: 1000})
	if third, _ := tab.Info([]byte("l")); third.Fence <= second.Fence {
		t.Errorf("fence %d after %d", third.Fence, second.Fence)
	}
	var told []string
	for _, e := range tab.TakeEvents() {
		told = append(told, fmt.Sprintf("%d %s%s", e.Kind, e.Owner, e.Reason))
	}
	if got := strings.Join(told, ", "); got != "1 alice, 2 aliceforced, 1 bob, 2 bobforced, 1 " {
		t.Errorf("told %q", got)
	}
}
