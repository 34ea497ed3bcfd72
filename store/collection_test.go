package store

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lockstepkv/lockstep/store/value/hash"
	"pgregory.net/rapid"
)

// hashKey is what the model knows of a key: a hash, or a string when fields is nil.
type hashKey struct {
	fields   map[string]string
	text     string
	expireAt int64
	version  uint64
}

func (k hashKey) equal(o hashKey) bool {
	return maps.Equal(k.fields, o.fields) && (k.fields == nil) == (o.fields == nil) && k.text == o.text &&
		k.expireAt == o.expireAt && k.version == o.version
}

func ofHash(e *Entry) hashKey {
	k := hashKey{expireAt: e.ExpireAt(), version: e.Version()}
	if e.Type() != Hash {
		k.text = string(e.Bytes())
		return k
	}
	k.fields = map[string]string{}
	e.Hash().Each(func(field, value []byte) bool {
		k.fields[string(field)] = string(value)
		return true
	})
	return k
}

// hashMachine compares a store of hashes and strings with a map.
type hashMachine struct {
	s     *Store
	model map[string]hashKey
	snaps []*Snapshot
	saved []hashSaved
}

// hashSaved is what a snapshot must show.
type hashSaved struct {
	model  map[string]hashKey
	digest uint64
	sum    uint64
}

func newHashMachine() *hashMachine {
	return &hashMachine{s: New(Options{}), model: map[string]hashKey{}}
}

func testLimits() hash.Limits { return hash.Limits{Fields: 20, Bytes: 40} }

// entry draws a key, and returns its entry, nil when there is none.
func (m *hashMachine) entry(t *rapid.T) (string, *Entry) {
	k := fmt.Sprintf("k%d", rapid.IntRange(0, 8).Draw(t, "key"))
	return k, m.s.Get([]byte(k))
}

func (m *hashMachine) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"set":    m.hset,
		"setTwo": m.hset,
		"del":    m.hdel,
		"keys":   m.keys,
		"freeze": func(*rapid.T) {
			m.snaps = append(m.snaps, m.s.Freeze())
			m.saved = append(m.saved, hashSaved{m.copy(), m.s.Digest(), m.s.Sum()})
		},
		"release":  m.release,
		"rollback": m.rollback,
		"commit": func(t *rapid.T) {
			m.s.Begin()
			m.some(t)
			m.s.Commit()
		},
		"": m.check,
	}
}

// copy returns a model that later changes do not reach.
func (m *hashMachine) copy() map[string]hashKey {
	c := maps.Clone(m.model)
	for k, v := range c {
		v.fields = maps.Clone(v.fields)
		c[k] = v
	}
	return c
}

func (m *hashMachine) hset(t *rapid.T) {
	key, e := m.entry(t)
	from, n := rapid.IntRange(0, 50).Draw(t, "from"), rapid.IntRange(1, 30).Draw(t, "n")
	value := strings.Repeat("v", rapid.IntRange(0, 60).Draw(t, "length"))
	set := func(h *hash.Hash) bool {
		for i := range n {
			h.Set(fmt.Appendf(nil, "f%d", from+i), []byte(value), testLimits())
		}
		return true
	}
	k := hashKey{fields: map[string]string{}}
	if e != nil && e.Type() == Hash {
		k.expireAt = e.ExpireAt()
		k.fields = maps.Clone(m.model[key].fields)
		e = m.s.UpdateHash(e, set)
	} else {
		h := hash.New()
		set(h)
		k.expireAt = rapid.Int64Range(0, 3).Draw(t, "at")
		e = m.s.PutCollection([]byte(key), h, k.expireAt)
	}
	for i := range n {
		k.fields[fmt.Sprintf("f%d", from+i)] = value
	}
	k.version = e.Version()
	m.model[key] = k
}

func (m *hashMachine) hdel(t *rapid.T) {
	key, e := m.entry(t)
	if e == nil || e.Type() != Hash {
		return
	}
	from, n := rapid.IntRange(0, 80).Draw(t, "from"), rapid.IntRange(1, 80).Draw(t, "n")
	k := m.model[key]
	k.fields = maps.Clone(k.fields)
	changed := false
	was := e
	e = m.s.UpdateHash(e, func(h *hash.Hash) bool {
		for i := range n {
			field := fmt.Sprintf("f%d", from+i)
			deleted, _ := h.Delete([]byte(field))
			changed = changed || deleted
			delete(k.fields, field)
		}
		return changed
	})
	switch {
	case !changed && e != was:
		t.Fatal("an update that changed nothing gave another entry")
	case len(k.fields) == 0:
		if e != nil || m.s.Get([]byte(key)) != nil {
			t.Fatal("an empty hash is left")
		}
		delete(m.model, key)
	default:
		k.version = e.Version()
		m.model[key] = k
	}
}

