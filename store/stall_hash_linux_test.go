package store

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/store/value/hash"
)

// BenchmarkHashStall is BenchmarkSnapshotStall for one hash of a million fields:
// what a change costs without a snapshot and during one, in processor time of the
// writer.
func BenchmarkHashStall(b *testing.B) {
	s, key := New(DefaultOptions()), []byte("k")
	h := hash.New()
	for i := range million {
		h.Set(fmt.Appendf(nil, "field:%010d", i), make([]byte, 64), hash.DefaultLimits())
	}
	s.PutCollection(key, h, 0)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	update := func(done chan struct{}) (times []time.Duration) {
		for range 20_000 {
			select {
			case <-done:
				return times
			default:
			}
			field, value := fmt.Appendf(nil, "field:%010d", rand.IntN(million)), make([]byte, 60+rand.IntN(8))
			start := threadTime()
			s.UpdateHash(s.Get(key), func(h *hash.Hash) bool {
				h.Set(field, value, hash.DefaultLimits())
				return true
			})
			times = append(times, threadTime()-start)
		}
		return times
	}
	var freeze time.Duration
	var calm, busy []time.Duration
	for b.Loop() {
		calm = append(calm, update(nil)...)
		cpu := threadTime()
		sn := s.Freeze()
		freeze = max(freeze, threadTime()-cpu)
		done := make(chan struct{})
		go func() {
			defer close(done)
			sn.Digest()
			sn.Release()
		}()
		busy = append(busy, update(done)...)
		<-done
	}
	b.ReportMetric(float64(freeze.Nanoseconds()), "freeze-ns")
	for name, d := range map[string][]time.Duration{"calm": calm, "snapshot": busy} {
		slices.Sort(d)
		b.ReportMetric(float64(d[len(d)-1].Microseconds()), name+"-max-µs")
		b.ReportMetric(float64(d[len(d)*999/1000].Nanoseconds()), name+"-p99.9-ns")
		b.ReportMetric(float64(d[len(d)/2].Nanoseconds()), name+"-p50-ns")
	}
}
