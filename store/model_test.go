package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// modelEntry is what the model knows of a key.
type modelEntry struct {
	val      string
	expireAt int64
	version  uint64
	raw      bool
}

// machine compares a Store with a map under random operations.
type machine struct {
	s      *Store
	model  map[string]modelEntry
	frozen []*Snapshot
	views  []map[string]modelEntry
}

func newMachine(t *rapid.T) *machine {
	m := &machine{model: map[string]modelEntry{}}
	policy := rapid.SampledFrom([]Policy{NoEviction, AllKeysSieve}).Draw(t, "policy")
	m.s = New(Options{Policy: policy})
	m.s.mem.tuning = tuning{limit: rapid.IntRange(2, 30).Draw(t, "segments"), least: 4096}
	return m
}

func of(e *Entry) modelEntry {
	return modelEntry{string(e.Bytes()), e.ExpireAt(), e.Version(), e.Raw()}
}

func genKey() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.Map(rapid.IntRange(0, 60), func(i int) string { return fmt.Sprintf("k%d", i) }),
		rapid.StringN(0, 3, 12),
	)
}

func genValue() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringN(0, 20, 40),
		rapid.Map(rapid.IntRange(900, 3000), func(n int) string { return strings.Repeat("v", n) }),
	)
}

func genExpiry() *rapid.Generator[int64] {
	return rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(1, 50))
}

// present draws a key that exists.
func (m *machine) present(t *rapid.T) *Entry {
	keys := make([]string, 0, len(m.model))
	for k := range m.model {
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		t.Skip("empty")
	}
	slices.Sort(keys)
	k := rapid.SampledFrom(keys).Draw(t, "present")
	return m.s.Get([]byte(k))
}

func (m *machine) set(e *Entry, want modelEntry) {
	want.version = e.Version()
	m.model[e.Key()] = want
}

func (m *machine) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"put": func(t *rapid.T) {
			k, v := genKey().Draw(t, "key"), genValue().Draw(t, "value")
			at, raw := genExpiry().Draw(t, "at"), rapid.Bool().Draw(t, "raw")
			m.set(m.s.Put([]byte(k), []byte(v), at, raw), modelEntry{val: v, expireAt: at, raw: raw})
		},
		"append": func(t *rapid.T) {
			e, tail := m.present(t), genValue().Draw(t, "tail")
			want := of(e)
			want.val, want.raw = want.val+tail, true
			m.set(m.s.Append(e, []byte(tail)), want)
		},
		"expire": func(t *rapid.T) {
			e := m.present(t)
			want := of(e)
			want.expireAt = genExpiry().Draw(t, "at")
			m.set(m.s.SetExpireAt(e, want.expireAt), want)
		},
		"rename": func(t *rapid.T) {
			e, to := m.present(t), genKey().Draw(t, "to")
			want, from := of(e), e.Key()
			n := m.s.Rename(e, []byte(to))
			delete(m.model, from)
			m.set(n, want)
		},
		"copy": func(t *rapid.T) {
			e, to := m.present(t), genKey().Draw(t, "to")
			want := of(e)
			m.set(m.s.Copy(e, []byte(to)), want)
		},
		"delete": func(t *rapid.T) {
			e := m.present(t)
			m.s.Delete(e)
			m.s.Delete(e) // no longer current: nothing happens
			delete(m.model, e.Key())
		},
		"evict": func(t *rapid.T) {
			e := m.present(t)
			if m.s.Evict([]byte(e.Key()), e.Version()+1) || !m.s.Evict([]byte(e.Key()), e.Version()) {
				t.Fatal("Evict goes by the version")
			}
			delete(m.model, e.Key())
		},
		"reap": func(t *rapid.T) {
			m.reap(t, rapid.Int64Range(0, 50).Draw(t, "now"), rapid.IntRange(0, 10).Draw(t, "max"))
		},
		"rollback": func(t *rapid.T) { m.rollback(t, rapid.IntRange(0, 12).Draw(t, "steps")) },
		"clear": func(t *rapid.T) {
			if rapid.IntRange(0, 5).Draw(t, "rarely") == 0 {
				m.s.Clear()
				clear(m.model)
			}
		},
		"freeze": func(t *rapid.T) {
			view := map[string]modelEntry{}
			for k, e := range m.model {
				view[k] = e
			}
			m.frozen, m.views = append(m.frozen, m.s.Freeze()), append(m.views, view)
		},
		"release": func(t *rapid.T) {
			if len(m.frozen) == 0 {
				t.Skip("none")
			}
			i := rapid.IntRange(0, len(m.frozen)-1).Draw(t, "i")
			m.checkSnapshot(t, m.frozen[i], m.views[i])
			m.frozen[i].Release()
			m.frozen[i].Release()
			m.frozen, m.views = slices.Delete(m.frozen, i, i+1), slices.Delete(m.views, i, i+1)
		},
		"": m.check,
	}
}

