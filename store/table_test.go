package store

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// testEntry makes an entry that is in no table.
func testEntry(s *Store, key string) ref { return s.create(content{key: key}) }

// checkTable verifies the invariants that table documents.
func checkTable(t *rapid.T, in *space, tb *table) {
	n := 0
	var last slot
	for i, s := range tb.slots {
		if s.ref == 0 {
			continue
		}
		n++
		if h := tb.home(s.hash); h > i {
			t.Fatalf("entry at %d before its home %d", i, h)
		} else {
			for j := h; j < i; j++ {
				if tb.slots[j].ref == 0 {
					t.Fatalf("gap at %d between home %d and place %d", j, h, i)
				}
			}
		}
		if last.ref != 0 && (last.hash > s.hash || last.hash == s.hash && in.at(last.ref).Key() >= in.at(s.ref).Key()) {
			t.Fatalf("slot %d is out of order", i)
		}
		last = s
	}
	if n != tb.n {
		t.Fatalf("n = %d, found %d", tb.n, n)
	}
}

// TestTableKeepsItsOrder uses few distinct hashes, so that runs are long, reach
// the end of the table and hold keys with equal hashes.
func TestTableKeepsItsOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hashes := rapid.SliceOfN(rapid.OneOf(
			rapid.Uint32Range(1<<31, 1<<32-1),
			rapid.Uint32Range(1<<32-8, 1<<32-1),
			rapid.Uint32Range(0, 4),
		), 1, 20).Draw(t, "hashes")
		st := New(Options{})
		in := &st.mem.space
		tb, model := newTable(0, 2), map[string]uint32{}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			i := rapid.IntRange(0, 99).Draw(t, "key")
			key, hash := fmt.Sprint(i), hashes[i%len(hashes)]
			pos, found := tb.find(in, hash, key)
			if _, want := model[key]; found != want || (tb.get(in, hash, key) != nil) != want {
				t.Fatalf("find %q: %v, want %v", key, found, want)
			}
			switch {
			case !found:
				tb.insert(in, hash, key, testEntry(st, key))
				model[key] = hash
			case rapid.Bool().Draw(t, "remove"):
				tb.remove(pos)
				delete(model, key)
			default:
				tb = tb.clone(1)
			}
			checkTable(t, in, tb)
		}
	})
}

func TestTableShrinks(t *testing.T) {
	st := New(Options{})
	in := &st.mem.space
	tb := newTable(0, 2)
	for i := range 1000 {
		tb.insert(in, uint32(i)<<22, fmt.Sprint(i), testEntry(st, fmt.Sprint(i)))
	}
	for i := range 990 {
		pos, found := tb.find(in, uint32(i)<<22, fmt.Sprint(i))
		if !found {
			t.Fatalf("%d is gone", i)
		}
		tb.remove(pos)
	}
	if tb.n != 10 || len(tb.slots) > 64 {
		t.Fatalf("%d entries in %d slots", tb.n, len(tb.slots))
	}
}

func TestScanVisitsEachKeyOnceWhileTheStoreChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := New(Options{})
		stable := rapid.IntRange(0, 300).Draw(t, "stable")
		for i := range stable {
			s.Put(fmt.Appendf(nil, "stable-%d", i), nil, 0, false)
		}
		count := rapid.IntRange(-1, 20).Draw(t, "count")
		seen := map[string]int{}
		for cursor, round := uint64(0), 0; ; round++ {
			before := len(seen)
			cursor = s.Scan(cursor, count, func(e *Entry) { seen[e.Key()]++ })
			if cursor >= 1<<48 {
				t.Fatalf("cursor %d is too large", cursor)
			}
			if cursor == 0 {
				break
			}
			if len(seen) == before {
				t.Fatal("no progress")
			}
			for i := range 5 {
				s.Put(fmt.Appendf(nil, "new-%d-%d", round, i), nil, 0, false)
				if e := s.Get(fmt.Appendf(nil, "new-%d-%d", round-3, i)); e != nil {
					s.Delete(e)
				}
			}
		}
		for i := range stable {
			if n := seen[fmt.Sprintf("stable-%d", i)]; n != 1 {
				t.Fatalf("stable-%d was seen %d times", i, n)
			}
		}
	})
}

func TestScanRefusesForeignCursors(t *testing.T) {
	s := New(Options{})
	s.Put([]byte("k"), nil, 0, false)
	for _, c := range []uint64{1 << cursorBits, 1<<64 - 1} {
		if next := s.Scan(c, 10, func(*Entry) { t.Fatal("entry") }); next != 0 {
			t.Fatalf("next %d", next)
		}
	}
}

// TestScanKeepsEqualPositionsTogether uses two keys whose hashes agree in all
// the bits that a cursor has.
func TestScanKeepsEqualPositionsTogether(t *testing.T) {
	s := New(Options{})
	for _, k := range []string{"k166297", "k3003268", "k1", "k2", "k3"} {
		s.Put([]byte(k), nil, 0, false)
	}
	keys := scanAll(s, 1)
	slices.Sort(keys)
	if want := []string{"k1", "k166297", "k2", "k3", "k3003268"}; !slices.Equal(keys, want) {
		t.Fatalf("scanned %v", keys)
	}
}

func TestChunksKeepWhatTheyHold(t *testing.T) {
	var c chunks[int]
	var model []int
	for i := range 5 * chunkLen {
		c.push(i)
		model = append(model, i)
	}
	for len(model) > chunkLen/2 {
		c.pop()
		model = model[:len(model)-1]
	}
	got := make([]int, c.len())
	for i := range got {
		got[i] = *c.at(i)
	}
	if !slices.Equal(got, model) || len(c.parts) > 2 {
		t.Fatalf("%d elements in %d chunks", c.len(), len(c.parts))
	}
	for c.len() > 0 {
		c.pop()
	}
	c.push(7)
	if *c.at(0) != 7 {
		t.Fatal("push after pop")
	}
}
