package store

import (
	"fmt"
	"testing"

	"github.com/lockstepkv/lockstep/store/value/zset"
)

func putZSet(s *Store, key string, n int) *Entry {
	z, lim := zset.New(), zset.DefaultLimits()
	for i := range n {
		z.Add(fmt.Append(nil, i), float64(i), lim)
	}
	return s.PutCollection([]byte(key), z, 0)
}

func addTo(s *Store, key, member string, score float64) {
	s.UpdateZSet(s.Get([]byte(key)), func(z *zset.ZSet) bool {
		_, changed, _ := z.Add([]byte(member), score, zset.DefaultLimits())
		return changed
	})
}

func scoreIn(e *Entry, member string) float64 {
	score, ok := e.ZSet().Score([]byte(member))
	if !ok {
		return -1
	}
	return score
}

// checkAccount compares what is kept with what is there.
func checkAccount(t *testing.T, s *Store) {
	t.Helper()
	used := int64(0)
	var sum Summer
	s.Each(func(e *Entry) bool {
		used += e.Size()
		sum.Add(e)
		return true
	})
	if used != s.Used() || sum.Sum() != s.Sum() {
		t.Errorf("used %d, counted %d; sum %x, counted %x", s.Used(), used, s.Sum(), sum.Sum())
	}
}

func TestZSetInTheStore(t *testing.T) {
	for _, n := range []int{5, 5000} {
		s := New(DefaultOptions())
		putZSet(s, "a", n)
		before := s.Sum()
		checkAccount(t, s)

		sn := s.Freeze()
		addTo(s, "a", "3", 77)
		checkAccount(t, s)
		_ = sn.Each(func(e *Entry) error {
			if scoreIn(e, "3") != 3 || e.ZSet().Resum() != e.ZSet().Sum() {
				t.Errorf("%d members: the snapshot has changed", n)
			}
			return nil
		})
		sn.Release()

		s.Begin()
		addTo(s, "a", "3", 78)
		s.Copy(s.Get([]byte("a")), []byte("copy"))
		addTo(s, "copy", "4", 99)
		s.UpdateZSet(s.Get([]byte("a")), func(z *zset.ZSet) bool {
			z.RemoveRange(0, n)
			return true
		})
		if s.Get([]byte("a")) != nil {
			t.Error("an empty sorted set is still there")
		}
		s.Rollback()
		checkAccount(t, s)
		if a := s.Get([]byte("a")); scoreIn(a, "3") != 77 || a.ZSet().Len() != n || s.Get([]byte("copy")) != nil {
			t.Errorf("%d members: not taken back", n)
		}

		s.Copy(s.Get([]byte("a")), []byte("copy"))
		addTo(s, "copy", "4", 99)
		s.Rename(s.Get([]byte("a")), []byte("b"))
		addTo(s, "b", "3", 3)
		checkAccount(t, s)
		if scoreIn(s.Get([]byte("b")), "4") != 4 || scoreIn(s.Get([]byte("copy")), "4") != 99 || scoreIn(s.Get([]byte("copy")), "3") != 77 {
			t.Errorf("%d members: copy and original are not apart", n)
		}
		if s.Sum() == before || s.Get([]byte("b")).Type().String() != "zset" {
			t.Error("the sum has seen nothing")
		}
	}
}