// keys does what is done to keys of all types.
func (m *hashMachine) keys(t *rapid.T) {
	key, e := m.entry(t)
	to := fmt.Sprintf("k%d", rapid.IntRange(0, 8).Draw(t, "to"))
	what := rapid.IntRange(0, 40).Draw(t, "what")
	if what == 40 {
		m.s.Clear()
		clear(m.model)
		return
	}
	if e == nil || what%8 == 0 {
		e = m.s.Put([]byte(key), []byte("text"), 0, false)
		m.model[key] = hashKey{text: "text", version: e.Version()}
		return
	}
	k := m.model[key]
	switch what % 8 {
	case 1, 2:
		if key != to {
			k.fields = maps.Clone(k.fields)
			k.version = m.s.Copy(e, []byte(to)).Version()
			m.model[to] = k
		}
	case 3, 4:
		delete(m.model, key)
		k.version = m.s.Rename(e, []byte(to)).Version()
		m.model[to] = k
	case 5:
		k.expireAt = rapid.Int64Range(0, 3).Draw(t, "at")
		k.version = m.s.SetExpireAt(e, k.expireAt).Version()
		m.model[key] = k
	case 6:
		m.s.Evict([]byte(key), e.Version())
		delete(m.model, key)
	default:
		m.s.Delete(e)
		delete(m.model, key)
	}
}

func (m *hashMachine) some(t *rapid.T) {
	for range rapid.IntRange(0, 8).Draw(t, "steps") {
		rapid.SampledFrom([]func(*rapid.T){m.hset, m.hdel, m.keys}).Draw(t, "step")(t)
	}
}

func (m *hashMachine) rollback(t *rapid.T) {
	model, digest, sum, used := m.copy(), m.s.Digest(), m.s.Sum(), m.s.Used()
	m.s.Begin()
	m.some(t)
	m.s.Rollback()
	m.model = model
	if m.s.Digest() != digest || m.s.Sum() != sum || m.s.Used() != used {
		t.Fatal("not everything was taken back")
	}
}

func (m *hashMachine) release(t *rapid.T) {
	if len(m.snaps) > 0 {
		i := rapid.IntRange(0, len(m.snaps)-1).Draw(t, "i")
		m.snaps[i].Release()
		m.snaps, m.saved = slices.Delete(m.snaps, i, i+1), slices.Delete(m.saved, i, i+1)
	}
}

func (m *hashMachine) check(t *rapid.T) {
	var used int64
	var total uint64
	got := map[string]hashKey{}
	m.s.Each(func(e *Entry) bool {
		got[e.Key()] = ofHash(e)
		used += e.Size()
		total += e.resum()
		return true
	})
	same(t, got, m.model, "the store")
	if m.s.Used() != used || m.s.Sum() != total {
		t.Fatalf("Used %d, Sum %x; counted anew %d, %x", m.s.Used(), m.s.Sum(), used, total)
	}
	for i, sn := range m.snaps {
		got := map[string]hashKey{}
		_ = sn.Each(func(e *Entry) error {
			got[e.Key()] = ofHash(e)
			return nil
		})
		same(t, got, m.saved[i].model, "a snapshot")
		audit, _ := sn.Audit(func() error { return nil })
		if audit.Digest != m.saved[i].digest || audit.Sum != m.saved[i].sum || sn.Sum() != m.saved[i].sum {
			t.Fatal("a snapshot has another digest or sum")
		}
	}
}

func same(t *rapid.T, got, want map[string]hashKey, what string) {
	if !maps.EqualFunc(got, want, hashKey.equal) {
		t.Fatalf("%s differs:\n got %v\nwant %v", what, got, want)
	}
}

