package raftlog

import (
	"runtime"
	"testing"

	"github.com/hashicorp/raft"
)

// fill stores n entries of size bytes after those that s has.
func fill(t *testing.T, s *Store, n, size int) {
	t.Helper()
	last, err := s.LastIndex()
	if err != nil {
		t.Fatal(err)
	}
	for n > 0 {
		part := min(n, 512)
		logs := make([]*raft.Log, part)
		for i := range logs {
			last++
			logs[i] = &raft.Log{Index: last, Term: 1, Data: make([]byte, size)}
		}
		if err := s.StoreLogs(logs); err != nil {
			t.Fatal(err)
		}
		n -= part
	}
}

func openCached(t *testing.T, b *CacheBudget) *Store {
	t.Helper()
	s := mustOpen(t, Options{Dir: t.TempDir(), CacheBudget: b})
	return s
}

// The logs of a node had 32 MiB each, outside every limit.
func TestCachesOfANodeShareABudget(t *testing.T) {
	const limit = 1 << 20
	b := NewCacheBudget(limit)
	stores := []*Store{openCached(t, b), openCached(t, b), openCached(t, b)}
	quiet := openCached(t, b)
	fill(t, quiet, 10, 1000)
	small := quiet.CacheHeld()
	for range 20 {
		for _, s := range stores {
			fill(t, s, 100, 1000)
			if used := b.Used(); used > limit {
				t.Fatalf("caches take %d of %d bytes", used, limit)
			}
		}
	}
	sum := quiet.CacheHeld()
	for i, s := range stores {
		if held := s.CacheHeld(); held < limit/5 || held > limit/2 {
			t.Errorf("log %d of three busy ones has %d of %d bytes", i, held, limit)
		}
		sum += s.CacheHeld()
	}
	if quiet.CacheHeld() != small {
		t.Errorf("a quiet log lost its cache: %d of %d bytes", quiet.CacheHeld(), small)
	}
	if sum != b.Used() {
		t.Errorf("the caches say %d bytes, the budget %d", sum, b.Used())
	}
	for _, s := range append(stores, quiet) {
		last, _ := s.LastIndex()
		for index := uint64(1); index <= last; index += 7 {
			var l raft.Log
			if err := s.GetLog(index, &l); err != nil || l.Index != index {
				t.Fatalf("entry %d: %+v, %v", index, l, err)
			}
		}
	}
	// One that ends makes room for the others.
	for _, s := range stores[:2] {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := b.Used(), stores[2].CacheHeld()+quiet.CacheHeld(); got != want {
		t.Errorf("after two have closed: %d bytes, want %d", got, want)
	}
	fill(t, stores[2], 2000, 1000)
	if held := stores[2].CacheHeld(); held < limit*3/4 {
		t.Errorf("the only busy log has %d of %d bytes", held, limit)
	}
}

func TestNoCacheWithoutABudget(t *testing.T) {
	b := NewCacheBudget(0)
	s := openCached(t, b)
	fill(t, s, 100, 1000)
	if b.Used() != 0 || s.CacheHeld() != 0 {
		t.Errorf("cached %d bytes without a budget", b.Used())
	}
	var l raft.Log
	if err := s.GetLog(50, &l); err != nil || l.Index != 50 {
		t.Errorf("entry 50: %+v, %v", l, err)
	}
}

// Followers were sent a bit that had changed in the leader's memory, and stored it under a good checksum.
func TestEntryChangedInMemoryIsReadFromDisk(t *testing.T) {
	for _, engine := range Engines() {
		t.Run(engine, func(t *testing.T) {
			s := mustOpen(t, Options{Dir: t.TempDir(), Engine: engine})
			for i := range uint64(4) {
				l := &raft.Log{Index: i + 1, Term: 3, Data: []byte("data"), Extensions: []byte("more")}
				if err := s.StoreLog(l); err != nil {
					t.Fatal(err)
				}
			}
			s.mu.Lock()
			s.cache.slot(1).Data[2] ^= 4
			s.cache.slot(2).Extensions[0] ^= 1
			s.cache.slot(3).Term ^= 1
			s.mu.Unlock()
			for i := range uint64(4) {
				var l raft.Log
				if err := s.GetLog(i+1, &l); err != nil || l.Index != i+1 || l.Term != 3 || string(l.Data) != "data" || string(l.Extensions) != "more" {
					t.Errorf("entry %d: %+v, %v", i+1, l, err)
				}
			}
			if n := s.CacheDamaged(); n != 3 {
				t.Errorf("%d entries counted as damaged, want 3", n)
			}
		})
	}
}

// What the cache says it takes is what the heap grows by.
func TestCacheCountsWhatItTakes(t *testing.T) {
	for _, size := range []int{8, 100, 5000} {
		c := entryCache{maxBytes: 16 << 20}
		before := heap()
		for i := range uint64(200_000) {
			c.push(&raft.Log{Index: i + 1, Data: make([]byte, size)}, 0)
		}
		grown := heap() - before
		if held := c.held.Load(); held > c.maxBytes || float64(held) < 0.8*float64(grown) || float64(held) > 1.25*float64(grown) {
			t.Errorf("entries of %d bytes: counted %d of %d, the heap grew by %d", size, held, c.maxBytes, grown)
		}
		runtime.KeepAlive(&c)
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
