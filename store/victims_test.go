package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestPolicyNames(t *testing.T) {
	for p := NoEviction; p < policyCount; p++ {
		if got, err := ParsePolicy(p.String()); err != nil || got != p {
			t.Errorf("%v: %v %v", p, got, err)
		}
	}
	if names := PolicyNames(); len(names) != int(policyCount) {
		t.Errorf("the names of %d policies: %q", policyCount, names)
	}
	if _, err := ParsePolicy("allkeys"); err == nil {
		t.Error("accepted an unknown policy")
	}
}

// TestVictimsFreeWhatWasAsked: whatever the policy, the victims are distinct
// live candidates, free enough when there are enough, and are all of the
// candidates when there are not. Victims changes nothing.
func TestVictimsFreeWhatWasAsked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := DefaultOptions()
		o.Policy = Policy(rapid.IntRange(0, int(policyCount)-1).Draw(t, "policy"))
		s, pick := New(o), seededPicker(rapid.Uint64().Draw(t, "seed"))
		n := rapid.IntRange(0, 300).Draw(t, "keys")
		for i := range n {
			s.Put(fmt.Appendf(nil, "key-%d", i), make([]byte, i%50), int64(i%2)*int64(1000-i), false)
		}
		for round := range 4 {
			candidates, bytes := 0, int64(0)
			s.Each(func(e *Entry) bool {
				if o.Policy != NoEviction && (!o.Policy.VolatileOnly() || e.ExpireAt() != 0) {
					candidates++
					bytes += e.Size()
				}
				if rapid.IntRange(0, 3).Draw(t, "touch") == 0 {
					s.Touch(e, int64(round*1000))
				}
				return true
			})
			need := rapid.Int64Range(0, bytes+bytes/4+1).Draw(t, "need")
			digest, revision := s.Digest(), s.Revision()
			victims := s.Victims(int64(round*1000), need, pick)
			if s.Digest() != digest || s.Revision() != revision {
				t.Fatal("Victims changed the store")
			}
			freed := int64(0)
			for i, v := range victims {
				if freed >= need {
					t.Fatalf("%d victims too many", len(victims)-i)
				}
				e := s.Get([]byte(v.Key))
				if e == nil || e.Size() != v.Size || o.Policy.VolatileOnly() && e.ExpireAt() == 0 {
					t.Fatalf("%q is no candidate", v.Key)
				}
				if !s.Evict([]byte(v.Key), v.Version) {
					t.Fatal("not evicted, or named twice")
				}
				freed += v.Size
			}
			if freed < need && len(victims) != candidates {
				t.Fatalf("%v freed %d of %d with %d of %d candidates", o.Policy, freed, need, len(victims), candidates)
			}
		}
	})
}

func TestVictimsOfVolatileTTLExpireNext(t *testing.T) {
	s := New(Options{Policy: VolatileTTL})
	rng := rand.New(rand.NewPCG(1, 1))
	var want []int64
	for i := range 500 {
		at := 1 + rng.Int64N(10_000)
		s.Put(fmt.Appendf(nil, "%03d", i), nil, at, false)
		want = append(want, at)
	}
	slices.Sort(want)
	var got []int64
	for _, v := range s.Victims(0, 200*SizeOf(3, 0, true), seededPicker(1)) {
		got = append(got, s.Get([]byte(v.Key)).ExpireAt())
	}
	if !slices.Equal(got, want[:200]) {
		t.Fatalf("got %v", got)
	}
}

// evictTo evicts until n keys are left.
func evictTo(s *Store, pick *Picker, now int64, n int) {
	for s.Len() > n {
		for _, v := range s.Victims(now, 1, pick) {
			s.Evict([]byte(v.Key), v.Version)
		}
	}
}

// survivors puts 2000 keys, uses every second one and evicts half; it returns
// the share of used keys among those that are left.
func survivors(p Policy) float64 {
	o := DefaultOptions()
	o.Policy = p
	s, pick := New(o), seededPicker(3)
	const n = 2000
	for i := range n {
		s.Advance(int64(i))
		s.Put(fmt.Appendf(nil, "key-%d", i), []byte("v"), 1<<40, false)
	}
	for round := range 10 {
		for i := 0; i < n; i += 2 {
			s.Touch(s.Get(fmt.Appendf(nil, "key-%d", i)), int64(5000+round))
		}
	}
	evictTo(s, pick, 6000, n/2)
	used := 0
	for i := 0; i < n; i += 2 {
		if s.Get(fmt.Appendf(nil, "key-%d", i)) != nil {
			used++
		}
	}
	return float64(used) / (n / 2)
}

