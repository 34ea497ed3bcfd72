package store

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/lockstepkv/lockstep/store/value/hash"
)

const million = 1_000_000

// benchKey is 16 bytes long.
func benchKey(buf []byte, i int) []byte { return fmt.Appendf(buf[:0], "key:%012d", i) }

func fill(s *Store, n, valueLen int, expireAt func(i int) int64) {
	var buf [32]byte
	val := make([]byte, valueLen)
	for i := range n {
		s.Put(benchKey(buf[:], i), val, expireAt(i), false)
	}
}

func never(int) int64 { return 0 }

func heapBytes() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestAccountingIsCloseToTheHeap: what is accounted is within a tenth of what keys really
// take, when they are new and after all were overwritten, so that maxmemory means what it says.
func TestAccountingIsCloseToTheHeap(t *testing.T) {
	later := func(i int) int64 { return int64(i) + 1 }
	filled := func(n, value int, at func(int) int64) func(*Store) {
		return func(s *Store) { fill(s, n, value, at) }
	}
	for _, c := range []struct {
		name  string
		n     int
		build func(*Store)
	}{
		{"a million with 64 B values", million, filled(million, 64, never)},
		{"64 B values, overwritten", 300_000, func(s *Store) {
			fill(s, 300_000, 64, never)
			overwrite(s, 300_000, 64)
		}},
		{"64 B values, expiry", 300_000, filled(300_000, 64, later)},
		{"8 B values", 200_000, filled(200_000, 8, never)},
		{"900 B values", 40_000, filled(40_000, 900, never)},
		{"1 KiB values", 60_000, filled(60_000, 1024, never)},
		{"1 KiB values, expiry", 40_000, filled(40_000, 1024, later)},
		{"5000 B values", 8000, filled(8000, 5000, never)},
		{"40 KiB values", 1000, filled(1000, 40<<10+1, never)},
		{"appended to 600 B", 60_000, appended(60_000, 300, 2)},
		{"appended to 5000 B", 8000, appended(8000, 1000, 5)},
		{"appended to 1.3 MB", 30, appended(30, 130_000, 10)},
		{"hashes of 10 fields", 100_000, hashes(100_000, 10, 0, 0)},
		{"the same, overwritten", 100_000, hashes(100_000, 10, 10, 0)},
		{"the same, a third deleted", 100_000, hashes(100_000, 10, 10, 3)},
		{"a hash of a million fields", 1, hashes(1, million, 0, 0)},
		{"the same, a third deleted", 1, hashes(1, million, 300_000, 300_000)},
	} {
		before := heapBytes()
		s := New(Options{})
		fixed := heapBytes() - before
		c.build(s)
		heap := heapBytes() - before - fixed
		perKey := func(bytes int64) float64 { return float64(bytes) / float64(c.n) }
		t.Logf("%-28s heap %.1f, accounted %.1f bytes per key; segments %.1f, tables %.1f, %d per empty store",
			c.name, perKey(heap), perKey(s.Used()), perKey(s.mem.bytes), perKey(tableBytes(s)), fixed)
		if ratio := float64(s.Used()) / float64(heap); ratio < 0.9 || ratio > 1.1 {
			t.Errorf("%s: %.2f times what the heap holds is accounted", c.name, ratio)
		}
		runtime.KeepAlive(s)
	}
}

// overwrite puts as many of the keys of fill as there are, each time any of them.
func overwrite(s *Store, n, valueLen int) {
	var buf [32]byte
	val := make([]byte, valueLen)
	for range n {
		s.Put(benchKey(buf[:], rand.IntN(n)), val, 0, false)
	}
}

// appended returns what fills a store with values that grow in steps.
func appended(n, step, times int) func(*Store) {
	return func(s *Store) {
		var buf [32]byte
		tail := make([]byte, step)
		for i := range n {
			e := s.Put(benchKey(buf[:], i), tail, 0, false)
			for range times - 1 {
				e = s.Append(e, tail)
			}
		}
	}
}

// hashes returns what fills a store with hashes, of fields with names and values of 16 bytes, and
// then sets so many of them again, with values up to twice as long, and deletes some.
func hashes(n, fields, again, deleted int) func(*Store) {
	return func(s *Store) {
		var buf, name [32]byte
		field := func(i int) []byte { return fmt.Appendf(name[:0], "%016d", i) }
		for i := range n {
			h := hash.New()
			for k := range fields {
				h.Set(field(k), make([]byte, 16), hash.DefaultLimits())
			}
			e := s.PutCollection(benchKey(buf[:], i), h, 0)
			s.UpdateHash(e, func(h *hash.Hash) bool {
				for range again {
					h.Set(field(rand.IntN(fields)), make([]byte, 8+rand.IntN(17)), hash.DefaultLimits())
				}
				for _, k := range rand.Perm(fields)[:deleted] {
					h.Delete(field(k))
				}
				return again+deleted > 0
			})
		}
	}
}

