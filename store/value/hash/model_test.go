package hash

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"
)

// machine compares a Hash with a map under random operations.
type machine struct {
	h      *Hash
	model  map[string]string
	order  []string // of a packed hash
	packed bool
	lim    Limits
	epoch  uint64
	views  []*frozen
	// others are hashes that shared everything with h once. They change too.
	others []*machine
}

// frozen is a view of a hash, or a hash that its owner holds on to, with what it
// must show.
type frozen struct {
	*contents
	view  *View
	model map[string]string
}

func newMachine(lim Limits) *machine {
	return &machine{h: New(), model: map[string]string{}, packed: true, lim: lim}
}

func genField() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.Map(rapid.IntRange(0, 400), func(i int) string { return fmt.Sprintf("field:%d", i) }),
		rapid.StringN(0, 3, 12),
		rapid.Map(rapid.IntRange(250, 260), func(n int) string { return strings.Repeat("f", n) }),
	)
}

func genValue() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringN(0, 20, 40),
		rapid.Map(rapid.IntRange(0, 700), func(n int) string { return strings.Repeat("v", n) }),
	)
}

func (m *machine) set(t *rapid.T, field, value string) {
	size := m.h.Size()
	added, grown := m.h.Set([]byte(field), []byte(value), m.lim)
	if _, was := m.model[field]; was == added {
		t.Fatalf("Set(%q) says added %v", field, added)
	}
	if added {
		m.order = append(m.order, field)
	}
	m.model[field] = value
	if len(m.model) > m.lim.Fields || len(field) > m.lim.Bytes || len(value) > m.lim.Bytes {
		m.packed = false
	}
	if m.h.Size() != size+grown {
		t.Fatalf("grown by %d, from %d to %d", grown, size, m.h.Size())
	}
}

func (m *machine) delete(t *rapid.T, field string) {
	size := m.h.Size()
	deleted, grown := m.h.Delete([]byte(field))
	if _, was := m.model[field]; was != deleted {
		t.Fatalf("Delete(%q) says %v", field, deleted)
	}
	delete(m.model, field)
	m.order = slices.DeleteFunc(m.order, func(f string) bool { return f == field })
	if m.h.Size() != size+grown {
		t.Fatalf("grown by %d, from %d to %d", grown, size, m.h.Size())
	}
}

func (m *machine) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"set": func(t *rapid.T) { m.set(t, genField().Draw(t, "field"), genValue().Draw(t, "value")) },
		"setMany": func(t *rapid.T) {
			from, n := rapid.IntRange(0, 400).Draw(t, "from"), rapid.IntRange(1, 200).Draw(t, "n")
			value := genValue().Draw(t, "value")
			for i := range n {
				m.set(t, fmt.Sprintf("field:%d", from+i), value)
			}
		},
		"delete": func(t *rapid.T) { m.delete(t, genField().Draw(t, "field")) },
		"deleteMany": func(t *rapid.T) {
			from, n := rapid.IntRange(0, 400).Draw(t, "from"), rapid.IntRange(1, 300).Draw(t, "n")
			for i := range n {
				m.delete(t, fmt.Sprintf("field:%d", from+i))
			}
		},
		"limits": func(t *rapid.T) {
			m.lim = Limits{rapid.IntRange(0, 40).Draw(t, "fields"), rapid.IntRange(0, 60).Draw(t, "bytes")}
		},
		"freeze": func(t *rapid.T) {
			v := m.h.Freeze()
			m.views = append(m.views, &frozen{&v.contents, v, maps.Clone(m.model)})
		},
		"release": func(t *rapid.T) { m.release(t) },
		"epoch": func(t *rapid.T) { // the owner freezes, and nothing of his is left from before
			m.epoch++
			if watched := rapid.Bool().Draw(t, "watched"); watched {
				old := m.h
				m.views = append(m.views, &frozen{&old.contents, nil, maps.Clone(m.model)})
				m.h = m.h.Own(m.epoch, true)
				if m.h == old || m.h.Own(m.epoch, true) != m.h {
					t.Fatal("Own forks once for one epoch")
				}
			}
		},
		"ownersEnd": func(t *rapid.T) { // what the owner froze is gone, other views are not
			m.views = slices.DeleteFunc(m.views, func(f *frozen) bool { return f.view == nil })
			m.epoch++
			if m.h.Own(m.epoch, false) != m.h {
				t.Fatal("Own forks for nobody")
			}
		},
		"clone": func(t *rapid.T) {
			if len(m.others) < 3 {
				o := newMachine(m.lim)
				o.h, o.model, o.order, o.packed = m.h.Clone(), maps.Clone(m.model), slices.Clone(m.order), m.packed
				m.others = append(m.others, o)
			}
		},
		"swap": func(t *rapid.T) {
			if len(m.others) > 0 {
				o := m.others[0]
				m.h, o.h = o.h, m.h
				m.model, o.model = o.model, m.model
				m.order, o.order = o.order, m.order
				m.packed, o.packed = o.packed, m.packed
			}
		},
		"": m.check,
	}
}

