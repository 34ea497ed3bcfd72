package store

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// threadTime returns the processor time that the calling thread has used.
func threadTime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		panic(err)
	}
	return time.Duration(ts.Nano())
}

// BenchmarkSnapshotStall reports what a snapshot of a million keys does to the
// writer: the time of Freeze, and of the slowest and typical Put meanwhile,
// beside the same without a snapshot. Time is that of the writer's thread, so that
// other processes on the machine do not count; what the garbage collector makes
// the writer do does.
func BenchmarkSnapshotStall(b *testing.B) {
	s := New(DefaultOptions())
	fill(s, million, 64, func(i int) int64 { return int64(i % 2 * (i + 1)) })
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var freeze, dump time.Duration
	var calm, busy []time.Duration
	for b.Loop() {
		calm = append(calm, puts(s, nil)...)
		start, cpu := time.Now(), threadTime()
		sn := s.Freeze()
		freeze = max(freeze, threadTime()-cpu)
		done := make(chan struct{})
		go func() {
			defer close(done)
			sn.Digest()
			dump = max(dump, time.Since(start))
			sn.Release()
		}()
		busy = append(busy, puts(s, done)...)
		<-done
	}
	b.ReportMetric(float64(freeze.Microseconds()), "freeze-µs")
	b.ReportMetric(float64(dump.Milliseconds()), "dump-ms")
	report := func(name string, d []time.Duration) {
		slices.Sort(d)
		b.ReportMetric(float64(d[len(d)-1].Microseconds()), name+"-max-µs")
		b.ReportMetric(float64(d[len(d)*999/1000].Nanoseconds()), name+"-p99.9-ns")
		b.ReportMetric(float64(d[len(d)/2].Nanoseconds()), name+"-p50-ns")
	}
	report("calm", calm)
	report("snapshot", busy)
}

// puts measures random Puts until done is closed, or 200,000 of them.
func puts(s *Store, done <-chan struct{}) (took []time.Duration) {
	var buf [32]byte
	val := make([]byte, 64)
	for i := 0; ; i++ {
		if i%100 == 0 {
			select {
			case <-done:
				return took
			default:
			}
		}
		if done == nil && i == 200_000 {
			return took
		}
		k := benchKey(buf[:], rand.IntN(million))
		start := threadTime()
		s.Put(k, val, int64(i&1), false)
		took = append(took, threadTime()-start)
	}
}