func tableBytes(s *Store) (n int64) {
	for _, p := range s.dir {
		if p == nil {
			continue
		}
		n += int64(unsafe.Sizeof(*p))
		for _, t := range p.tables {
			if t != nil {
				n += int64(unsafe.Sizeof(*t)) + int64(cap(t.slots))*int64(unsafe.Sizeof(slot{}))
			}
		}
	}
	return n
}

func BenchmarkMillionKeys(b *testing.B) {
	before := heapBytes()
	s := New(DefaultOptions())
	fill(s, million, 64, never)
	heap := heapBytes() - before
	keys := make([][]byte, 1<<16)
	for i := range keys {
		keys[i] = benchKey(nil, rand.IntN(million))
	}
	val := make([]byte, 64)
	b.Run("Get", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			s.Get(keys[i%len(keys)])
		}
		b.ReportMetric(float64(heap)/million, "heapB/key")
	})
	b.Run("GetTouch", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			s.Touch(s.Get(keys[i%len(keys)]), int64(i)>>8)
		}
	})
	b.Run("Put", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			s.Put(keys[i%len(keys)], val, 0, false)
		}
	})
	b.Run("PutUniform", func(b *testing.B) { // over all keys: dead memory is everywhere
		b.ReportAllocs()
		var buf [32]byte
		rng := rand.New(rand.NewPCG(1, 1))
		for b.Loop() {
			s.Put(benchKey(buf[:], rng.IntN(million)), val, 0, false)
		}
	})
	b.Run("PutExpiring", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			s.Put(keys[i%len(keys)], val, int64(i)+1, false)
		}
	})
	b.Run("PutDelete", func(b *testing.B) {
		var buf [32]byte
		for i := 0; b.Loop(); i++ {
			s.Delete(s.Put(benchKey(buf[:], million+i), val, 0, false))
		}
	})
	b.Run("Random", func(b *testing.B) {
		rng := rand.New(rand.NewPCG(1, 1))
		for b.Loop() {
			s.Random(rng, nil)
		}
	})
	for _, p := range []Policy{AllKeysLRU, AllKeysLFU, AllKeysRandom, AllKeysSieve} {
		b.Run("Victims/"+p.String(), func(b *testing.B) {
			o := DefaultOptions()
			o.Policy = p
			s.Reconfigure(o)
			pick := seededPicker(1)
			start := time.Now()
			s.Prepare()
			b.ReportMetric(float64(time.Since(start).Milliseconds()), "prepare-ms")
			named := 0
			for b.Loop() {
				named += len(s.Victims(1000, 100*SizeOf(16, 64, false), pick))
			}
			b.ReportMetric(float64(b.Elapsed())/float64(named), "ns/victim")
		})
	}
}

// BenchmarkCollector looks a store of 10 M keys through again and again, and times reads
// meanwhile.
func BenchmarkCollector(b *testing.B) {
	const keys = 10 * million
	s := New(DefaultOptions())
	fill(s, keys, 64, never)
	var stop atomic.Bool
	var looks atomic.Int64
	ended := make(chan time.Duration)
	go func() {
		var all time.Duration
		for !stop.Load() {
			began := time.Now()
			runtime.GC()
			all += time.Since(began)
			looks.Add(1)
		}
		ended <- all
	}()
	var took []time.Duration
	var buf [32]byte
	rng := rand.New(rand.NewPCG(1, 1))
	for b.Loop() {
		key := benchKey(buf[:], rng.IntN(keys))
		began := time.Now()
		s.Get(key)
		took = append(took, time.Since(began))
	}
	stop.Store(true)
	all := <-ended
	slices.Sort(took)
	b.ReportMetric(float64(all.Milliseconds())/float64(looks.Load()), "ms/look")
	b.ReportMetric(float64(took[len(took)*999/1000].Nanoseconds()), "p99.9-ns")
	b.ReportMetric(float64(took[len(took)-1].Microseconds()), "max-µs")
	runtime.KeepAlive(s)
}