func TestUsedKeysSurvive(t *testing.T) {
	for p, atLeast := range map[Policy]float64{
		AllKeysLRU: 0.88, AllKeysLFU: 0.88, VolatileLRU: 0.85, VolatileLFU: 0.85, AllKeysSieve: 1,
	} {
		if got := survivors(p); got < atLeast {
			t.Errorf("%v: %.3f of the used keys are left, want %.2f", p, got, atLeast)
		}
	}
	for _, p := range []Policy{AllKeysRandom, VolatileRandom} {
		if got := survivors(p); got < 0.4 || got > 0.6 {
			t.Errorf("%v: %.3f of the used keys are left, want about a half", p, got)
		}
	}
}

// TestPoolForgivesKeysInUse: a key that was the best candidate, and is then
// used, is not evicted next.
func TestPoolForgivesKeysInUse(t *testing.T) {
	for _, p := range []Policy{AllKeysLRU, AllKeysLFU} {
		s, pick := New(Options{Policy: p, Samples: 10}), seededPicker(1)
		for i := range 10 {
			s.Advance(int64(i))
			s.Put(fmt.Append(nil, i), nil, 0, false)
		}
		first := s.Victims(100, 1, pick)[0]
		s.Evict([]byte(first.Key), first.Version)
		if first.Key != "0" {
			t.Fatalf("%v: evicted %q", p, first.Key)
		}
		s.Touch(s.Get([]byte("1")), 101)
		if second := s.Victims(102, 1, pick)[0]; second.Key != "2" {
			t.Fatalf("%v: evicted %q", p, second.Key)
		}
	}
}

// TestSieveFollowsThePaper replays the example of figure 1: visited objects are
// kept in place, the hand goes on where it stopped.
func TestSieveFollowsThePaper(t *testing.T) {
	s, pick := New(Options{Policy: AllKeysSieve}), seededPicker(1)
	put := func(k string) { s.Put([]byte(k), nil, 0, false) }
	for _, k := range []string{"A", "B", "C", "D", "E", "F", "G"} {
		put(k)
	}
	for _, k := range []string{"A", "B", "G"} {
		s.Touch(s.Get([]byte(k)), 1)
	}
	var order []string
	insert := func(k string) {
		v := s.Victims(1, 1, pick)
		order = append(order, v[0].Key)
		s.Evict([]byte(v[0].Key), v[0].Version)
		put(k)
	}
	insert("H") // A and B lose their marks, C goes
	s.Touch(s.Get([]byte("A")), 2)
	s.Touch(s.Get([]byte("D")), 2)
	insert("I") // D is spared, E goes
	insert("J") // F goes
	put("B")    // a change is a visit and keeps the place
	insert("K") // G loses its mark, H goes, which was inserted after it
	insert("L")
	insert("M")
	insert("N") // the hand has gone round: A and B are spared, D goes
	if want := []string{"C", "E", "F", "H", "I", "J", "K"}; !slices.Equal(order, want) {
		t.Fatalf("victims %v, want %v", order, want)
	}
}

// TestSieveQueueKeepsUp changes a store at random and checks the queue's links.
func TestSieveQueueKeepsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, pick := New(Options{Policy: AllKeysSieve}), seededPicker(1)
		var order []string // oldest first
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			k := fmt.Sprint(rapid.IntRange(0, 20).Draw(t, "key"))
			e := s.Get([]byte(k))
			switch op := rapid.IntRange(0, 3).Draw(t, "op"); {
			case op == 0 && e != nil:
				s.Delete(e)
				order = slices.DeleteFunc(order, func(o string) bool { return o == k })
			case op == 1:
				s.Victims(0, 1, pick)
			default:
				if s.Put([]byte(k), nil, 0, false); e == nil {
					order = append(order, k)
				}
			}
		}
		s.Victims(0, 1, pick)
		var got []string
		q := s.sieve
		for i := q.nodes.at(0).next; i != 0; i = q.nodes.at(int(i)).next {
			n := q.nodes.at(int(i))
			e := s.mem.at(n.ref)
			if e.link != i || s.Get([]byte(e.Key())) != e {
				t.Fatalf("node %d holds %q, which is not current", i, e.Key())
			}
			got = append(got, e.Key())
		}
		if !slices.Equal(got, order) {
			t.Fatalf("queue %v, want %v", got, order)
		}
	})
}

