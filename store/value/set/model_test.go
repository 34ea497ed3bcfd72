package set

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"
)

// model is what a set of Redis 7.2 is: its members, and its form by the rules of t_set.c.
type model struct {
	members map[string]bool
	form    string
}

func (m *model) add(member string, lim Limits) bool {
	if m.members[member] {
		return false
	}
	_, isInt := parseInt([]byte(member))
	longest := 0
	for k := range m.members {
		longest = max(longest, len(k))
	}
	n := len(m.members)
	m.members[member] = true
	switch {
	case m.form == "intset" && isInt:
		if n+1 > lim.Ints {
			m.form = "hashtable"
		}
	case m.form == "intset" && n < lim.Members && len(member) <= lim.Bytes && longest <= lim.Bytes:
		m.form = "listpack"
	case m.form == "listpack" && n < lim.Members && len(member) <= lim.Bytes:
	default:
		m.form = "hashtable"
	}
	return true
}

func (m *model) clone() *model { return &model{maps.Clone(m.members), m.form} }

func (m *model) sorted() []string { return slices.Sorted(maps.Keys(m.members)) }

func membersOf(c *contents) []string {
	var list []string
	c.Each(func(member []byte) bool {
		list = append(list, string(member))
		return true
	})
	return list
}

// check compares contents with a model.
func check(t *rapid.T, c *contents, m *model) {
	t.Helper()
	list := membersOf(c)
	for i := range list {
		if string(c.At(i)) != list[i] || !c.Has([]byte(list[i])) {
			t.Fatalf("member %d is %q, not %q", i, c.At(i), list[i])
		}
	}
	if c.Sum() != c.Resum() {
		t.Fatalf("sum %x, counted %x", c.Sum(), c.Resum())
	}
	slices.Sort(list)
	if !slices.Equal(list, m.sorted()) || c.Len() != len(list) || c.Encoding() != m.form {
		t.Fatalf("%d of form %s: %q, want %s: %q", c.Len(), c.Encoding(), list, m.form, m.sorted())
	}
	size := int64(0)
	for _, member := range list {
		size += memberBytes(len(member))
	}
	if c.tree != nil {
		if c.tree.Bytes != size || c.tree.Len() != len(list) {
			t.Fatalf("accounts for %d bytes, has %d", c.tree.Bytes, size)
		}
		if err := c.tree.Verify(func(member, _ []byte) uint64 { return hashOf(member) }); err != nil {
			t.Fatal(err)
		}
	}
}

// twin is a set, and what it must be.
type twin struct {
	set   *Set
	model *model
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lim := Limits{rapid.SampledFrom([]int{0, 5, 512}).Draw(t, "ints"), rapid.SampledFrom([]int{0, 8, 128}).Draw(t, "members"), rapid.SampledFrom([]int{3, 64}).Draw(t, "bytes")}
		member := rapid.OneOf(rapid.StringMatching(`-?[0-9]{1,2}`), rapid.StringMatching(`[ab]{0,5}`), rapid.Map(rapid.Int64(), func(v int64) string { return strconv.FormatInt(v, 10) }),
			rapid.Map(rapid.IntRange(250, 260), func(n int) string { return strings.Repeat("x", n) }))
		twins := []twin{{NewInts(), &model{map[string]bool{}, "intset"}}}
		if rapid.Bool().Draw(t, "packed") {
			twins[0] = twin{new(Set), &model{map[string]bool{}, "listpack"}}
		}
		type frozen struct {
			view  *View
			model *model
		}
		var views []frozen
		var kept []twin // what an owner's snapshot has
		epoch := uint64(0)
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				x := &twins[rapid.IntRange(0, len(twins)-1).Draw(t, "which")]
				x.set = x.set.Own(epoch, len(kept) > 0)
				for range rapid.IntRange(1, 40).Draw(t, "n") {
					m := member.Draw(t, "member")
					if got, want := x.set.Add([]byte(m), lim), x.model.add(m, lim); got != want {
						t.Fatalf("Add(%q) = %v", m, got)
					}
				}
			},
			"remove": func(t *rapid.T) {
				x := &twins[rapid.IntRange(0, len(twins)-1).Draw(t, "which")]
				x.set = x.set.Own(epoch, len(kept) > 0)
				for range rapid.IntRange(1, 40).Draw(t, "n") {
					m := member.Draw(t, "member")
					if len(x.model.members) > 0 && rapid.Bool().Draw(t, "there") {
						m = rapid.SampledFrom(x.model.sorted()).Draw(t, "one")
					}
					if got := x.set.Remove([]byte(m)); got != x.model.members[m] {
						t.Fatalf("Remove(%q) = %v", m, got)
					}
					delete(x.model.members, m)
				}
			},
			"grow": func(t *rapid.T) {
				if x := &twins[0]; rapid.IntRange(0, 9).Draw(t, "chance") == 0 {
					x.set = x.set.Own(epoch, len(kept) > 0)
					x.set.Grow()
					x.model.form = "hashtable"
				}
			},
			"renew": func(t *rapid.T) {
				x := &twins[rapid.IntRange(0, len(twins)-1).Draw(t, "which")]
				x.set = x.set.Own(epoch, len(kept) > 0)
				x.set.Renew(MaxLimits())
				if x.model.form == "hashtable" {
					x.model.form = "listpack"
				}
			},
			"freeze": func(t *rapid.T) {
				x := twins[rapid.IntRange(0, len(twins)-1).Draw(t, "which")]
				views = append(views, frozen{x.set.Freeze(), x.model.clone()})
			},
			"release": func(t *rapid.T) {
				for _, f := range views {
					check(t, &f.view.contents, f.model)
					f.view.Release()
				}
				views = nil
			},
			"snapshot": func(t *rapid.T) {
				epoch++
				for _, x := range twins {
					kept = append(kept, twin{x.set, x.model.clone()})
				}
			},
			"drop": func(t *rapid.T) {
				for _, x := range kept {
					check(t, &x.set.contents, x.model)
				}
				kept = nil
			},
			"clone": func(t *rapid.T) {
				if len(twins) < 3 {
					x := twins[rapid.IntRange(0, len(twins)-1).Draw(t, "which")]
					twins = append(twins, twin{x.set.Clone(), x.model.clone()})
				}
			},
			"": func(t *rapid.T) {
				for _, x := range twins {
					check(t, &x.set.contents, x.model)
				}
			},
		})
	})
}

