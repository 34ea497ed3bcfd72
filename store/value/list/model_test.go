package list

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"
)

// machine compares a List with a slice under random operations.
type machine struct {
	l      *List
	model  []string
	packed bool
	lim    Limits
	epoch  uint64
	views  []*frozen
	// others are lists that shared everything with l once. They change too.
	others []*machine
}

// frozen is a view of a list, or a list that its owner holds on to, with what it
// must show.
type frozen struct {
	*contents
	view  *View
	model []string
}

func newMachine(lim Limits) *machine { return &machine{l: New(), packed: true, lim: lim} }

func genElement() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.Map(rapid.IntRange(-20, 20), func(i int) string { return fmt.Sprint(i) }),
		rapid.Map(rapid.Int64(), func(i int64) string { return fmt.Sprint(i) }),
		rapid.StringN(0, 20, 40),
		rapid.Map(rapid.IntRange(250, 260), func(n int) string { return strings.Repeat("e", n) }),
		rapid.Map(rapid.IntRange(490, 510), func(n int) string { return strings.Repeat("l", n) }),
		rapid.Map(rapid.SampledFrom([]int{3000, 4100, 70_000}), func(n int) string { return strings.Repeat("x", n) }),
	)
}

// lp is what Redis needs for a list in a listpack.
func (m *machine) lp() (n int) {
	for _, e := range m.model {
		n += int(ListpackBytes([]byte(e)))
	}
	return n + 7
}

func (m *machine) reserve(elements, size int) {
	m.l.Reserve(m.lim, elements, size)
	if m.lp()+size > m.lim.Bytes || m.lim.Elements > 0 && len(m.model)+elements > m.lim.Elements {
		m.packed = false
	}
}

func (m *machine) shrink() {
	m.l.Shrink(m.lim)
	if !m.packed && m.lp() <= m.lim.Bytes/2 && (m.lim.Elements == 0 || len(m.model) <= m.lim.Elements/2) {
		m.packed = true
	}
}

func (m *machine) insert(i int, e string) {
	m.reserve(1, len(e))
	switch {
	case i == 0:
		m.l.PushFront([]byte(e))
	case i == len(m.model):
		m.l.PushBack([]byte(e))
	default:
		m.l.Insert(i, []byte(e))
	}
	m.model = slices.Insert(m.model, i, e)
}

// place draws the number of an element, or of what is behind all with and.
func (m *machine) place(t *rapid.T, and int) int {
	last := len(m.model) - 1 + and
	return rapid.OneOf(rapid.Just(0), rapid.Just(last), rapid.IntRange(0, last)).Draw(t, "i")
}

func (m *machine) remove(i, j int) {
	m.l.Remove(i, j)
	m.model = slices.Delete(slices.Clone(m.model), i, j)
	m.shrink()
}

