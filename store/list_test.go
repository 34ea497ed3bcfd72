package store

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/store/value/list"
	"pgregory.net/rapid"
)

// listMachine compares a store of lists with a map.
type listMachine struct {
	s     *Store
	model map[string][]string
	snaps []*Snapshot
	saved []map[string][]string
	sums  []uint64
}

func listsOf(each func(func(*Entry) bool)) map[string][]string {
	all := map[string][]string{}
	each(func(e *Entry) bool {
		var elements []string
		e.List().Forward(0, func(p []byte) bool {
			elements = append(elements, string(p))
			return true
		})
		all[e.Key()] = elements
		return true
	})
	return all
}

func (m *listMachine) change(t *rapid.T) {
	key := fmt.Sprintf("k%d", rapid.IntRange(0, 4).Draw(t, "key"))
	to := fmt.Sprintf("k%d", rapid.IntRange(0, 4).Draw(t, "to"))
	e, want := m.s.Get([]byte(key)), slices.Clone(m.model[key])
	lim := list.LimitsOf(10)
	what := rapid.IntRange(0, 7).Draw(t, "what")
	switch {
	case e == nil:
		l := list.New()
		for i := range rapid.IntRange(1, 30).Draw(t, "n") {
			l.Reserve(lim, 1, 4)
			l.PushBack(fmt.Append(nil, i))
			want = append(want, fmt.Sprint(i))
		}
		m.s.PutCollection([]byte(key), l, 0)
	case what == 0:
		m.s.Rename(e, []byte(to))
		delete(m.model, key)
		key = to
	case what == 1:
		m.s.Copy(e, []byte(to))
		key = to
	case what == 2:
		m.s.SetExpireAt(e, rapid.Int64Range(0, 3).Draw(t, "at"))
	default:
		from := rapid.IntRange(0, len(want)-1).Draw(t, "from")
		n := rapid.IntRange(from, len(want)).Draw(t, "to")
		value := strings.Repeat("v", rapid.IntRange(0, 600).Draw(t, "length"))
		m.s.UpdateList(e, func(l *list.List) bool {
			if what < 6 {
				l.Reserve(lim, 1, len(value))
				l.Insert(from, []byte(value))
				l.Set(l.Len()-1, []byte("last"))
				return true
			}
			l.Remove(from, n)
			l.Shrink(lim)
			return n > from
		})
		if what < 6 {
			want = slices.Insert(want, from, value)
			want[len(want)-1] = "last"
		} else {
			want = slices.Delete(want, from, n)
		}
	}
	if m.model[key] = want; len(want) == 0 {
		delete(m.model, key)
	}
}

func (m *listMachine) check(t *rapid.T) {
	var used int64
	var total uint64
	m.s.Each(func(e *Entry) bool {
		used += e.Size()
		total += e.resum()
		return true
	})
	if m.s.Used() != used || m.s.Sum() != total {
		t.Fatalf("Used %d, Sum %x; counted anew %d, %x", m.s.Used(), m.s.Sum(), used, total)
	}
	if got := listsOf(m.s.Each); !maps.EqualFunc(got, m.model, slices.Equal[[]string]) {
		t.Fatalf("got %.1000q\nwant %.1000q", fmt.Sprint(got), fmt.Sprint(m.model))
	}
	for i, sn := range m.snaps {
		got := listsOf(func(fn func(*Entry) bool) {
			_ = sn.Each(func(e *Entry) error { fn(e); return nil })
		})
		audit, _ := sn.Audit(func() error { return nil })
		if !maps.EqualFunc(got, m.saved[i], slices.Equal[[]string]) || audit.Sum != m.sums[i] {
			t.Fatal("a snapshot changed")
		}
	}
}

func TestListsAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &listMachine{s: New(Options{}), model: map[string][]string{}}
		t.Repeat(map[string]func(*rapid.T){
			"change":      m.change,
			"changeAgain": m.change,
			"freeze": func(*rapid.T) {
				m.snaps, m.saved, m.sums = append(m.snaps, m.s.Freeze()), append(m.saved, maps.Clone(m.model)), append(m.sums, m.s.Sum())
			},
			"release": func(t *rapid.T) {
				if len(m.snaps) > 0 {
					m.snaps[0].Release()
					m.snaps, m.saved, m.sums = m.snaps[1:], m.saved[1:], m.sums[1:]
				}
			},
			"rollback": func(t *rapid.T) {
				model, digest, sum, used := maps.Clone(m.model), m.s.Digest(), m.s.Sum(), m.s.Used()
				m.s.Begin()
				for range rapid.IntRange(0, 8).Draw(t, "steps") {
					m.change(t)
				}
				m.s.Rollback()
				m.model = model
				if m.s.Digest() != digest || m.s.Sum() != sum || m.s.Used() != used {
					t.Fatal("not everything was taken back")
				}
			},
			"": m.check,
		})
	})
}

// TestSumSeesTheOrderOfAList: two replicas that differ in it alone are told apart at once.
func TestSumSeesTheOrderOfAList(t *testing.T) {
	sum := func(elements ...string) (uint64, uint64) {
		s, l := New(Options{}), list.New()
		for _, e := range elements {
			l.PushBack([]byte(e))
		}
		s.Restore(Item{Key: []byte("k"), Collection: l, Version: 3})
		return s.Sum(), s.Digest()
	}
	sumA, digestA := sum("a", "b", "c")
	sumB, digestB := sum("a", "c", "b")
	if sumA == sumB || digestA == digestB {
		t.Error("the order of elements counts for nothing")
	}
	if again, _ := sum("a", "b", "c"); again != sumA {
		t.Error("the same elements have another sum")
	}
}
