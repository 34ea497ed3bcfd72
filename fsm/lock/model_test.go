package lock

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/lockstepkv/lockstep/fsm/wait"
	"github.com/lockstepkv/lockstep/internal/heapuse"
)

// naive is a lock table as one would write it without any thought of speed.
type naive struct {
	now       int64
	lastFence uint64
	locks     map[string]*naiveLock
}

type naiveLock struct {
	token, owner string
	ttl, ends    int64
	fence        uint64
	queue        []naiveWaiter
}

type naiveWaiter struct {
	token, owner  string
	ttl, deadline int64
	from          wait.Session
}

func (n *naive) fence() uint64 {
	n.lastFence = max(n.lastFence+1, uint64(n.now-1577836800000)*4096)
	return n.lastFence
}

// settle ends what is over. The order in which locks are served decides which of
// them gets which fence: by time, then by name.
func (n *naive) settle() {
	for {
		var due *naiveLock
		var name string
		for candidate, l := range n.locks {
			if l.ends <= n.now && (due == nil || l.ends < due.ends || l.ends == due.ends && candidate < name) {
				due, name = l, candidate
			}
		}
		if due == nil {
			break
		}
		n.next(name)
	}
	for _, l := range n.locks {
		l.queue = slices.DeleteFunc(l.queue, func(w naiveWaiter) bool { return w.deadline <= n.now })
	}
}

// next gives a lock to the first who waits in time, or frees it.
func (n *naive) next(name string) {
	l := n.locks[name]
	for len(l.queue) > 0 {
		w := l.queue[0]
		l.queue = l.queue[1:]
		if w.deadline > n.now {
			l.token, l.owner, l.ttl, l.ends, l.fence = w.token, w.owner, w.ttl, n.now+w.ttl, n.fence()
			return
		}
	}
	delete(n.locks, name)
}

func (n *naive) acquire(r Request) (Status, uint64) {
	l := n.locks[r.Name]
	if l == nil {
		l = &naiveLock{token: r.Token, owner: r.Owner, ttl: r.TTLMillis, ends: n.now + r.TTLMillis, fence: n.fence()}
		n.locks[r.Name] = l
		return Granted, l.fence
	}
	switch {
	case l.token == r.Token:
		return Granted, l.fence
	case slices.ContainsFunc(l.queue, func(w naiveWaiter) bool { return w.token == r.Token }):
		return Queued, l.fence
	case r.WaitMillis == 0:
		return Held, l.fence
	}
	l.queue = append(l.queue, naiveWaiter{r.Token, r.Owner, r.TTLMillis, n.now + r.WaitMillis, wait.Session{Node: r.Node, Boot: r.Boot}})
	return Queued, l.fence
}

func (n *naive) release(name, token string) bool {
	if l := n.locks[name]; l != nil && l.token == token {
		n.next(name)
		return true
	}
	return false
}

