package store

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// tester is what testing.T and rapid.T have in common.
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
}

// checkMemory counts everything again, and looks at who names whom.
func checkMemory(t tester, s *Store) {
	t.Helper()
	m := &s.mem
	lives := make([]uint32, len(m.info))
	named := map[ref]bool{}
	objects := 0
	s.dir.eachRef(func(r ref) bool {
		e := m.at(r)
		if named[r] {
			t.Fatalf("two slots name %x", r)
		}
		named[r] = true
		if (e.object() != nil) != (r&objectBit != 0) {
			t.Fatalf("%x names an entry of the other form", r)
		}
		if r&objectBit != 0 {
			objects++
		} else {
			lives[r>>placeBits] += e.cell()
		}
		if e.ExpireAt() != 0 && s.expiry.items.at(int(e.timed().heapPos)-1).ref != r {
			t.Fatalf("the expiry index has another place for %q", e.Key())
		}
		if s.sieve != nil && s.sieve.nodes.at(int(e.link)).ref != r {
			t.Fatalf("the SIEVE queue has another place for %q", e.Key())
		}
		return true
	})
	checkSegments(t, m, lives, named)
	there := 0
	for _, p := range m.objects {
		for _, o := range p.e {
			if o != nil {
				there++
			}
		}
	}
	if there != objects || m.objectCount-len(m.freeObjects) != objects {
		t.Fatalf("%d objects in the tables, %d there, %d counted", objects, there, m.objectCount-len(m.freeObjects))
	}
}

func checkSegments(t tester, m *memory, lives []uint32, named map[ref]bool) {
	t.Helper()
	var bytes, live, given int64
	for i, g := range m.info {
		if (m.segments[i] == nil) != (g.size == 0) || g.live != lives[i] {
			t.Fatalf("segment %d: %+v, %d bytes live", i, g, lives[i])
		}
		filling := i == int(m.fill[young]) || i == int(m.fill[moved])
		switch {
		case g.size == 0:
			continue
		case filling:
			given += int64(g.end)
		case g.live == 0:
			t.Fatalf("segment %d is empty and there", i)
		default:
			given += int64(g.size)
		}
		bytes += int64(g.size) + segmentReserve
		live += int64(g.live)
		for pos := uint32(0); pos < g.end; {
			r := ref(uint32(i)<<placeBits | pos/unit)
			e := m.at(r)
			if (e.link == deadLink) == named[r] {
				t.Fatalf("%q at %x: in a table: %v, link %x", e.Key(), r, named[r], e.link)
			}
			pos += e.cell()
		}
	}
	if m.bytes != bytes || m.live != live || m.dead != given-live {
		t.Fatalf("%d bytes, %d live, %d dead; found %d, %d, %d", m.bytes, m.live, m.dead, bytes, live, given-live)
	}
}

// churn changes keys at random, in all ways that give memory back.
func churn(s *Store, rng *rand.Rand, keys, steps, longest int) {
	var buf [32]byte
	value := []byte(strings.Repeat("v", longest))
	for range steps {
		key := benchKey(buf[:], rng.IntN(keys))
		e := s.Get(key)
		switch op := rng.IntN(10); {
		case e == nil || op < 6:
			s.Put(key, value[:rng.IntN(longest)], int64(rng.IntN(3)), false)
		case op == 6:
			s.Delete(e)
		case op == 7:
			s.SetExpireAt(e, int64(rng.IntN(3)))
		case op == 8:
			s.Append(e, value[:rng.IntN(20)])
		default:
			s.Rename(e, benchKey(nil, rng.IntN(keys)))
		}
	}
}

// most is how much memory may be there for what lives: a sixth more, two segments that
// are being filled and one that is being emptied.
func most(m *memory) int64 { return m.live + m.live/deadShare + deadSlack + 4*segmentBytes }

// TestMemoryStaysBounded: whatever sizes replace each other, dead memory is a sixth of what
// lives at most, what is being filled aside.
func TestMemoryStaysBounded(t *testing.T) {
	const keys = 30_000
	for _, longest := range []int{40, 300, 1000} {
		t.Run(fmt.Sprint(longest), func(t *testing.T) {
			before := heapBytes()
			s, rng := New(Options{Policy: AllKeysSieve}), rand.New(rand.NewPCG(1, 1))
			for round := range 10 {
				churn(s, rng, keys, keys, longest)
				m := &s.mem
				if m.bytes > most(m) {
					t.Fatalf("round %d: %d bytes for %d that live, want %d at most", round, m.bytes, m.live, most(m))
				}
				checkMemory(t, s)
			}
			outside := 200_000 + 60*int64(s.Len()) // tables and indexes
			if heap := heapBytes() - before; heap > s.mem.bytes+outside+s.mem.live/4 {
				t.Errorf("the heap has %d bytes, the segments have %d", heap, s.mem.bytes)
			}
			for s.Len() > keys/10 {
				s.Each(func(e *Entry) bool { s.Delete(e); return false })
			}
			if m := &s.mem; m.bytes > m.live*2+deadSlack+2*segmentBytes {
				t.Errorf("after deleting most keys: %d bytes for %d that live", m.bytes, m.live)
			}
			checkMemory(t, s)
		})
	}
}