func (m *machine) release(t *rapid.T) {
	if len(m.views) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.views)-1).Draw(t, "i")
	v := m.views[i]
	if v.view == nil {
		return // an owner's views end only with the test: Own was told so
	}
	v.check(t)
	v.view.Release()
	v.view.Release()
	m.views = slices.Delete(m.views, i, i+1)
}

func (f *frozen) check(t *rapid.T) {
	got := map[string]string{}
	f.Each(func(field, value []byte) bool {
		got[string(field)] = string(value)
		return true
	})
	if !maps.Equal(got, f.model) || f.Len() != len(f.model) {
		t.Fatalf("a view has %d fields that differ from the %d at Freeze", len(got), len(f.model))
	}
}

func (m *machine) check(t *rapid.T) {
	if m.h.Packed() != m.packed {
		t.Fatalf("packed: %v, want %v", m.h.Packed(), m.packed)
	}
	if err := m.h.verify(); err != nil {
		t.Fatal(err)
	}
	if m.h.Len() != len(m.model) {
		t.Fatalf("Len %d, want %d", m.h.Len(), len(m.model))
	}
	var keys []string
	m.h.Each(func(field, value []byte) bool {
		if want, ok := m.model[string(field)]; !ok || want != string(value) {
			t.Fatalf("field %q: %q, want %q (%v)", field, value, want, ok)
		}
		if got, ok := m.h.Get(field); !ok || !bytes.Equal(got, value) {
			t.Fatalf("Get(%q) is %q, Each says %q", field, got, value)
		}
		keys = append(keys, string(field))
		return true
	})
	if len(keys) != len(m.model) {
		t.Fatalf("Each has %d of %d fields", len(keys), len(m.model))
	}
	if want := m.wantOrder(); !slices.Equal(keys, want) {
		t.Fatalf("order %q, want %q", keys, want)
	}
	for k, want := range keys {
		if field, value := m.h.At(k); string(field) != want || string(value) != m.model[want] {
			t.Fatalf("At(%d) is %q, want %q", k, field, want)
		}
	}
	if _, ok := m.h.Get([]byte("never set")); ok {
		t.Fatal("found a field that was never set")
	}
	for _, v := range m.views {
		v.check(t)
	}
	for _, o := range m.others {
		(&frozen{&o.h.contents, nil, o.model}).check(t)
	}
}

