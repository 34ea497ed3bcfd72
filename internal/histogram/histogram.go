// Package histogram counts values in buckets whose width grows with the values, as
// HdrHistogram does: each power of two is divided into equally wide buckets, so that the error
// of a quantile is a part of the value. How many there are is the Scale: Durations has 32 of
// them, at most 3 % off, for reports; the nodes' figures for every command have one.
package histogram

import (
	"math/bits"
	"time"
)

// Scale is the binary logarithm of the number of buckets to a power of two.
type Scale int

// Bucket returns the bucket of a value: it keeps the highest s+1 bits.
func (s Scale) Bucket(v uint64) int {
	shift := max(bits.Len64(v)-int(s)-1, 0)
	return shift<<s + int(v>>shift)
}

// Upper returns the largest value in bucket i.
func (s Scale) Upper(i int) uint64 {
	if i < 2<<s {
		return uint64(i)
	}
	shift := i>>s - 1
	mantissa := uint64(i - shift<<s)
	return (mantissa+1)<<shift - 1
}

// Buckets is how many there are for all values.
func (s Scale) Buckets() int { return (64 - int(s) + 1) << s }

// Quantile returns the bucket that holds the q-th part of what is counted, 0 < q <= 1, by the
// nearest rank; false where nothing is.
func Quantile[N int64 | uint64](counts []N, q float64) (bucket int, found bool) {
	var n N
	for _, c := range counts {
		n += c
	}
	if n == 0 {
		return 0, false
	}
	rank := max(N(q*float64(n)+0.5), 1)
	var seen N
	for i, c := range counts {
		if seen += c; seen >= rank {
			return i, true
		}
	}
	return len(counts) - 1, true
}

const (
	durationScale   Scale = 5
	durationBuckets       = (64 - durationScale + 1) << durationScale
)

// Durations counts durations. The zero value is empty. It is not safe for concurrent use.
type Durations struct {
	counts [durationBuckets]uint64
	n      uint64
	sum    time.Duration
	max    time.Duration
}

// Add counts d as often as times says; what is negative counts as 0.
func (h *Durations) Add(d time.Duration, times uint64) {
	d = max(d, 0)
	h.counts[durationScale.Bucket(uint64(d))] += times
	h.n += times
	h.sum += d * time.Duration(times)
	h.max = max(h.max, d)
}

// Merge adds what o has counted.
func (h *Durations) Merge(o *Durations) {
	for i, c := range o.counts {
		h.counts[i] += c
	}
	h.n += o.n
	h.sum += o.sum
	h.max = max(h.max, o.max)
}

// Count is how many durations there are.
func (h *Durations) Count() uint64 { return h.n }

// Max is the longest.
func (h *Durations) Max() time.Duration { return h.max }

// Mean is exact; 0 without durations.
func (h *Durations) Mean() time.Duration {
	if h.n == 0 {
		return 0
	}
	return h.sum / time.Duration(h.n)
}

// Quantile is the upper bound of the bucket that holds the q-th part, 0 < q <= 1.
func (h *Durations) Quantile(q float64) time.Duration {
	i, found := Quantile(h.counts[:], q)
	if !found {
		return 0
	}
	return min(time.Duration(durationScale.Upper(i)), h.max)
}