// TestScanSeesWhatStays: members that are there all the time are handed out, whatever comes,
// goes and changes the form meanwhile.
func TestScanSeesWhatStays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, lim, stay := NewInts(), Limits{20, 30, 10}, rapid.IntRange(0, 60).Draw(t, "stay")
		for i := range stay {
			s.Add(fmt.Append(nil, i), lim)
		}
		seen := map[string]int{}
		for cursor := uint64(0); ; {
			n := 0
			cursor = s.ScanWhile(cursor, func() bool { n++; return n < 3 }, func(member []byte) { seen[string(member)]++ })
			if cursor == 0 {
				break
			}
			for range rapid.IntRange(0, 5).Draw(t, "changes") {
				other := fmt.Appendf(nil, "x%d", rapid.IntRange(0, 100).Draw(t, "other"))
				if rapid.Bool().Draw(t, "add") {
					s.Add(other, lim)
				} else {
					s.Remove(other)
				}
			}
		}
		for i := range stay {
			if seen[strconv.Itoa(i)] == 0 {
				t.Fatalf("%d was not seen", i)
			}
		}
	})
}

func TestNewHasTheFormOfRedis(t *testing.T) {
	lim := DefaultLimits()
	for _, c := range []struct {
		member string
		count  int
		want   string
	}{
		{"1", 512, "intset"}, {"1", 513, "hashtable"}, {"a", 128, "listpack"}, {"a", 129, "hashtable"}, {"01", 1, "listpack"}, {"", 1, "listpack"},
	} {
		if got := New([]byte(c.member), c.count, lim).Encoding(); got != c.want {
			t.Errorf("%q of %d: %s, want %s", c.member, c.count, got, c.want)
		}
	}
	s := NewInts()
	s.Add([]byte("5"), lim)
	if s.Expect(512, lim); !s.Ints() {
		t.Error("512 integers do not fit")
	}
	if s.Expect(513, lim); s.Packed() || !s.Has([]byte("5")) {
		t.Error("513 integers fit")
	}
	s.ToInts(lim)
	if s.Encoding() != "intset" || s.Len() != 1 || s.Sum() != s.Resum() {
		t.Errorf("ToInts: %s", s.Encoding())
	}
}

func TestOfInts(t *testing.T) {
	s := NewInts()
	for _, v := range []string{"-70000", "3", "9", "32768", "-1"} {
		s.Add([]byte(v), DefaultLimits())
	}
	again := OfInts(s.IntWidth(), s.AppendInts(nil))
	if again == nil || again.Sum() != s.Sum() || again.Size() != s.Size() || !slices.Equal(membersOf(&again.contents), []string{"-70000", "-1", "3", "9", "32768"}) {
		t.Errorf("%v", membersOf(&s.contents))
	}
	var a, b xxhash.Digest
	s.Digest(&a)
	again.Digest(&b)
	if a.Sum64() != b.Sum64() {
		t.Error("digests differ")
	}
	for _, bad := range []struct {
		width int
		ints  string
	}{{3, "abc"}, {2, "a"}, {2, "\x02\x00\x01\x00"}, {2, "\x01\x00\x01\x00"}, {2, strings.Repeat("ab", 8193)}} {
		if OfInts(bad.width, []byte(bad.ints)) != nil {
			t.Errorf("%d %q was taken", bad.width, bad.ints)
		}
	}
}
