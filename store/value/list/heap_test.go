package list

import (
	"runtime"
	"testing"
)

// TestAccountingIsCloseToTheHeap: Size decides about evictions, so it must be
// near what the process really needs.
func TestAccountingIsCloseToTheHeap(t *testing.T) {
	for _, c := range []struct {
		name              string
		elements, length  int
		perList           int
		front, everywhere bool
	}{
		{"packed, 10 elements", 100_000, 16, 10, false, false},
		{"packed, 400 elements", 200_000, 16, 400, false, false},
		{"large, just so", 200_000, 16, 600, false, false},
		{"large, numbers", 400_000, 8, 400_000, false, false},
		{"large, elements of 16", 400_000, 16, 400_000, false, false},
		{"large, from the front", 400_000, 16, 400_000, true, false},
		{"large, everywhere", 200_000, 16, 200_000, false, true},
		{"large, elements of 250", 50_000, 250, 50_000, false, false},
		{"large, elements of 500", 50_000, 500, 50_000, false, false},
		{"large, long elements", 50_000, 1000, 50_000, false, false},
	} {
		var size int64
		heap := heapOf(func() any {
			var all []*List
			value := make([]byte, c.length)
			for i := range c.elements {
				if i%c.perList == 0 {
					all = append(all, New())
				}
				l := all[len(all)-1]
				l.Reserve(DefaultLimits(), 1, len(value))
				switch {
				case c.front:
					l.PushFront(value)
				case c.everywhere:
					l.Insert(i*7919%(l.Len()+1), value)
				default:
					l.PushBack(value)
				}
			}
			for _, l := range all {
				size += l.Size()
			}
			return all
		})
		per := func(n int64) float64 { return float64(n) / float64(c.elements) }
		t.Logf("%-24s %7.1f bytes per element on the heap, %7.1f accounted", c.name, per(heap), per(size))
		ratio := float64(heap) / float64(size)
		if ratio > 1.1 && !c.everywhere || ratio > 1.3 || ratio < 0.9 { // half empty leaves are history
			t.Errorf("%s: heap is %.2f times what is accounted", c.name, ratio)
		}
	}
}

// heapOf returns what build leaves on the heap.
func heapOf(build func() any) int64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&before)
	kept := build()
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(kept)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}