// TestSieveStartsInVersionOrder: after a restore or a change of policy the
// queue is in order of versions.
func TestSieveStartsInVersionOrder(t *testing.T) {
	restored := New(Options{Policy: AllKeysSieve})
	switched := New(Options{Policy: AllKeysLRU})
	for _, v := range rand.New(rand.NewPCG(1, 1)).Perm(100) {
		restored.Restore(Item{Key: fmt.Append(nil, v), Version: uint64(v) + 1})
		switched.Put(fmt.Append(nil, v), nil, 0, false)
	}
	for v := range 100 {
		switched.Put(fmt.Append(nil, v), nil, 0, false)
	}
	switched.Reconfigure(Options{Policy: AllKeysSieve})
	restored.Prepare()
	for name, s := range map[string]*Store{"restored": restored, "switched": switched} {
		q := s.Victims(0, 1<<40, seededPicker(1))
		if len(q) != 100 {
			t.Fatalf("%s: %d victims", name, len(q))
		}
		// A switched store has marks from being written twice; all are gone
		// after the first round, in which nothing was taken.
		for v := range 100 {
			if q[v].Key != fmt.Sprint(v) {
				t.Fatalf("%s: victim %d is %q", name, v, q[v].Key)
			}
		}
	}
}

func TestAccessDecaysByTheMinute(t *testing.T) {
	w := accessWord(10*milliPerMin+59_999, 7, false)
	for _, c := range []struct {
		now   int64
		decay int
		want  uint8
	}{
		{10 * milliPerMin, 1, 7}, {11 * milliPerMin, 1, 6}, {13 * milliPerMin, 1, 4},
		{13 * milliPerMin, 2, 6}, {1 << 40, 1, 0}, {1 << 40, 0, 7}, {0, 1, 7},
	} {
		if got := decayed(w, c.now, c.decay); got != c.want {
			t.Errorf("now %d, decay %d: %d, want %d", c.now, c.decay, got, c.want)
		}
	}
}

// TestFrequencyIsLogarithmic checks the table in redis.conf: with factor 10 the
// counter reaches about 10 after 100 hits, 18 after 1000, 142 after 100 K.
func TestFrequencyIsLogarithmic(t *testing.T) {
	for hits, want := range map[int][2]float64{100: {8, 13}, 1000: {16, 22}, 100_000: {130, 155}} {
		mean := 0.0
		for range 8 {
			freq := uint8(lfuInitial)
			for range hits {
				freq = increased(freq, 10)
			}
			mean += float64(freq) / 8
		}
		if mean < want[0] || mean > want[1] {
			t.Errorf("%d hits: counter %.1f, want %v", hits, mean, want)
		}
	}
	if increased(lfuMax, 0) != lfuMax || increased(7, 0) != 8 {
		t.Error("factor 0 counts every access up to 255")
	}
}

func TestAccessSurvivesChangesOfTheKey(t *testing.T) {
	o := DefaultOptions()
	o.Policy, o.LFULogFactor = AllKeysLFU, 0
	s := New(o)
	s.Advance(1000)
	e := s.Put([]byte("k"), []byte("v"), 0, false)
	if got := e.Access(); got != (Access{1000, lfuInitial}) {
		t.Fatalf("new: %+v", got)
	}
	s.Touch(e, 1500)
	s.Touch(e, 1400) // late news
	if e = s.SetExpireAt(e, 9999); e.Access() != (Access{1500, lfuInitial + 2}) {
		t.Fatalf("touched, then changed in the same command: %+v", e.Access())
	}
	s.Advance(1600)
	if e = s.Put([]byte("k"), nil, 0, false); e.Access() != (Access{1600, lfuInitial + 3}) {
		t.Fatalf("overwritten: %+v", e.Access())
	}
	if e = s.Rename(e, []byte("r")); e.Access() != (Access{1600, lfuInitial + 3}) || e.IdleMillis(1700) != 100 {
		t.Fatalf("renamed: %+v", e.Access())
	}
	e = s.Restore(Item{Key: []byte("x"), Access: Access{LastMillis: 77, Freq: 9}})
	if e.Access() != (Access{77, 9}) || s.Freq(e, 77) != 9 {
		t.Fatalf("restored: %+v", e.Access())
	}
}
