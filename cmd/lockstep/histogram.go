package main

import (
	"math/bits"
	"time"
)

const (
	histogramSubBits = 5 // 32 buckets per power of two: at most 3 % off
	histogramBuckets = (64 - histogramSubBits + 1) << histogramSubBits
)

// histogram counts durations in log-linear buckets, as HdrHistogram does. The
// zero histogram is empty. It is not safe for concurrent use.
type histogram struct {
	counts [histogramBuckets]uint64
	n      uint64
	sum    time.Duration
	max    time.Duration
}

func (h *histogram) add(d time.Duration, times uint64) {
	d = max(d, 0)
	h.counts[bucketOf(uint64(d))] += times
	h.n += times
	h.sum += d * time.Duration(times)
	h.max = max(h.max, d)
}

func (h *histogram) merge(o *histogram) {
	for i, c := range o.counts {
		h.counts[i] += c
	}
	h.n += o.n
	h.sum += o.sum
	h.max = max(h.max, o.max)
}

func (h *histogram) mean() time.Duration {
	if h.n == 0 {
		return 0
	}
	return h.sum / time.Duration(h.n)
}

// quantile is the upper bound of the bucket that holds the q-th part, 0 < q <= 1.
func (h *histogram) quantile(q float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	rank := max(uint64(q*float64(h.n)+0.5), 1)
	var seen uint64
	for i, c := range h.counts {
		if seen += c; seen >= rank {
			return min(bucketUpper(i), h.max)
		}
	}
	return h.max
}

// bucketOf keeps the highest histogramSubBits+1 bits of ns.
func bucketOf(ns uint64) int {
	shift := max(bits.Len64(ns)-histogramSubBits-1, 0)
	return shift<<histogramSubBits + int(ns>>shift)
}

// bucketUpper is the largest value that bucketOf maps to bucket i.
func bucketUpper(i int) time.Duration {
	const sub = 1 << histogramSubBits
	if i < 2*sub {
		return time.Duration(i)
	}
	shift := i>>histogramSubBits - 1
	mantissa := uint64(i - shift<<histogramSubBits)
	return time.Duration((mantissa+1)<<shift - 1)
}
