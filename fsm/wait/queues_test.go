package wait

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
)

// TestOneElementServesOneWaiter: who waits at several topics leaves all of them with the
// first that has something, and keeps its turn at the others until then.
func TestOneElementServesOneWaiter(t *testing.T) {
	q := New(Options{})
	a, b := Topic{Kind: 2, Key: "a"}, Topic{Kind: 2, Key: "b"}
	both, onlyB := &Waiter{ID: "both", Deadline: Never}, &Waiter{ID: "b", Deadline: Never}
	q.Join(both, a, b, a)
	q.Join(onlyB, b)
	if got := both.Topics(); !slices.Equal(got, []Topic{a, b}) {
		t.Errorf("waits at %v", got)
	}
	if q.First(b) != both {
		t.Error("the second topic has another order")
	}
	q.Leave(q.First(a))
	if q.First(a) != nil || q.First(b) != onlyB || both.Waits() {
		t.Errorf("after the first was served: %v, %v", q.First(a), q.First(b))
	}
}

// TestCostsAndHashesAreThoseAskedFor, and are taken back as they were given.
func TestCostsAndHashesAreThoseAskedFor(t *testing.T) {
	q := New(Options{
		Cost: func(w *Waiter) int64 { return int64(len(w.Topic().Key)) },
		Hash: func(w *Waiter) uint64 { return uint64(w.Moment().At) },
	})
	w := &Waiter{ID: "w", Deadline: 7}
	q.Join(w, Topic{Lock, "four"})
	if q.Bytes() != 4 || q.Sum() != 7 {
		t.Errorf("%d bytes, sum %d", q.Bytes(), q.Sum())
	}
	q.Leave(w)
	if q.Bytes() != 0 || q.Sum() != 0 {
		t.Errorf("%d bytes, sum %d after the last has left", q.Bytes(), q.Sum())
	}
}

// TestBytesAreWhatWaitersTake: what is bounded by Bytes is bounded in memory.
func TestBytesAreWhatWaitersTake(t *testing.T) {
	for _, keys := range []int{1, 8} {
		q := New(Options{})
		before := liveHeap()
		for i := range 20_000 {
			topics := make([]Topic, keys)
			for k := range topics {
				topics[k] = Topic{Lock, fmt.Sprint(i, k)}
			}
			q.Join(&Waiter{ID: fmt.Sprint(i), Deadline: int64(i)}, topics...)
		}
		if used := liveHeap() - before; used > q.Bytes() || used < q.Bytes()/3 {
			t.Errorf("%d keys each: %d bytes are counted, %d taken", keys, q.Bytes(), used)
		}
		runtime.KeepAlive(q)
	}
}

func liveHeap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkTurn is one that joins and one that is served, with 10,000 in the queue.
func BenchmarkTurn(b *testing.B) {
	q, topic := New(Options{}), Topic{Lock, "l"}
	for i := range 10_000 {
		q.Join(&Waiter{ID: fmt.Sprint(i), Deadline: int64(i)}, topic)
	}
	for i := 10_000; b.Loop(); i++ {
		q.Leave(q.First(topic))
		q.Join(&Waiter{ID: fmt.Sprint(i), Deadline: int64(i)}, topic)
	}
}