// TestSnapshotKeepsWhatCleaningTakes: while everything is replaced several times, with
// sizes that change, frozen views and entries in readers' hands stay what they were; then
// the memory comes back.
func TestSnapshotKeepsWhatCleaningTakes(t *testing.T) {
	const keys = 20_000
	s, rng := New(Options{}), rand.New(rand.NewPCG(2, 2))
	churn(s, rng, keys, 3*keys, 200)
	type held struct {
		e          *Entry
		key, value string
		version    uint64
	}
	var readers []held
	var frozen []*Snapshot
	var digests []uint64
	for range 4 {
		s.Each(func(e *Entry) bool {
			if e.Version()%50 == 0 {
				readers = append(readers, held{e, strings.Clone(e.Key()), string(e.Bytes()), e.Version()})
			}
			return true
		})
		frozen, digests = append(frozen, s.Freeze()), append(digests, s.Digest())
		churn(s, rng, keys, 2*keys, 300)
		checkMemory(t, s)
		runtime.GC()
		for i, sn := range frozen {
			if sn.Digest() != digests[i] {
				t.Fatalf("snapshot %d of %d has changed", i, len(frozen))
			}
		}
	}
	for _, h := range readers {
		if h.e.Key() != h.key || string(h.e.Bytes()) != h.value || h.e.Version() != h.version {
			t.Fatalf("an entry of %q has changed in its reader's hands", h.key)
		}
	}
	for _, sn := range frozen {
		sn.Release()
	}
	churn(s, rng, keys, 2*keys, 300)
	if m := &s.mem; m.bytes > most(m) {
		t.Errorf("after the snapshots: %d bytes for %d that live", m.bytes, m.live)
	}
	checkMemory(t, s)
}

// TestSegmentsOfASnapshotAreNotCleaned: it would give nothing back.
func TestSegmentsOfASnapshotAreNotCleaned(t *testing.T) {
	s, rng := New(Options{}), rand.New(rand.NewPCG(3, 3))
	churn(s, rng, 5000, 20_000, 100)
	sn := s.Freeze()
	epoch := s.epoch
	for range 5000 {
		churn(s, rng, 5000, 1, 100)
		if at := s.mem.cleaner.at; at != 0 && s.mem.cleaner.pos == 0 && s.mem.info[at].epoch < epoch {
			t.Fatalf("segment %d of a snapshot is being cleaned", at)
		}
	}
	sn.Release()
}

// TestMoreThanSegmentsHold: when there are no more, small entries are objects.
func TestMoreThanSegmentsHold(t *testing.T) {
	s := New(Options{})
	s.mem.tuning.limit = 10
	fill(s, 5000, 64, never)
	if s.mem.objectCount == 0 {
		t.Fatal("nothing is an object")
	}
	checkMemory(t, s)
	want := s.Digest()
	o := New(Options{})
	fill(o, 5000, 64, never)
	if o.Digest() != want || o.Used() != s.Used() || !slices.Equal(scanAll(o, 100), scanAll(s, 100)) {
		t.Fatal("the form of entries can be told from outside")
	}
	churn(s, rand.New(rand.NewPCG(4, 4)), 5000, 20_000, 200)
	checkMemory(t, s)
}

// TestTouchHashTellsKeysApart: two keys whose slots have the same hash.
func TestTouchHashTellsKeysApart(t *testing.T) {
	s := New(Options{})
	a, b := []byte("k166297"), []byte("k3003268")
	s.Put(a, nil, 0, false)
	s.Put(b, nil, 0, false)
	var l ReadLog
	l.Note(b)
	s.TouchHash(l.Take(nil)[0], 77)
	if s.Get(a).Access().LastMillis != 0 || s.Get(b).Access().LastMillis != 77 {
		t.Fatalf("touched %v and %v", s.Get(a).Access(), s.Get(b).Access())
	}
}