// twin restores another store field by field and checks that nothing tells the two
// apart.
func (m *hashMachine) twin(t *rapid.T) {
	o := New(Options{})
	m.s.Each(func(e *Entry) bool {
		it := Item{Key: []byte(e.Key()), Value: e.Bytes(), ExpireAt: e.ExpireAt(), Version: e.Version()}
		if h := e.Hash(); h != nil {
			like := hash.New()
			it.Value, it.Collection = nil, like
			if !h.Packed() {
				like.Grow()
			}
			h.Each(func(field, value []byte) bool {
				like.Set(field, value, hash.Limits{Fields: h.Len(), Bytes: 1 << 20})
				return true
			})
		}
		o.Restore(it)
		return true
	})
	if m.s.Digest() != o.Digest() || m.s.Sum() != o.Sum() || m.s.Used() != o.Used() || m.s.VolatileLen() != o.VolatileLen() {
		t.Fatal("a restored store differs")
	}
}

func TestHashesAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newHashMachine()
		t.Repeat(m.actions())
		m.twin(t)
	})
}

// TestFreezeUnderWritesToAMillionFields: the snapshot shows what was, and the
// writer copies a few nodes per change, never the hash.
func TestFreezeUnderWritesToAMillionFields(t *testing.T) {
	const n = 1 << 20
	s := New(Options{})
	h := hash.New()
	field := func(i int) []byte { return fmt.Appendf(nil, "field:%d", i) }
	for i := range n {
		h.Set(field(i), []byte("0"), hash.DefaultLimits())
	}
	key := []byte("k")
	s.PutCollection(key, h, 0)
	update := func(i int, value string) {
		s.UpdateHash(s.Get(key), func(h *hash.Hash) bool {
			h.Set(field(i), []byte(value), hash.DefaultLimits())
			return true
		})
	}
	want, sum := s.Digest(), s.Sum()
	sn := s.Freeze()
	var dumper sync.WaitGroup
	dumper.Go(func() {
		defer sn.Release()
		if a, err := sn.Audit(func() error { return nil }); err != nil || a.Digest != want || a.Sum != sum {
			t.Errorf("the frozen hash changed: %v", err)
		}
	})
	update(7, "first")
	frozen := s.Get(key).Hash()
	if frozen == h {
		t.Error("the hash in the snapshot was changed in place")
	}
	copied := testing.AllocsPerRun(1, func() { update(7, "second") })
	if s.Get(key).Hash() != frozen || copied > 10 {
		t.Errorf("a second change of a field makes %v allocations", copied)
	}
	for i := range 2000 {
		update(i*101%n, "a value of another length")
		if i%100 == 0 {
			s.Freeze().Release()
		}
	}
	dumper.Wait()
	if got := s.Get(key).Hash(); got.Len() != n || got.Resum() != got.Sum() {
		t.Errorf("%d fields, sum %x for %x", got.Len(), got.Sum(), got.Resum())
	}
}

// TestCopyAndRenameOfAHash: RENAME moves it, COPY makes two that change apart.
func TestCopyAndRenameOfAHash(t *testing.T) {
	for _, n := range []int{3, 3000} {
		s := New(Options{})
		h := hash.New()
		for i := range n {
			h.Set(fmt.Append(nil, i), []byte("v"), hash.DefaultLimits())
		}
		a := s.PutCollection([]byte("a"), h, 0)
		b := s.Copy(a, []byte("b"))
		if b.Hash() == a.Hash() || b.Hash().Sum() != a.Hash().Sum() || b.Size() != a.Size() {
			t.Fatalf("%d: the copy is not a copy", n)
		}
		s.UpdateHash(b, func(h *hash.Hash) bool {
			h.Set([]byte("0"), []byte("of b"), hash.DefaultLimits())
			return true
		})
		s.UpdateHash(a, func(h *hash.Hash) bool {
			h.Set([]byte("1"), []byte("of a"), hash.DefaultLimits())
			return true
		})
		c := s.Rename(s.Get([]byte("a")), []byte("c"))
		if c.Hash() != h {
			t.Errorf("%d: RENAME made another hash", n)
		}
		for key, want := range map[string]string{"b": "of b v", "c": "v of a"} {
			h := s.Get([]byte(key)).Hash()
			zero, _ := h.Get([]byte("0"))
			one, _ := h.Get([]byte("1"))
			if got := string(zero) + " " + string(one); got != want {
				t.Errorf("%d: %s has %q, want %q", n, key, got, want)
			}
		}
	}
}

