package list

import (
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"
)

const benchElements = 1 << 20

// bench runs fn on a list of a million elements of 16 bytes.
func bench(b *testing.B, fn func(l *List, rng *rand.Rand)) {
	l, rng := million(benchElements), rand.New(rand.NewPCG(7, 8))
	b.ReportAllocs()
	runtime.GC()
	start := processorTime()
	for b.Loop() {
		fn(l, rng)
	}
	b.ReportMetric(float64(processorTime()-start)/float64(b.N), "cpu-ns/op")
}

// processorTime counts what this process used: on a busy machine the clock on the
// wall says little.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

var benchValue = []byte("element:12345678")

func BenchmarkPushBack(b *testing.B) {
	bench(b, func(l *List, _ *rand.Rand) { l.PushBack(benchValue) })
}

func BenchmarkPushFront(b *testing.B) {
	bench(b, func(l *List, _ *rand.Rand) { l.PushFront(benchValue) })
}

func BenchmarkQueue(b *testing.B) { // LPUSH and RPOP
	bench(b, func(l *List, _ *rand.Rand) {
		l.PushFront(benchValue)
		l.Remove(l.Len()-1, l.Len())
	})
}

func BenchmarkAt(b *testing.B) {
	bench(b, func(l *List, rng *rand.Rand) { l.At(rng.IntN(l.Len())) })
}

func BenchmarkSet(b *testing.B) {
	bench(b, func(l *List, rng *rand.Rand) { l.Set(rng.IntN(l.Len()), benchValue) })
}

func BenchmarkInsertAndRemove(b *testing.B) {
	bench(b, func(l *List, rng *rand.Rand) {
		l.Insert(rng.IntN(l.Len()), benchValue)
		i := rng.IntN(l.Len())
		l.Remove(i, i+1)
	})
}

func BenchmarkPushAfterFreeze(b *testing.B) { // each copies its whole path
	bench(b, func(l *List, _ *rand.Rand) {
		v := l.Freeze()
		l.PushBack(benchValue)
		v.Release()
	})
}

func BenchmarkForwardAll(b *testing.B) {
	bench(b, func(l *List, _ *rand.Rand) {
		n := 0
		l.Forward(0, func(e []byte) bool { n += len(e); return true })
	})
}

func BenchmarkIndexOfTheLast(b *testing.B) {
	bench(b, func(l *List, _ *rand.Rand) { l.Index([]byte("not there")) })
}
