package store

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestUsedIsTheSameAfterARestore: in whatever steps values have grown, and wherever their
// entries are, what is accounted follows from the contents alone.
func TestUsedIsTheSameAfterARestore(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		s := New(Options{})
		if seed%2 == 0 {
			s.mem.tuning.limit = 3 // there is no room in segments: small strings are objects
		}
		for range 2000 {
			changeSizes(s, rng)
		}
		again := New(Options{})
		s.Each(func(e *Entry) bool {
			again.Restore(Item{Key: []byte(e.Key()), Value: e.Bytes(), ExpireAt: e.ExpireAt(), Version: e.Version(), Raw: e.Raw()})
			return true
		})
		if again.UsedFormerly() != s.UsedFormerly() || s.UsedFormerly() != sumOfFormerSizes(s) {
			t.Fatalf("seed %d: %d bytes by former sizes, %d after a restore, their sum is %d", seed, s.UsedFormerly(), again.UsedFormerly(), sumOfFormerSizes(s))
		}
		if again.Used() != s.Used() {
			t.Fatalf("seed %d: %d bytes are accounted after a restore, %d before", seed, again.Used(), s.Used())
		}
		if s.Used() != sumOfSizes(s) {
			t.Fatalf("seed %d: the sum of all sizes is %d, accounted are %d", seed, sumOfSizes(s), s.Used())
		}
	}
}

func sumOfSizes(s *Store) (n int64) {
	s.Each(func(e *Entry) bool { n += e.Size(); return true })
	return n
}

func sumOfFormerSizes(s *Store) (n int64) {
	s.Each(func(e *Entry) bool { n += e.formerSize(); return true })
	return n
}

// changeSizes changes a key's size at random.
func changeSizes(s *Store, rng *rand.Rand) {
	name := func() []byte { return fmt.Appendf(nil, "k%0*d", rng.IntN(2)*rng.IntN(1100), rng.IntN(40)) }
	key := name()
	val := make([]byte, rng.IntN(1<<(1+rng.IntN(12))))
	e := s.Get(key)
	switch op := rng.IntN(10); {
	case e == nil || op < 2:
		s.Put(key, val, int64(rng.IntN(2)), rng.IntN(2) == 0)
	case op < 6:
		s.Append(e, val)
	case op < 7:
		s.SetExpireAt(e, int64(rng.IntN(2)))
	case op < 8:
		s.Rename(e, name())
	case op < 9:
		s.Copy(e, name())
	default:
		s.Delete(e)
	}
}

// TestRoomIsWhatIsHeld: the room behind a value that grows is that which is accounted, also
// after a restore, and growing in place is what most of the changes are.
func TestRoomIsWhatIsHeld(t *testing.T) {
	s := New(Options{})
	e := s.Put([]byte("k"), make([]byte, 600), 0, false)
	moves := 0
	for e.valLen < 3<<20 {
		was := e.object()
		e = s.Append(e, make([]byte, 100))
		if is := e.object(); is == nil || int(is.valCap) != roomFor(int(is.valLen), true) {
			t.Fatalf("a value of %d bytes has room for %d, not %d", e.valLen, is.valCap, roomFor(int(e.valLen), true))
		} else if was == nil || is.val != was.val {
			moves++
		}
	}
	if moves > 20 {
		t.Errorf("it was copied %d times", moves)
	}
	again := New(Options{}).Restore(Item{Key: []byte("k"), Value: e.Bytes(), Raw: true})
	if got := again.object().valCap; got != e.object().valCap || again.Size() != e.Size() {
		t.Errorf("restored it has room for %d and size %d, before %d and %d", got, again.Size(), e.object().valCap, e.Size())
	}
}

func TestRoomFor(t *testing.T) {
	for n, want := range map[int]int{
		0: 0, 1: 1, 512: 512, 513: 1024, 1024: 1024, 1025: 2048, 1 << 20: 1 << 20, 1<<20 + 1: 5 << 18,
		5<<18 + 1: 6 << 18, 2 << 20: 2 << 20, 2<<20 + 1: 5 << 19, 512 << 20: 512 << 20, 1<<32 - 1: 1<<32 - 1,
	} {
		if got := roomFor(n, true); got != want {
			t.Errorf("%d bytes have room for %d, want %d", n, got, want)
		}
		if got := roomFor(n, false); got != n {
			t.Errorf("%d bytes that have not grown have room for %d", n, got)
		}
	}
	for n := range 5000 {
		if a := allocated(n); a < int64(n) || a > int64(n+n/8+16) {
			t.Errorf("%d bytes are taken for %d", a, n)
		}
	}
}