// TestEvictionOfHashes: a large hash is one victim, and all of it is given back.
func TestEvictionOfHashes(t *testing.T) {
	s := New(Options{Policy: AllKeysLRU})
	for k := range 50 {
		h := hash.New()
		for i := range 10 + 40*k {
			h.Set(fmt.Append(nil, i), []byte("value"), hash.DefaultLimits())
		}
		s.Advance(int64(k + 1))
		s.PutCollection(fmt.Append(nil, k), h, 0)
	}
	limit := s.Used() / 2
	pick := NewPicker()
	for s.Used() > limit {
		for _, v := range s.Victims(100, s.Used()-limit, pick) {
			s.Evict([]byte(v.Key), v.Version)
		}
	}
	var left int64
	s.Each(func(e *Entry) bool {
		left += e.Size()
		return true
	})
	if s.Used() != left || s.Len() == 0 || s.Len() == 50 {
		t.Fatalf("%d keys are left, Used %d for %d", s.Len(), s.Used(), left)
	}
}

// TestHashesAreReadAndDumpedWhileTheyChange has its point in the race detector.
func TestHashesAreReadAndDumpedWhileTheyChange(t *testing.T) {
	const keys = 40
	s := New(Options{})
	key := func(i int) []byte { return fmt.Appendf(nil, "k%d", i%keys) }
	for k := range keys {
		h := hash.New()
		for i := range 1 + 30*k {
			h.Set(fmt.Append(nil, i), []byte("value"), hash.DefaultLimits())
		}
		s.PutCollection(key(k), h, 0)
	}
	var mu sync.RWMutex
	var others sync.WaitGroup
	for round := range 6 {
		mu.Lock()
		want, sum := s.Digest(), s.Sum()
		sn := s.Freeze()
		mu.Unlock()
		others.Go(func() {
			defer sn.Release()
			if a, _ := sn.Audit(func() error { return nil }); a.Digest != want || a.Sum != sum {
				t.Errorf("round %d: the snapshot changed", round)
			}
		})
		others.Go(func() { // a large reply
			for i := range keys {
				mu.RLock()
				e := s.Get(key(i))
				if e == nil {
					mu.RUnlock()
					continue
				}
				v, sum := e.Hash().Freeze(), e.Hash().Sum()
				mu.RUnlock()
				if v.Resum() != sum {
					t.Errorf("round %d: a view changed", round)
				}
				v.Release()
			}
		})
		for i := range 30 * keys {
			mu.Lock()
			changeHash(s, key(i*7), key(i), i+round)
			mu.Unlock()
		}
	}
	others.Wait()
}

func changeHash(s *Store, key, other []byte, i int) {
	e := s.Get(key)
	switch {
	case e == nil:
		h := hash.New()
		h.Set([]byte("f"), []byte("v"), hash.DefaultLimits())
		s.PutCollection(key, h, 0)
	case i%17 == 0:
		s.Copy(e, other)
	case i%17 == 1:
		s.Rename(e, other)
	case i%17 == 2:
		s.Begin()
		s.UpdateHash(e, func(h *hash.Hash) bool { h.Set([]byte("f"), nil, hash.DefaultLimits()); return true })
		s.Rollback()
	default:
		s.UpdateHash(e, func(h *hash.Hash) bool {
			h.Set(fmt.Append(nil, i%500), fmt.Append(nil, i), hash.DefaultLimits())
			h.Delete(fmt.Append(nil, i%99))
			return true
		})
	}
}

// TestSumSeesAHash: every part of it, and its form, which Used depends on.
func TestSumSeesAHash(t *testing.T) {
	sum := func(change func(h *hash.Hash)) (sum, digest uint64) {
		s, h := New(Options{}), hash.New()
		h.Set([]byte("a"), []byte("1"), hash.DefaultLimits())
		h.Set([]byte("b"), []byte("2"), hash.DefaultLimits())
		change(h)
		s.Restore(Item{Key: []byte("k"), Collection: h, Version: 3})
		return s.Sum(), s.Digest()
	}
	set := func(field, value string) func(*hash.Hash) {
		return func(h *hash.Hash) { h.Set([]byte(field), []byte(value), hash.DefaultLimits()) }
	}
	plain, digest := sum(func(*hash.Hash) {})
	for name, change := range map[string]func(*hash.Hash){
		"value": set("a", "2"), "field": set("c", "3"), "form": (*hash.Hash).Grow,
		"deletion": func(h *hash.Hash) { h.Delete([]byte("a")) },
	} {
		if s, d := sum(change); s == plain || d == digest {
			t.Errorf("%s: sum %x for %x, digest %x for %x", name, s, plain, d, digest)
		}
	}
	if s, d := sum(set("a", "1")); s != plain || d != digest {
		t.Error("the same contents have another sum or digest")
	}
}
