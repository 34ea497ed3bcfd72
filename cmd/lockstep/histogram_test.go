package main

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestHistogramQuantiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(0, math.MaxInt64/100), 1, 50).Draw(t, "ns")
		var a, b histogram
		for i, v := range values {
			h := &a
			if i%2 == 1 {
				h = &b
			}
			h.add(time.Duration(v), 1)
		}
		a.merge(&b)
		slices.Sort(values)
		for _, q := range []float64{0.01, 0.5, 0.9, 1} {
			rank := max(int(q*float64(len(values))+0.5), 1)
			exact := values[rank-1]
			got := int64(a.quantile(q))
			if got < exact || float64(got) > float64(exact)*1.04+1 {
				t.Fatalf("quantile %v of %v: %d, exactly %d", q, values, got, exact)
			}
		}
	})
}

func TestHistogramBuckets(t *testing.T) {
	for i := range histogramBuckets - 1 {
		upper := bucketUpper(i)
		if upper < 0 {
			break
		}
		if got := bucketOf(uint64(upper)); got != i {
			t.Fatalf("the upper bound %d of bucket %d is in %d", upper, i, got)
		}
		if got := bucketOf(uint64(upper) + 1); got != i+1 {
			t.Fatalf("%d is in bucket %d, want %d", upper+1, got, i+1)
		}
	}
	var empty histogram
	if empty.quantile(0.5) != 0 || empty.mean() != 0 {
		t.Error("an empty histogram has no durations")
	}
}
