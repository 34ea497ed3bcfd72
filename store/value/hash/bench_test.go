package hash

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"
)

const benchFields = 1 << 20

func benchField(i int) []byte { return fmt.Appendf(nil, "field:%010d", i) } // 16 bytes

func benchHash(valueLen int) *Hash {
	h := NewLarge()
	value := make([]byte, valueLen)
	for i := range benchFields {
		h.Set(benchField(i), value, DefaultLimits())
	}
	return h
}

// randomFields are names in random order, made before the clock runs.
func randomFields() [][]byte {
	rng := rand.New(rand.NewPCG(5, 6))
	fields := make([][]byte, 1<<16)
	for i := range fields {
		fields[i] = benchField(rng.IntN(benchFields))
	}
	return fields
}

func BenchmarkSetOneMillion(b *testing.B) {
	h, fields, value := benchHash(64), randomFields(), make([]byte, 64)
	defer measure(b)()
	for i := 0; b.Loop(); i++ {
		h.Set(fields[i%len(fields)], value, DefaultLimits())
	}
}

func BenchmarkSetOneMillionOtherLength(b *testing.B) {
	h, fields, value := benchHash(64), randomFields(), make([]byte, 80)
	defer measure(b)()
	for i := 0; b.Loop(); i++ {
		h.Set(fields[i%len(fields)], value[:48+i%32], DefaultLimits())
	}
}

func BenchmarkSetAndDeleteNew(b *testing.B) {
	h, value := benchHash(64), make([]byte, 64)
	defer measure(b)()
	for i := 0; b.Loop(); i++ {
		field := benchField(benchFields + i/2)
		if i%2 == 0 {
			h.Set(field, value, DefaultLimits())
		} else {
			h.Delete(field)
		}
	}
}

// Every change comes right after a freeze: each copies its whole path.
func BenchmarkSetAfterFreeze(b *testing.B) {
	h, fields, value := benchHash(64), randomFields(), make([]byte, 64)
	defer measure(b)()
	for i := 0; b.Loop(); i++ {
		v := h.Freeze()
		h.Set(fields[i%len(fields)], value, DefaultLimits())
		v.Release()
	}
}

func BenchmarkGetOneMillion(b *testing.B) {
	h, fields := benchHash(64), randomFields()
	defer measure(b)()
	for i := 0; b.Loop(); i++ {
		h.Get(fields[i%len(fields)])
	}
}

func BenchmarkAtOneMillion(b *testing.B) {
	h, rng := benchHash(64), rand.New(rand.NewPCG(7, 8))
	defer measure(b)()
	for b.Loop() {
		h.At(rng.IntN(benchFields))
	}
}

func BenchmarkFreeze(b *testing.B) {
	h := benchHash(64)
	defer measure(b)()
	for b.Loop() {
		h.Freeze().Release()
	}
}

func BenchmarkPackedSet(b *testing.B) {
	h, fields := New(), [][]byte{}
	for i := range 100 {
		fields = append(fields, benchField(i))
		h.Set(fields[i], make([]byte, 32), DefaultLimits())
	}
	value := make([]byte, 32)
	defer measure(b)()
	for i := 0; b.Loop(); i++ {
		h.Set(fields[i%100], value, DefaultLimits())
	}
}

func BenchmarkMapSetOneMillion(b *testing.B) {
	m, fields, value := map[string]string{}, randomFields(), make([]byte, 64)
	for i := range benchFields {
		m[string(benchField(i))] = string(value)
	}
	defer measure(b)()
	for i := 0; b.Loop(); i++ {
		m[string(fields[i%len(fields)])] = string(value)
	}
}

// measure reports allocations and processor time: on a busy machine the clock on
// the wall says little.
func measure(b *testing.B) (end func()) {
	b.ReportAllocs()
	runtime.GC()
	start := processorTime()
	return func() { b.ReportMetric(float64(processorTime()-start)/float64(b.N), "cpu-ns/op") }
}

func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
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
