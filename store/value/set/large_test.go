package set

import (
	"fmt"
	"testing"
)

// TestAMillionMembers: nothing takes time that grows with the set, and a view stays as it is
// while every member goes.
func TestAMillionMembers(t *testing.T) {
	const n = 1_000_000
	s, lim := NewInts(), DefaultLimits()
	name := make([]byte, 0, 20)
	member := func(i int) []byte { return fmt.Appendf(name[:0], "member:%d", i) }
	for i := range n {
		if !s.Add(member(i), lim) {
			t.Fatal(i)
		}
	}
	sum, size := s.Sum(), s.Size()
	v, c := s.Freeze(), s.Clone()
	for i := 0; i < n; i += 2 {
		if !s.Remove(member(i)) {
			t.Fatal(i)
		}
	}
	if s.Len() != n/2 || s.Has(member(10)) || !s.Has(member(11)) || s.Sum() != s.Resum() {
		t.Errorf("%d are left", s.Len())
	}
	for _, old := range []*contents{&v.contents, &c.contents} {
		if old.Len() != n || !old.Has(member(10)) || old.Sum() != sum || old.Resum() != sum || old.Size() != size {
			t.Error("what was frozen has changed")
		}
	}
	v.Release()
	last := ""
	for k := range s.Len() {
		if m := string(s.At(k)); m == last {
			t.Fatalf("%q twice", m)
		} else {
			last = m
		}
		if k > 1000 {
			break
		}
	}
	seen := 0
	for cursor, calls := uint64(0), 0; ; calls++ {
		left := 1000
		cursor = s.ScanWhile(cursor, func() bool { left--; return left > 0 }, func([]byte) { seen++ })
		if cursor == 0 {
			break
		}
		if calls > n {
			t.Fatal("the scan has no end")
		}
	}
	if seen != n/2 {
		t.Errorf("a scan sees %d", seen)
	}
}

func BenchmarkAdd(b *testing.B) {
	s, lim := NewInts(), DefaultLimits()
	name := make([]byte, 0, 20)
	for i := 0; b.Loop(); i++ {
		s.Add(fmt.Appendf(name[:0], "member:%d", i), lim)
	}
}
