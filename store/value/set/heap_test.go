package set

import (
	"fmt"
	"runtime"
	"testing"
)

// heapOf returns what the heap holds more once fill has run, which keeps it.
func heapOf(fill func()) int64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	fill()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

// TestAccountingIsCloseToTheHeap, within a tenth for what has many members.
func TestAccountingIsCloseToTheHeap(t *testing.T) {
	for _, c := range []struct {
		name, format  string
		sets, members int
		least, most   float64
	}{
		{"large", "%016d-", 1, 300_000, 0.9, 1.1},
		{"short", "m%d", 1, 300_000, 0.85, 1.15},
		{"long", "%0100d-", 1, 100_000, 0.9, 1.1},
		{"packed", "%015d-", 10_000, 10, 0.8, 1.2},
		{"integers", "%d", 10_000, 10, 0.7, 1.3},
	} {
		var sets []*Set
		accounted := int64(0)
		used := heapOf(func() {
			for range c.sets {
				s := New(fmt.Appendf(nil, c.format, 0), 1, DefaultLimits())
				for i := range c.members {
					s.Add(fmt.Appendf(nil, c.format, i), DefaultLimits())
				}
				sets = append(sets, s)
			}
		})
		for _, s := range sets {
			accounted += s.Size()
		}
		runtime.KeepAlive(sets)
		ratio := float64(accounted) / float64(used)
		t.Logf("%s: heap %.1f, accounted %.1f per member (%.2f)", c.name, float64(used)/float64(c.sets*c.members), float64(accounted)/float64(c.sets*c.members), ratio)
		if ratio < c.least || ratio > c.most {
			t.Errorf("%s: accounted for %.2f of the heap", c.name, ratio)
		}
	}
}
