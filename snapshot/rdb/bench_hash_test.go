package rdb

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/lockstepkv/lockstep/snapshot/rdbtest"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/value/hash"
)

// BenchmarkHashMemoryBesideRedis reports bytes per field of one hash: on Go's heap, as
// accounted, in a Go map, and what redis-server says of the same hash, loaded from
// our file.
func BenchmarkHashMemoryBesideRedis(b *testing.B) {
	for _, c := range []struct{ fields, value int }{{100, 32}, {1_000_000, 8}, {1_000_000, 64}, {200_000, 250}, {100_000, 500}} {
		b.Run(fmt.Sprintf("%dx%d", c.fields, c.value), func(b *testing.B) {
			for b.Loop() {
				hashMemory(b, c.fields, c.value)
			}
		})
	}
}

func hashMemory(b *testing.B, fields, value int) {
	ctx := context.Background()
	key := "k"
	name := func(i int) []byte { return fmt.Appendf(nil, "field:%010d", i) }
	heap := func(build func()) float64 {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&before)
		build()
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&after)
		return float64(int64(after.HeapAlloc)-int64(before.HeapAlloc)) / float64(fields)
	}
	s := store.New(store.DefaultOptions())
	b.ReportMetric(heap(func() {
		h, v := hash.New(), make([]byte, value)
		for i := range fields {
			h.Set(name(i), v, hash.DefaultLimits())
		}
		s.PutCollection([]byte(key), h, 0)
	}), "heap-B")
	b.ReportMetric(float64(s.Used())/float64(fields), "accounted-B")

	var m map[string]string
	b.ReportMetric(heap(func() {
		m = map[string]string{}
		for i := range fields {
			m[string(name(i))] = string(make([]byte, value))
		}
	}), "map-B")
	runtime.KeepAlive(m)

	dir := b.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "dump.rdb"), encode(b, s, nil, WriteOptions{}), 0o600); err != nil {
		b.Fatal(err)
	}
	redis, stop := rdbtest.StartRedis(b, dir)
	defer stop()
	used, err := redis.Do(ctx, "MEMORY", "USAGE", key, "SAMPLES", 0).Int64()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(used)/float64(fields), "redis-B")
}
