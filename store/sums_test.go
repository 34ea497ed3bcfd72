package store

import (
	"bytes"
	"errors"
	"testing"
)

// Every part of an entry shows in its sum, the inside of a long value only in the
// digest.
func TestSumSeesEveryPart(t *testing.T) {
	long := bytes.Repeat([]byte("0123456789abcdef"), 1024)
	build := func(change func(s *Store, it *Item)) *Store {
		s := New(Options{})
		it := Item{Key: []byte("key"), Value: long, ExpireAt: 5000, Version: 7}
		change(s, &it)
		s.Restore(it)
		return s
	}
	plain := build(func(*Store, *Item) {})
	flip := func(at int) func(*Store, *Item) {
		return func(_ *Store, it *Item) {
			it.Value = bytes.Clone(it.Value)
			it.Value[at] ^= 1
		}
	}
	for name, change := range map[string]func(*Store, *Item){
		"key":      func(_ *Store, it *Item) { it.Key = []byte("kez") },
		"version":  func(_ *Store, it *Item) { it.Version = 8 },
		"expiry":   func(_ *Store, it *Item) { it.ExpireAt++ },
		"encoding": func(_ *Store, it *Item) { it.Raw = true },
		"head":     flip(0),
		"tail":     flip(len(long) - 1),
		"length":   func(_ *Store, it *Item) { it.Value = it.Value[:len(it.Value)-16] },
		"another":  func(s *Store, _ *Item) { s.Put([]byte("more"), nil, 0, false) },
	} {
		if build(change).Sum() == plain.Sum() {
			t.Errorf("%s: the sum is the same", name)
		}
	}
	inside := build(flip(len(long) / 2))
	if inside.Sum() != plain.Sum() || inside.Digest() == plain.Digest() {
		t.Error("the inside of a long value is for the digest alone to see")
	}
}

func TestAuditFindsWhatTheSumMissed(t *testing.T) {
	s := New(Options{})
	for i := range 1000 {
		s.Put([]byte{byte(i), byte(i >> 8)}, []byte("some value"), 0, false)
	}
	walk := func() Audit {
		sn := s.Freeze()
		defer sn.Release()
		if sn.Sum() != s.Sum() {
			t.Fatal("a snapshot has another sum")
		}
		a, err := sn.Audit(func() error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if a := walk(); a.Sum != s.Sum() || a.Digest != s.Digest() || a.Keys != 1000 {
		t.Fatalf("a sound store: %+v, Sum %x", a, s.Sum())
	}
	s.Get([]byte{7, 1}).Bytes()[3] ^= 4 // memory that changes by itself
	if a := walk(); a.Sum == s.Sum() {
		t.Fatal("a flipped bit does not show")
	}
	stop := errors.New("stop")
	sn := s.Freeze()
	defer sn.Release()
	if _, err := sn.Audit(func() error { return stop }); !errors.Is(err, stop) {
		t.Fatalf("paused with an error: %v", err)
	}
}