func (m *machine) changes() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"insert": func(t *rapid.T) { m.insert(m.place(t, 1), genElement().Draw(t, "e")) },
		"insertMany": func(t *rapid.T) {
			n, e := rapid.IntRange(1, 300).Draw(t, "n"), genElement().Draw(t, "e")
			e = e[:min(len(e), 700)]
			i, step := m.place(t, 1), rapid.SampledFrom([]int{0, 0, 1, 1, 2}).Draw(t, "step")
			for k := range n {
				m.insert(min(i+k*step, len(m.model)), fmt.Sprint(e, k%7))
			}
		},
		"set": func(t *rapid.T) {
			if len(m.model) == 0 {
				return
			}
			i, e := m.place(t, 0), genElement().Draw(t, "e")
			m.reserve(1, len(e))
			m.l.Set(i, []byte(e))
			m.model = slices.Clone(m.model)
			m.model[i] = e
			m.shrink()
		},
		"pop": func(t *rapid.T) {
			back := rapid.Bool().Draw(t, "back")
			for range min(rapid.IntRange(1, 300).Draw(t, "n"), len(m.model)) {
				i := 0
				if back {
					i = len(m.model) - 1
				}
				m.remove(i, i+1)
			}
		},
		"remove": func(t *rapid.T) {
			i := m.place(t, 1)
			m.remove(i, rapid.IntRange(i, len(m.model)).Draw(t, "j"))
		},
		"removeOne": func(t *rapid.T) {
			for range min(rapid.IntRange(1, 50).Draw(t, "n"), len(m.model)) {
				i := m.place(t, 0)
				m.remove(i, i+1)
			}
		},
		"removeEqual": func(t *rapid.T) { m.removeEqual(t) },
		"limits": func(t *rapid.T) {
			m.lim = LimitsOf(rapid.OneOf(rapid.IntRange(0, 300), rapid.IntRange(-4, -1)).Draw(t, "fill"))
		},
		"freeze": func(t *rapid.T) {
			v := m.l.Freeze()
			m.views = append(m.views, &frozen{&v.contents, v, slices.Clone(m.model)})
		},
		"release": func(t *rapid.T) { m.release(t) },
		"epoch": func(t *rapid.T) { // the owner freezes, and nothing of his is left from before
			m.epoch++
			if watched := rapid.Bool().Draw(t, "watched"); watched {
				old := m.l
				m.views = append(m.views, &frozen{&old.contents, nil, slices.Clone(m.model)})
				m.l = m.l.Own(m.epoch, true)
				if m.l == old || m.l.Own(m.epoch, true) != m.l {
					t.Fatal("Own forks once for one epoch")
				}
			}
		},
		"ownersEnd": func(t *rapid.T) { // what the owner froze is gone, other views are not
			m.views = slices.DeleteFunc(m.views, func(f *frozen) bool { return f.view == nil })
			m.epoch++
			if m.l.Own(m.epoch, false) != m.l {
				t.Fatal("Own forks for nobody")
			}
		},
		"clone": func(t *rapid.T) {
			if len(m.others) < 3 {
				o := newMachine(m.lim)
				o.l, o.model, o.packed = m.l.Clone(), slices.Clone(m.model), m.packed
				m.others = append(m.others, o)
			}
		},
		"swap": func(t *rapid.T) {
			if len(m.others) > 0 {
				o := m.others[0]
				m.l, o.l = o.l, m.l
				m.model, o.model = o.model, m.model
				m.packed, o.packed = o.packed, m.packed
			}
		},
		"": m.check,
	}
}

func (m *machine) removeEqual(t *rapid.T) {
	if len(m.model) == 0 {
		return
	}
	e := m.model[m.place(t, 0)]
	most, fromBack := rapid.OneOf(rapid.IntRange(0, 3), rapid.Just(1<<40)).Draw(t, "most"), rapid.Bool().Draw(t, "fromBack")
	model := slices.Clone(m.model)
	if fromBack {
		slices.Reverse(model)
	}
	want := 0
	model = slices.DeleteFunc(model, func(x string) bool {
		if x == e && want < most {
			want++
			return true
		}
		return false
	})
	if fromBack {
		slices.Reverse(model)
	}
	m.model = model
	if n := m.l.RemoveEqual([]byte(e), most, fromBack); n != want {
		t.Fatalf("RemoveEqual says %d, want %d", n, want)
	}
	m.shrink()
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

func elements(c *contents) (all []string) {
	c.Forward(0, func(e []byte) bool {
		all = append(all, string(e))
		return true
	})
	return all
}

func (f *frozen) check(t *rapid.T) {
	if !slices.Equal(elements(f.contents), f.model) || f.Len() != len(f.model) {
		t.Fatalf("a view of %d elements differs from the %d at Freeze", f.Len(), len(f.model))
	}
}

func (m *machine) check(t *rapid.T) {
	if m.l.Packed() != m.packed {
		// What Redis would pack may be too long for a block here.
		if size := len(m.l.buf); m.l.Packed() || m.lp() < 4<<10 {
			t.Fatalf("packed: %v, want %v (%d bytes in a listpack, %d here)", m.l.Packed(), m.packed, m.lp(), size)
		}
		m.packed = m.l.Packed()
	}
	if err := m.l.verify(); err != nil {
		t.Fatal(err)
	}
	if got := elements(&m.l.contents); !slices.Equal(got, m.model) {
		t.Fatalf("%.2000q, want %.2000q", got, m.model)
	}
	var back []string
	m.l.Backward(len(m.model)-1, func(e []byte) bool {
		back = append(back, string(e))
		return true
	})
	slices.Reverse(back)
	if !slices.Equal(back, m.model) {
		t.Fatalf("backward %q, want %q", back, m.model)
	}
	for i, want := range m.model {
		if e := m.l.At(i); string(e) != want {
			t.Fatalf("At(%d) is %q, want %q", i, e, want)
		}
	}
	if n := len(m.model); n > 0 {
		i := m.place(t, 0)
		var ahead, behind string
		m.l.Forward(i, func(e []byte) bool { ahead = string(e); return false })
		m.l.Backward(i, func(e []byte) bool { behind = string(e); return false })
		if ahead != m.model[i] || behind != m.model[i] {
			t.Fatalf("from %d: %q and %q, want %q", i, ahead, behind, m.model[i])
		}
		if at, found := m.l.Index([]byte(m.model[i])); !found || at != slices.Index(m.model, m.model[i]) {
			t.Fatalf("Index(%q) is %d", m.model[i], at)
		}
	}
	if _, found := m.l.Index([]byte("never put")); found {
		t.Fatal("found an element that was never put")
	}
	for _, v := range m.views {
		v.check(t)
	}
	for _, o := range m.others {
		(&frozen{&o.l.contents, nil, o.model}).check(t)
	}
}

func TestListAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(LimitsOf(rapid.SampledFrom([]int{-2, -1, 0, 10, 128}).Draw(t, "fill")))
		t.Repeat(m.changes())
		m.twin(t)
	})
}

