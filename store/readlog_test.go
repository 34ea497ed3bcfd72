package store

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/cespare/xxhash/v2"
)

func TestReadLogKeepsTheFirstReads(t *testing.T) {
	var l ReadLog
	if l.On() {
		t.Error("the zero value is switched on")
	}
	if got := l.Take(nil); len(got) != 0 {
		t.Errorf("empty log has %d reads", len(got))
	}
	var want []uint64
	for i := range readLogLen + 10 {
		key := fmt.Appendf(nil, "key-%d", i)
		l.Note(key)
		if i < readLogLen {
			want = append(want, xxhash.Sum64(key))
		}
	}
	if got := l.Take([]uint64{7}); !slices.Equal(got, append([]uint64{7}, want...)) {
		t.Errorf("%d hashes, not those of the first %d keys", len(got), readLogLen)
	}
	l.Note([]byte("again"))
	if got := l.Take(nil); !slices.Equal(got, []uint64{xxhash.Sum64String("again")}) {
		t.Errorf("after Take: %v", got)
	}
}

func TestReadLogInManyGoroutines(t *testing.T) {
	var l ReadLog
	known := make(map[uint64]bool)
	for i := range 100 {
		known[xxhash.Sum64(fmt.Appendf(nil, "key-%d", i))] = true
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 10_000 {
				l.Note(fmt.Appendf(nil, "key-%d", i%100))
			}
		})
	}
	wg.Go(func() {
		for range 1000 {
			for _, h := range l.Take(nil) {
				if h != 0 && !known[h] {
					t.Errorf("hash %x of no key", h)
				}
			}
		}
	})
	wg.Wait()
}

func TestTouchHash(t *testing.T) {
	s := New(DefaultOptions())
	for i := range 1000 {
		s.Put(fmt.Appendf(nil, "key-%d", i), []byte("v"), 0, false)
	}
	for i := 0; i < 1000; i += 2 {
		s.TouchHash(xxhash.Sum64(fmt.Appendf(nil, "key-%d", i)), 5000)
	}
	s.TouchHash(xxhash.Sum64String("no such key"), 6000)
	for i := range 1000 {
		want := int64(0)
		if i%2 == 0 {
			want = 5000
		}
		if got := s.Get(fmt.Appendf(nil, "key-%d", i)).Access().LastMillis; got != want {
			t.Fatalf("key-%d was last used at %d, want %d", i, got, want)
		}
	}
}
