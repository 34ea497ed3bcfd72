package zset

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
)

func benchMember(i, length int) []byte {
	m := fmt.Appendf(nil, "member:%09d", i) // 16 bytes
	if length > len(m) {
		m = append(m, bytes.Repeat([]byte("m"), length-len(m))...)
	}
	return m[:length]
}

// TestAccountingIsCloseToTheHeap: Size decides about evictions, so it must be
// near what the process really needs.
func TestAccountingIsCloseToTheHeap(t *testing.T) {
	whole := func(i int) float64 { return float64(i % 1000) }
	stamp := func(i int) float64 { return 1.7e12 + float64(i) }
	random := rand.New(rand.NewPCG(1, 2))
	real := func(int) float64 { return random.Float64() }
	for _, c := range []struct {
		name            string
		members, length int
		score           func(int) float64
		membersPerSet   int
	}{
		{"packed, 10 members", 40_000, 16, real, 10},
		{"packed, 100 members", 40_000, 32, whole, 100},
		{"large, just so", 40_000, 32, real, 200},
		{"large, small integers", 60_000, 16, whole, 60_000},
		{"large, time stamps", 60_000, 16, stamp, 60_000},
		{"large, reals", 60_000, 16, real, 60_000},
		{"large, members of 48", 60_000, 48, real, 60_000},
		{"large, members of 64", 60_000, 64, real, 60_000},
		{"large, members of 100", 40_000, 100, real, 40_000},
		{"large, members of 250", 20_000, 250, real, 20_000},
		{"large, members of 500", 20_000, 500, real, 20_000},
	} {
		var size int64
		heap := heapOf(func() any {
			var all []*ZSet
			for i := range c.members {
				if i%c.membersPerSet == 0 {
					all = append(all, New())
				}
				all[len(all)-1].Add(benchMember(i, c.length), c.score(i), DefaultLimits())
			}
			for _, z := range all {
				size += z.Size()
			}
			return all
		})
		per := func(n int64) float64 { return float64(n) / float64(c.members) }
		t.Logf("%-22s %7.1f bytes per member on the heap, %7.1f accounted", c.name, per(heap), per(size))
		if ratio := float64(heap) / float64(size); ratio > 1.1 || ratio < 0.85 {
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
