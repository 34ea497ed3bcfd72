package histogram

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestQuantilesOfDurations(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(0, math.MaxInt64/100), 1, 50).Draw(t, "ns")
		var a, b Durations
		for i, v := range values {
			h := &a
			if i%2 == 1 {
				h = &b
			}
			h.Add(time.Duration(v), 1)
		}
		a.Merge(&b)
		slices.Sort(values)
		for _, q := range []float64{0.01, 0.5, 0.9, 1} {
			rank := max(int(q*float64(len(values))+0.5), 1)
			exact := values[rank-1]
			got := int64(a.Quantile(q))
			if got < exact || float64(got) > float64(exact)*1.04+1 {
				t.Fatalf("quantile %v of %v: %d, exactly %d", q, values, got, exact)
			}
		}
		if a.Max() != time.Duration(values[len(values)-1]) || a.Count() != uint64(len(values)) {
			t.Fatalf("%d durations up to %v", a.Count(), a.Max())
		}
	})
}

func TestBuckets(t *testing.T) {
	for _, s := range []Scale{0, 1, 5} {
		for i := range s.Buckets() - 1 {
			upper := s.Upper(i)
			if got := s.Bucket(upper); got != i {
				t.Fatalf("scale %d: the upper bound %d of bucket %d is in %d", s, upper, i, got)
			}
			if got := s.Bucket(upper + 1); got != i+1 {
				t.Fatalf("scale %d: %d is in bucket %d, want %d", s, upper+1, got, i+1)
			}
		}
		if last := s.Bucket(math.MaxUint64); last != s.Buckets()-1 {
			t.Errorf("scale %d: the last bucket is %d of %d", s, last, s.Buckets())
		}
	}
	var empty Durations
	if empty.Quantile(0.5) != 0 || empty.Mean() != 0 {
		t.Error("an empty histogram has no durations")
	}
}