// rollback changes a few keys and takes it back.
func (m *machine) rollback(t *rapid.T, steps int) {
	before := m.s.Digest()
	access := map[string]Access{}
	m.s.Each(func(e *Entry) bool {
		access[e.Key()] = e.Access()
		return true
	})
	m.s.Begin()
	for range steps {
		e := m.s.Get([]byte(genKey().Draw(t, "key")))
		switch what := rapid.IntRange(0, 60).Draw(t, "what"); {
		case what == 0:
			m.s.Clear()
		case e == nil || what%6 == 0:
			m.s.Put([]byte(genKey().Draw(t, "key")), []byte(genValue().Draw(t, "value")), genExpiry().Draw(t, "at"), false)
		case what%6 == 1:
			m.s.Append(e, []byte(genValue().Draw(t, "tail")))
		case what%6 == 2:
			m.s.SetExpireAt(e, genExpiry().Draw(t, "at"))
		case what%6 == 3:
			m.s.Rename(e, []byte(genKey().Draw(t, "to")))
		case what%6 == 4:
			m.s.Copy(e, []byte(genKey().Draw(t, "to")))
		default:
			m.s.Delete(e)
		}
	}
	m.s.Rollback()
	if m.s.Digest() != before {
		t.Fatal("not everything was taken back")
	}
	m.s.Each(func(e *Entry) bool {
		if e.Access() != access[e.Key()] {
			t.Fatalf("the access data of %q differ", e.Key())
		}
		return true
	})
}

func (m *machine) reap(t *rapid.T, now int64, max int) {
	type due struct {
		at      int64
		version uint64
		key     string
	}
	var all []due
	for k, e := range m.model {
		if e.expireAt != 0 && e.expireAt <= now {
			all = append(all, due{e.expireAt, e.version, k})
		}
	}
	slices.SortFunc(all, func(a, b due) int {
		if a.at != b.at {
			return int(a.at - b.at)
		}
		return int(a.version) - int(b.version)
	})
	all = all[:min(len(all), max)]
	if n := m.s.Reap(now, max, nil); n != len(all) {
		t.Fatalf("Reap deleted %d, want %d", n, len(all))
	}
	for _, d := range all {
		delete(m.model, d.key)
	}
}

func (m *machine) checkSnapshot(t *rapid.T, sn *Snapshot, want map[string]modelEntry) {
	got := map[string]modelEntry{}
	_ = sn.Each(func(e *Entry) error {
		got[e.Key()] = of(e)
		return nil
	})
	if !mapsEqual(got, want) || sn.Len() != len(want) {
		t.Fatalf("snapshot has %d keys that differ from the %d at Freeze", len(got), len(want))
	}
}

func mapsEqual(a, b map[string]modelEntry) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return true
}

