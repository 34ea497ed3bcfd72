package store

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/cespare/xxhash/v2"
)

// TestSnapshotWhileWritingAndReading runs the writer, readers and the choice of
// victims under the read lock, and two dumpers without any lock, all at once.
// Its point is the race detector, and that both dumpers see the frozen state.
func TestSnapshotWhileWritingAndReading(t *testing.T) {
	for _, p := range []Policy{AllKeysLFU, AllKeysSieve, VolatileLRU} {
		t.Run(p.String(), func(t *testing.T) { writeReadAndDump(t, p) })
	}
}

func writeReadAndDump(t *testing.T, policy Policy) {
	const keys, rounds = 2000, 10
	s := New(Options{Policy: policy})
	key := func(i int) []byte { return fmt.Appendf(nil, "key-%d", i) }
	for i := range keys {
		s.Put(key(i), []byte("0"), int64(i%2)*1000, false)
	}
	var mu sync.RWMutex
	var readers, dumpers sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				mu.RLock()
				if e := s.Get(key(i % keys)); e != nil {
					s.Touch(e, int64(i))
					_ = append([]byte(nil), e.Bytes()...)
				}
				mu.RUnlock()
			}
		})
	}
	readers.Go(func() {
		pick := NewPicker()
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			mu.RLock()
			s.Victims(int64(i), 500, pick)
			mu.RUnlock()
		}
	})
	for round := range rounds {
		mu.Lock()
		want, n, used := s.Digest(), s.Len(), s.Used()
		sn := s.Freeze()
		mu.Unlock()
		dumpers.Go(func() {
			defer sn.Release()
			if sn.Digest() != want || sn.Len() != n || sn.Used() != used {
				t.Errorf("round %d: the frozen view changed", round)
			}
		})
		for i := range keys {
			mu.Lock()
			change(s, key(i), i+round)
			mu.Unlock()
		}
		if round == rounds/2 {
			mu.Lock()
			s.Clear()
			mu.Unlock()
		}
		if round%2 == 1 { // so that two overlap
			dumpers.Wait()
		}
	}
	close(stop)
	readers.Wait()
	dumpers.Wait()
	if n := s.frozen.Load(); n != 0 {
		t.Fatalf("%d snapshots are left", n)
	}
}

func change(s *Store, key []byte, i int) {
	e := s.Get(key)
	switch {
	case e == nil:
		s.Put(key, []byte("new"), int64(i%3), false)
	case i%5 == 0:
		s.Delete(e)
	case i%5 == 1:
		s.SetExpireAt(e, int64(i))
	case i%5 == 2:
		s.Rename(e, append(key, "-renamed"...))
	default:
		s.Append(e, []byte("tail"))
	}
}

func TestClearKeepsTheFrozenView(t *testing.T) {
	s := New(Options{})
	for i := range 100 {
		s.Put(fmt.Appendf(nil, "%d", i), []byte("v"), 0, false)
	}
	want := s.Digest()
	first := s.Freeze()
	s.Clear()
	s.Put([]byte("after"), nil, 0, false)
	second := s.Freeze()
	s.Clear()
	if first.Digest() != want || first.Len() != 100 || second.Len() != 1 {
		t.Fatal("FLUSHALL reached a snapshot")
	}
	stop := errors.New("stop")
	if err := first.Each(func(*Entry) error { return stop }); !errors.Is(err, stop) {
		t.Fatalf("Each returned %v", err)
	}
	first.Release()
	second.Release()
}

// TestNoCopyWithoutSnapshot: after Release the writer changes tables in place
// again.
func TestNoCopyWithoutSnapshot(t *testing.T) {
	s := New(Options{})
	key := []byte("k")
	s.Put(key, nil, 0, false)
	tb := func() *table { return s.dir.table(bucketOf(xxhash.Sum64(key))) }
	before := tb()
	sn := s.Freeze()
	s.Put(key, nil, 0, false)
	if tb() == before {
		t.Fatal("a shared table was changed in place")
	}
	before = tb()
	s.Put(key, nil, 0, false)
	if tb() != before {
		t.Fatal("copied twice for one snapshot")
	}
	s.Freeze().Release()
	sn.Release()
	s.Put(key, nil, 0, false)
	if tb() != before {
		t.Fatal("copied without a snapshot")
	}
}