// TestAsNaive compares the table with the naive one over random histories, and
// with what snapshots of it read.
func TestAsNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := &naive{now: 1700000000000, locks: map[string]*naiveLock{}}
		tab := NewTable(true)
		name := rapid.SampledFrom([]string{"a", "b", "c"})
		token := rapid.SampledFrom([]string{"t1", "t2", "t3", "t4", "t5", "t6"})
		millis := rapid.Int64Range(1, 40)
		fences := map[uint64]bool{}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			n.now += rapid.Int64Range(0, 15).Draw(t, "pass")
			n.settle()
			tab.Advance(n.now)
			nm, tk := name.Draw(t, "name"), token.Draw(t, "token")
			switch rapid.IntRange(0, 8).Draw(t, "op") {
			case 0, 1, 2:
				r := Request{
					Name: nm, Token: tk, Owner: "o" + tk, TTLMillis: millis.Draw(t, "ttl"), WaitMillis: rapid.Int64Range(0, 60).Draw(t, "wait"),
					Node: rapid.SampledFrom([]string{"n1", "n2"}).Draw(t, "node"), Boot: rapid.Uint64Range(1, 3).Draw(t, "boot"),
				}
				want, fence := n.acquire(r)
				if got, g, _ := tab.Acquire(n.now, r); got != want || g.Fence != fence {
					t.Fatalf("acquire %+v: %v %d, want %v %d", r, got, g.Fence, want, fence)
				}
			case 3:
				ttl := millis.Draw(t, "ttl")
				l := n.locks[nm]
				want := l != nil && l.token == tk
				if want {
					l.ttl, l.ends = ttl, n.now+ttl
				}
				if _, got := tab.Renew(n.now, []byte(nm), []byte(tk), ttl); got != want {
					t.Fatalf("renew %s %s: %v, want %v", nm, tk, got, want)
				}
			case 4:
				if got, want := tab.Release(n.now, []byte(nm), []byte(tk)), n.release(nm, tk); got != want {
					t.Fatalf("release %s %s: %v, want %v", nm, tk, got, want)
				}
			case 5:
				give := rapid.Bool().Draw(t, "give up")
				l := n.locks[nm]
				want := l != nil && l.token == tk && !give
				if l != nil && l.token == tk && give {
					n.next(nm)
				} else if l != nil {
					l.queue = slices.DeleteFunc(l.queue, func(w naiveWaiter) bool { return w.token == tk })
				}
				if _, got := tab.Cancel(n.now, []byte(nm), []byte(tk), give); got != want {
					t.Fatalf("cancel %s %s: %v, want %v", nm, tk, got, want)
				}
			case 6:
				for _, l := range n.locks {
					l.ends = max(l.ends, n.now+l.ttl)
				}
				tab.LeaderStart(n.now)
			case 7:
				for _, l := range n.locks {
					l.queue = slices.DeleteFunc(l.queue, func(w naiveWaiter) bool { return w.from.Node == "n1" && w.from.Boot < 3 })
				}
				tab.DropNode("n1", 3)
			case 8:
				l, fence := n.locks[nm], uint64(0)
				if l != nil && rapid.Bool().Draw(t, "one grant") {
					fence = l.fence + uint64(rapid.IntRange(0, 1).Draw(t, "another"))
				}
				want := l != nil && (fence == 0 || fence == l.fence)
				if want {
					if n.next(nm); n.locks[nm] == nil {
						n.fence() // the old one counts no more
					}
				}
				if _, got := tab.Break(n.now, []byte(nm), fence); got != want {
					t.Fatalf("break %s %d: %v, want %v", nm, fence, got, want)
				}
			}
			compare(t, n, tab)
			for _, e := range tab.TakeEvents() {
				if e.Kind == EventGranted {
					if fences[e.Fence] {
						t.Fatalf("fence %d was granted twice", e.Fence)
					}
					fences[e.Fence] = true
				}
			}
			if rapid.IntRange(0, 5).Draw(t, "snapshot") == 0 {
				encoded := tab.AppendTo(nil)
				again, rest, err := Decode(encoded, true)
				if err != nil || len(rest) != 0 || string(again.AppendTo(nil)) != string(encoded) {
					t.Fatalf("a snapshot does not read as it was: %v, %d bytes left", err, len(rest))
				}
				if again.Sum() != tab.Sum() {
					t.Fatal("a table read from a snapshot has another sum")
				}
				tab = again
			}
		}
	})
}

func compare(t *rapid.T, n *naive, tab *Table) {
	var bytes int64
	waiting := 0
	for name, l := range n.locks {
		info, held := tab.Info([]byte(name))
		if !held || info.Fence != l.fence || info.ExpiresAt != l.ends || info.Owner != l.owner || info.Waiters != len(l.queue) {
			t.Fatalf("%s is %v %+v, want %+v", name, held, info, l)
		}
		queue := slices.Collect(tab.queues.At(Topic(name)))
		for i, w := range l.queue {
			if i == len(queue) || queue[i].ID != w.token || queue[i].Deadline != w.deadline {
				t.Fatalf("%s: the queue differs at %s", name, w.token)
			}
			bytes += cost(name, w.token, w.owner)
			waiting++
		}
		bytes += cost(name, l.token, l.owner)
	}
	var listed []string
	tab.List("", "", func(l Listed) bool { listed = append(listed, l.Name); return true })
	if want := slices.Sorted(maps.Keys(n.locks)); !slices.Equal(listed, want) || tab.Count("") != len(want) {
		t.Fatalf("listed %q, counted %d, want %q", listed, tab.Count(""), want)
	}
	if tab.Len() != len(n.locks) || tab.Waiters() != waiting || tab.Bytes() != bytes || tab.grants.Len() != len(n.locks) {
		t.Fatalf("%d locks, %d waiters, %d bytes, %d timers; want %d, %d, %d, %d",
			tab.Len(), tab.Waiters(), tab.Bytes(), tab.grants.Len(), len(n.locks), waiting, bytes, len(n.locks))
	}
}

func FuzzDecode(f *testing.F) {
	tab := NewTable(false)
	for i := range 3 {
		r := Request{Name: "l", Token: fmt.Sprint(i), Owner: "o", TTLMillis: 10, WaitMillis: 10, Node: "n", Boot: 1}
		tab.Acquire(1700000000000, r)
	}
	f.Add(tab.AppendTo(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		var tab *Table
		var err error
		if used := heapuse.Exceeds(len(data), 256, func() { tab, _, err = Decode(data, false) }); used > 0 {
			t.Fatalf("%d bytes allocated for %d", used, len(data))
		}
		if err == nil {
			if _, _, err := Decode(tab.AppendTo(nil), false); err != nil {
				t.Fatalf("what was decoded and encoded does not decode: %v", err)
			}
		}
	})
}