// check compares everything that can be seen.
func (m *machine) check(t *rapid.T) {
	var used, next int64
	volatile := 0
	slots := map[uint16]int{}
	for k, want := range m.model {
		e := m.s.Get([]byte(k))
		if e == nil || of(e) != want {
			t.Fatalf("key %q: got %v, want %v", k, e, want)
		}
		used += sizeOfString(len(k), len(want.val), want.expireAt != 0, want.raw)
		if want.expireAt != 0 {
			if volatile++; next == 0 || want.expireAt < next {
				next = want.expireAt
			}
		}
		slots[Slot([]byte(k))]++
	}
	if at, ok := m.s.NextExpiry(); ok != (volatile > 0) || at != next {
		t.Fatalf("NextExpiry %d %v, want %d", at, ok, next)
	}
	if m.s.Len() != len(m.model) || m.s.VolatileLen() != volatile || m.s.Used() != used {
		t.Fatalf("Len %d, VolatileLen %d, Used %d; want %d, %d, %d",
			m.s.Len(), m.s.VolatileLen(), m.s.Used(), len(m.model), volatile, used)
	}
	m.checkSums(t)
	checkMemory(t, m.s)
	for slot, n := range slots {
		if got := m.s.KeysInSlot(slot, 1000); len(got) != n || m.s.CountInSlot(slot) != n {
			t.Fatalf("slot %d: %d keys, count %d, want %d", slot, len(got), m.s.CountInSlot(slot), n)
		}
	}
	if m.s.Get([]byte("never set")) != nil {
		t.Fatal("found a key that was never set")
	}
}

// checkSums compares the running sums with those of a walk.
func (m *machine) checkSums(t *rapid.T) {
	var total uint64
	slots := map[uint16]uint64{}
	m.s.Each(func(e *Entry) bool {
		slots[e.Slot()] += e.sum()
		total += e.sum()
		return true
	})
	if m.s.Sum() != total {
		t.Fatalf("Sum %x, the entries come to %x", m.s.Sum(), total)
	}
	for slot := range uint16(SlotCount) {
		if m.s.SlotSum(slot) != slots[slot] {
			t.Fatalf("SlotSum of %d: %x, the entries come to %x", slot, m.s.SlotSum(slot), slots[slot])
		}
	}
}

func TestStoreAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t)
		t.Repeat(m.actions())
		for i, sn := range m.frozen {
			m.checkSnapshot(t, sn, m.views[i])
		}
		m.twin(t)
	})
}

// twin fills another store with the entries in random order, and checks that
// nothing tells the two apart.
func (m *machine) twin(t *rapid.T) {
	var items []Item
	m.s.Each(func(e *Entry) bool {
		items = append(items, Item{Key: []byte(e.Key()), Value: e.Bytes(), ExpireAt: e.ExpireAt(), Version: e.Version(), Raw: e.Raw()})
		return true
	})
	items = rapid.Permutation(items).Draw(t, "order")
	o := New(Options{})
	for i, it := range items {
		o.Put([]byte(fmt.Sprintf("passing-%d", i)), nil, int64(i), false)
		o.Restore(it)
	}
	for i := range items {
		o.Delete(o.Get([]byte(fmt.Sprintf("passing-%d", i))))
	}
	a, b := m.s, o
	if a.Digest() != b.Digest() || a.Sum() != b.Sum() || a.Used() != b.Used() || a.Len() != b.Len() || a.VolatileLen() != b.VolatileLen() {
		t.Fatal("a restored store differs")
	}
	if x, y := scanAll(a, 3), scanAll(b, 3); !slices.Equal(x, y) {
		t.Fatalf("scan order differs:\n%q\n%q", x, y)
	}
	x, y := rand.New(rand.NewPCG(1, 2)), rand.New(rand.NewPCG(1, 2))
	for range 5 {
		p, q := a.Random(x, nil), b.Random(y, nil)
		if (p == nil) != (q == nil) || p != nil && p.Key() != q.Key() {
			t.Fatal("random choice differs")
		}
	}
	for a.VolatileLen() > 0 {
		if a.Reap(1<<40, 1, nil) != b.Reap(1<<40, 1, nil) || a.Digest() != b.Digest() {
			t.Fatal("order of Reap differs")
		}
	}
}

func scanAll(s *Store, count int) (keys []string) {
	for cursor := uint64(0); ; {
		cursor = s.Scan(cursor, count, func(e *Entry) { keys = append(keys, e.Key()) })
		if cursor == 0 {
			return keys
		}
	}
}