func (m *machine) wantOrder() []string {
	if m.packed {
		return m.order
	}
	keys := slices.Collect(maps.Keys(m.model))
	slices.SortFunc(keys, func(a, b string) int {
		if x, y := xxhash.Sum64String(a), xxhash.Sum64String(b); x != y {
			if x < y {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	return keys
}

func TestHashAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lim := Limits{rapid.IntRange(0, 200).Draw(t, "fields"), rapid.IntRange(0, 64).Draw(t, "bytes")}
		m := newMachine(lim)
		t.Repeat(m.actions())
		m.twin(t)
	})
}

// twin builds the same contents another way, and checks that nothing tells the two
// apart.
func (m *machine) twin(t *rapid.T) {
	keys := slices.Clone(m.order)
	if !m.packed {
		slices.Sort(keys)
		keys = rapid.Permutation(keys).Draw(t, "order")
	}
	o := New()
	if !m.packed {
		o = NewLarge()
	}
	wide := Limits{1 << 20, 1 << 20}
	for i, k := range keys {
		o.Set(fmt.Appendf(nil, "passing-%d", i), []byte("x"), wide)
		o.Set([]byte(k), []byte("another"), wide)
		o.Set([]byte(k), []byte(m.model[k]), wide)
	}
	for i := range keys {
		o.Delete(fmt.Appendf(nil, "passing-%d", i))
	}
	if o.Len() != m.h.Len() || o.Size() != m.h.Size() || o.Sum() != m.h.Sum() || digest(&o.contents) != digest(&m.h.contents) {
		t.Fatalf("twins differ: %d fields, size %d, sum %x; %d, %d, %x",
			o.Len(), o.Size(), o.Sum(), m.h.Len(), m.h.Size(), m.h.Sum())
	}
	for cursor := uint64(0); ; {
		var a, b []string
		next := o.Scan(cursor, 7, func(f, _ []byte) { a = append(a, string(f)) })
		if n := m.h.Scan(cursor, 7, func(f, _ []byte) { b = append(b, string(f)) }); n != next || !slices.Equal(a, b) {
			t.Fatalf("at cursor %d: %q %d and %q %d", cursor, a, next, b, n)
		}
		if cursor = next; cursor == 0 {
			return
		}
	}
}

func digest(c *contents) uint64 {
	var d xxhash.Digest
	d.Reset()
	c.Digest(&d)
	return d.Sum64()
}

// TestScanWhileTheHashChanges: what is there throughout comes exactly once.
func TestScanWhileTheHashChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(Limits{rapid.SampledFrom([]int{0, 128}).Draw(t, "limit"), 64})
		m.set(t, "first", "")
		for i := range rapid.IntRange(0, 300).Draw(t, "n") {
			m.set(t, fmt.Sprintf("field:%d", i), "value")
		}
		throughout := maps.Clone(m.model)
		seenOnce := map[string]int{}
		for cursor := uint64(0); ; {
			cursor = m.h.Scan(cursor, rapid.IntRange(0, 20).Draw(t, "count"), func(field, _ []byte) { seenOnce[string(field)]++ })
			if cursor == 0 {
				break
			}
			for range rapid.IntRange(0, 20).Draw(t, "changes") {
				field := genField().Draw(t, "field")
				if rapid.Bool().Draw(t, "delete") {
					m.delete(t, field)
					delete(throughout, field)
				} else {
					m.set(t, field, genValue().Draw(t, "value"))
				}
			}
		}
		for field := range throughout {
			if seenOnce[field] != 1 {
				t.Fatalf("%q came %d times", field, seenOnce[field])
			}
		}
	})
}

// TestScanOfAHashThatWasLarge goes on where it was: nothing comes twice.
func TestScanOfAHashThatWasLarge(t *testing.T) {
	h := New()
	for i := range 100 {
		h.Set(fmt.Append(nil, i), nil, DefaultLimits())
	}
	const cursor = 1 << (cursorBits - 1)
	n := 0
	if next := h.Scan(cursor, 1, func(field, _ []byte) {
		n++
		if hashOf(field)>>cursorShift < cursor {
			t.Errorf("%s has come before", field)
		}
	}); next != 0 || n == 0 || n == 100 {
		t.Errorf("%d fields, cursor %d", n, next)
	}
	if next := h.Scan(1<<cursorBits, 1, func(_, _ []byte) { t.Error("a field behind the last cursor") }); next != 0 {
		t.Errorf("cursor %d behind the last one", next)
	}
}