// twin builds the same contents another way, and checks that nothing tells the two
// apart.
func (m *machine) twin(t *rapid.T) {
	o := New()
	if !m.packed {
		o = NewLarge()
	}
	at := rapid.IntRange(0, len(m.model)).Draw(t, "from")
	for i := at - 1; i >= 0; i-- {
		o.PushFront([]byte(m.model[i]))
	}
	for i := at; i < len(m.model); i++ {
		o.PushBack([]byte(m.model[i]))
		o.Insert(i/2, []byte("passing"))
		o.Set(i/2, []byte(strings.Repeat("passing", 30)))
		o.Remove(i/2, i/2+1)
	}
	if o.Packed() != m.l.Packed() {
		return // a long element that passed
	}
	if o.Len() != m.l.Len() || o.Size() != m.l.Size() || o.Sum() != m.l.Sum() || digest(&o.contents) != digest(&m.l.contents) {
		t.Fatalf("twins differ: %d elements, size %d, sum %x; %d, %d, %x",
			o.Len(), o.Size(), o.Sum(), m.l.Len(), m.l.Size(), m.l.Sum())
	}
}

func digest(c *contents) uint64 {
	var d xxhash.Digest
	d.Reset()
	c.Digest(&d)
	return d.Sum64()
}

// TestSumDependsOnTheOrder in both forms.
func TestSumDependsOnTheOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfNDistinct(genElement(), 2, 50, rapid.ID[string]).Draw(t, "elements")
		other := rapid.Permutation(all).Draw(t, "other")
		a, b := New(), NewLarge()
		for i := range all {
			a.PushBack([]byte(all[i]))
			b.PushBack([]byte(other[i]))
		}
		if same := slices.Equal(all, other); same != (a.Sum() == b.Sum()) || a.Resum() != a.Sum() || b.Resum() != b.Sum() {
			t.Fatalf("%x and %x; the same: %v", a.Sum(), b.Sum(), same)
		}
	})
}

// TestListpackBytes goes over the edges of every encoding.
func TestListpackBytes(t *testing.T) {
	for e, want := range map[string]int64{
		"": 2, "0": 2, "127": 2, "128": 3, "-1": 3, "4095": 3, "4096": 4, "-4096": 3, "-4097": 4, "32767": 4, "32768": 5, "8388608": 6,
		"2147483647": 6, "2147483648": 10, "-2147483649": 10, "9223372036854775807": 10, "-9223372036854775808": 10,
		"9223372036854775808": 21, "-0": 4, "01": 4, "+1": 4, "-": 3, "1 ": 4,
		strings.Repeat("a", 63): 65, strings.Repeat("a", 64): 67, strings.Repeat("a", 126): 130, strings.Repeat("a", 4095): 4099, strings.Repeat("a", 4096): 4103,
		strings.Repeat("a", 16377): 16384, strings.Repeat("a", 16378): 16386,
	} {
		if got := ListpackBytes([]byte(e)); got != want {
			t.Errorf("%.20q (%d): %d, want %d", e, len(e), got, want)
		}
	}
	if v, ok := Integer([]byte("-9223372036854775808")); !ok || v != math.MinInt64 {
		t.Errorf("%d", v)
	}
}
