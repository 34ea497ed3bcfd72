package hash

import "testing"

// TestAccountingIsCloseToTheHeap: Size decides about evictions, so it must be
// near what the process really needs.
func TestAccountingIsCloseToTheHeap(t *testing.T) {
	for _, c := range []struct {
		name          string
		fields, value int
		fieldsPerHash int
	}{
		{"packed, 5 fields", 50_000, 20, 5},
		{"packed, 100 fields", 100_000, 32, 100},
		{"large, just so", 100_000, 64, 200},
		{"large, short values", 200_000, 8, 200_000},
		{"large, values of 64", 200_000, 64, 200_000},
		{"large, values of 250", 50_000, 250, 50_000},
		{"large, long values", 50_000, 500, 50_000},
	} {
		var size int64
		heap := heapOf(func() any {
			var all []*Hash
			value := make([]byte, c.value)
			for i := range c.fields {
				if i%c.fieldsPerHash == 0 {
					all = append(all, New())
				}
				all[len(all)-1].Set(benchField(i), value, DefaultLimits())
			}
			for _, h := range all {
				size += h.Size()
			}
			return all
		})
		per := func(n int64) float64 { return float64(n) / float64(c.fields) }
		t.Logf("%-22s %7.1f bytes per field on the heap, %7.1f accounted", c.name, per(heap), per(size))
		if ratio := float64(heap) / float64(size); ratio > 1.15 || ratio < 0.8 {
			t.Errorf("%s: heap is %.2f times what is accounted", c.name, ratio)
		}
	}
}
