package store

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func TestRandomGivesEveryKeyTheSameChance(t *testing.T) {
	s := New(Options{})
	const keys, draws = 100, 20_000
	for i := range keys {
		s.Put(fmt.Append(nil, i), nil, 0, false)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	count := map[string]int{}
	for range draws {
		count[s.Random(rng, nil).Key()]++
	}
	for i := range keys {
		if n := count[fmt.Sprint(i)]; n < draws/keys*6/10 || n > draws/keys*14/10 {
			t.Errorf("key %d was drawn %d times of %d", i, n, draws)
		}
	}
}

func TestRandomFindsTheOnlyLiveKey(t *testing.T) {
	s := New(Options{})
	rng := rand.New(rand.NewPCG(1, 1))
	if s.Random(rng, nil) != nil {
		t.Fatal("a key of an empty store")
	}
	for i := range 5000 {
		s.Put(fmt.Append(nil, i), nil, 0, false)
	}
	only := func(e *Entry) bool { return e.Key() == "77" }
	if e := s.Random(rng, only); e == nil || e.Key() != "77" {
		t.Fatalf("got %v", e)
	}
	if s.Random(rng, func(*Entry) bool { return false }) != nil {
		t.Fatal("got a key that is not live")
	}
}

// TestAppendIsAmortised: a value that grows byte by byte is copied a few times once it
// is not short, not at each step, and earlier entries keep what they had.
func TestAppendIsAmortised(t *testing.T) {
	s := New(Options{})
	e := s.Put([]byte("k"), nil, 0, false)
	moves := 0
	var early *Entry
	for i := range 100_000 {
		n := s.Append(e, []byte{byte(i)})
		if was, is := e.object(), n.object(); is != nil && (was == nil || was.val != is.val) {
			moves++
		}
		if e = n; i == 5000 {
			early = e
		}
	}
	if moves > 20 {
		t.Errorf("copied %d times", moves)
	}
	cp := s.Copy(e, []byte("copy"))
	s.Append(e, []byte("one"))
	s.Append(cp, []byte("two"))
	if got := s.Get([]byte("k")).Bytes(); string(got[100_000:]) != "one" {
		t.Errorf("k ends in %q", got[100_000:])
	}
	if got := s.Get([]byte("copy")).Bytes(); string(got[100_000:]) != "two" {
		t.Errorf("the copy ends in %q", got[100_000:])
	}
	for i, b := range early.Bytes() {
		if b != byte(i) {
			t.Fatalf("byte %d of an earlier entry changed", i)
		}
	}
	if len(early.Bytes()) != 5001 || cap(early.Bytes()) != 5001 {
		t.Error("an earlier entry shows more than its own")
	}
}

func TestEmptyValuesAreNotNil(t *testing.T) {
	s := New(Options{})
	for _, k := range []string{"", "k"} {
		if b := s.Put([]byte(k), nil, 0, false).Bytes(); b == nil || len(b) != 0 {
			t.Errorf("%q: %v", k, b)
		}
	}
}
