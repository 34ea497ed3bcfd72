package hll

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// TestPlacesAreThoseOfRedis: vectors of MurmurHash64A, by the registers and ranks that redis-server 7.0.15 has
// for the elements.
func TestPlacesAreThoseOfRedis(t *testing.T) {
	for _, c := range []struct {
		element string
		index   int
		rank    byte
	}{
		{"", 5938, 2}, {"a", 12711, 2}, {"ab", 719, 1}, {"abc", 9474, 1}, {"abcd", 11070, 8},
		{"abcde", 3726, 4}, {"abcdef", 13647, 2}, {"abcdefg", 5634, 2}, {"abcdefgh", 1383, 1}, {"abcdefghi", 6903, 1},
		{"hello world", 9399, 4}, {"0", 13225, 4}, {"42", 9616, 1}, {"a longer element than most of them, by far", 8401, 1},
	} {
		if index, rank := place([]byte(c.element)); index != c.index || rank != c.rank {
			t.Errorf("%q is in register %d with rank %d, want %d and %d", c.element, index, rank, c.index, c.rank)
		}
	}
}

// TestEncodingsAgree: sparse, dense and merged sketches of the same elements estimate the same,
// and a sparse one says of each element what a dense one says.
func TestEncodingsAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, m := New(), New(), Registers{}
		if err := b.MakeDense(); err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		for range rapid.IntRange(0, 4000).Draw(t, "elements") {
			element := fmt.Appendf(nil, "%d", rng.IntN(5000))
			one, err := a.Add(element)
			if err != nil {
				t.Fatal(err)
			}
			if two, _ := b.Add(element); one != two {
				t.Fatalf("%s changes a register: %v and %v", element, one, two)
			}
		}
		if !a.Dense() && len(a.Bytes()) > SparseBytes {
			t.Fatalf("%d bytes", len(a.Bytes()))
		}
		if err := m.Merge(a); err != nil {
			t.Fatal(err)
		}
		one, err := a.Count()
		two, _ := b.Count()
		if err != nil || one != two || m.Count() != one {
			t.Fatalf("estimates: %d, %d, %d, %v", one, two, m.Count(), err)
		}
		c := New()
		if err := c.Raise(&m); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Count(); err != nil || n != one {
			t.Fatalf("merged: %d, %v, want %d", n, err, one)
		}
		if err := a.MakeDense(); err != nil || !bytes.Equal(a.Bytes()[headBytes:], b.Bytes()[headBytes:]) {
			t.Fatalf("registers differ, %v", err)
		}
	})
}

func TestEstimatesAreNear(t *testing.T) {
	s := New()
	n := 0
	for _, goal := range []int{0, 10, 1000, 10_000, 100_000, 1_000_000} {
		for ; n < goal; n++ {
			if _, err := s.Add(fmt.Appendf(nil, "element %d", n)); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := s.Count(); err != nil || got < uint64(n*96/100) || got > uint64(n*104/100) {
			t.Errorf("%d elements are estimated as %d, %v", n, got, err)
		}
	}
	if !SelfTest() {
		t.Error("self test")
	}
}

// FuzzSketch: no string panics, none grows beyond a dense one, and what one operation finds
// whole the others do.
func FuzzSketch(f *testing.F) {
	s := New()
	f.Add(s.Bytes(), []byte("a"))
	for i := range 500 {
		_, _ = s.Add(fmt.Append(nil, i))
	}
	f.Add(bytes.Clone(s.Bytes()), []byte("b"))
	f.Add(append(bytes.Clone(s.Bytes()), 0x40), []byte("c"))
	_ = s.MakeDense()
	f.Add(bytes.Clone(s.Bytes()), []byte("d"))
	f.Add([]byte("HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x7f\xff\xff"), []byte("e"))
	f.Fuzz(func(t *testing.T, b, element []byte) {
		s, err := Of(bytes.Clone(b))
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		_, counted := s.Count()
		var m Registers
		if merged := m.Merge(s); (merged == nil) != (counted == nil) {
			t.Fatalf("counting says %v, merging %v", counted, merged)
		}
		if !s.Dense() {
			s.Runs()
		}
		if changed, err := s.Add(element); err == nil && counted == nil {
			if again, _ := s.Add(element); again {
				t.Fatalf("an element changes a register twice; first: %v", changed)
			}
			if _, err := s.Count(); err != nil {
				t.Fatal(err)
			}
		}
		if len(s.Bytes()) > max(denseBytes, len(b)+3) {
			t.Fatalf("%d bytes of %d", len(s.Bytes()), len(b))
		}
		if made := s.MakeDense(); counted == nil && made != nil {
			t.Fatal(made)
		}
	})
}
