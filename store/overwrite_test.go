package store

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// overwriting is a store whose strings are changed in their middle, beside a model of it.
type overwriting struct {
	*rapid.T
	s     *Store
	model map[string]string
	kept  map[string]string // the model at Begin
	held  [][2][]byte       // what Bytes and Part returned, and copies of it
	views []frozenStrings
}

type frozenStrings struct {
	sn    *Snapshot
	model map[string]string
}

func cloned(m map[string]string) map[string]string {
	c := make(map[string]string, len(m))
	for k, v := range m {
		c[k] = v
	}
	return c
}

func (o *overwriting) name() string { return fmt.Sprint("k", rapid.IntRange(0, 2).Draw(o.T, "key")) }

func (o *overwriting) entry() *Entry { return o.s.Get([]byte(o.name())) }

func (o *overwriting) hold(b []byte) { o.held = append(o.held, [2][]byte{b, bytes.Clone(b)}) }

func (o *overwriting) put() {
	key, n := o.name(), rapid.SampledFrom([]int{ownedFrom, ownedFrom + 100, 3*ownedFrom + 1, ownedFrom - 1, 100, 0}).Draw(o.T, "length")
	value := bytes.Repeat([]byte{byte(n)}, n)
	o.s.Put([]byte(key), value, int64(n%2), rapid.Bool().Draw(o.T, "raw"))
	o.model[key] = string(value)
}

func (o *overwriting) overwrite() {
	key := o.name()
	e := o.s.Get([]byte(key))
	if rapid.IntRange(0, 9).Draw(o.T, "anew") == 0 {
		e = nil
	}
	old := ""
	if e != nil {
		old = o.model[key]
	}
	n := len(old) + rapid.SampledFrom([]int{0, 0, 0, 1, 100, ownedFrom}).Draw(o.T, "grow")
	n = max(n, 1)
	at, b := rapid.IntRange(0, n-1).Draw(o.T, "at"), byte(len(o.held)+rapid.IntRange(1, 200).Draw(o.T, "byte"))
	want := make([]byte, n)
	copy(want, old)
	changes := rapid.IntRange(0, 4).Draw(o.T, "changes") > 0
	if changes {
		want[at] = b
	}
	was := o.s.Revision()
	now := o.s.Overwrite([]byte(key), e, n, func(value []byte) bool {
		if changes {
			value[at] = b
		}
		return changes
	})
	if e != nil && e.Raw() && n == len(old) && !changes && (now != e || o.s.Revision() != was) {
		o.Fatalf("nothing changed, and there is another entry")
	}
	if !now.Raw() {
		o.Fatal("not raw")
	}
	o.model[key] = string(want)
}

func (o *overwriting) other() {
	e := o.entry()
	if e == nil {
		return
	}
	key, value := e.Key(), o.model[e.Key()]
	switch rapid.IntRange(0, 6).Draw(o.T, "kind") {
	case 0:
		tail := bytes.Repeat([]byte("t"), rapid.SampledFrom([]int{1, 100, 2000}).Draw(o.T, "tail"))
		o.s.Append(e, tail)
		o.model[key] = value + string(tail)
	case 1:
		o.s.SetExpireAt(e, int64(rapid.IntRange(0, 2).Draw(o.T, "time")))
	case 2:
		to := o.name()
		o.s.Rename(e, []byte(to))
		delete(o.model, key)
		o.model[to] = value
	case 3:
		to := o.name()
		o.s.Copy(e, []byte(to))
		o.model[to] = value
	case 4:
		o.s.Delete(e)
		delete(o.model, key)
	case 5:
		o.hold(e.Bytes())
	case 6:
		to := rapid.IntRange(0, e.Len()).Draw(o.T, "to")
		o.hold(e.Part(rapid.IntRange(0, to).Draw(o.T, "from"), to))
	}
}

func (o *overwriting) transaction() {
	switch {
	case o.kept == nil:
		o.s.Begin()
		o.kept = cloned(o.model)
	case rapid.Bool().Draw(o.T, "commit"):
		o.s.Commit()
		o.kept = nil
	default:
		o.s.Rollback()
		o.model, o.kept = o.kept, nil
	}
}

func (o *overwriting) freeze() {
	if o.kept != nil { // a shard takes none within a transaction
		return
	}
	if len(o.views) > 1 {
		o.release()
	}
	o.views = append(o.views, frozenStrings{o.s.Freeze(), cloned(o.model)})
}

func (o *overwriting) release() {
	v := o.views[0]
	o.views = o.views[1:]
	if got := contentsOf(v.sn.Each); fmt.Sprint(got) != fmt.Sprint(v.model) {
		o.Fatal("a snapshot has changed")
	}
	if a, err := v.sn.Audit(func() error { return nil }); err != nil || a.Sum != v.sn.Sum() {
		o.Fatalf("the sum of a snapshot: %v", err)
	}
	v.sn.Release()
}

func contentsOf(each func(func(*Entry) error) error) map[string]string {
	all := map[string]string{}
	_ = each(func(e *Entry) error {
		all[e.Key()] = string(e.Look())
		return nil
	})
	return all
}

func (o *overwriting) check() {
	got := contentsOf(func(fn func(*Entry) error) error {
		o.s.Each(func(e *Entry) bool { return fn(e) == nil })
		return nil
	})
	if fmt.Sprint(got) != fmt.Sprint(o.model) {
		o.Fatal("the store is not what the model is")
	}
	for _, h := range o.held {
		if !bytes.Equal(h[0], h[1]) {
			o.Fatal("bytes that somebody holds have changed")
		}
	}
	var sum Summer
	o.s.Each(func(e *Entry) bool { sum.Add(e); return true })
	if sum.Sum() != o.s.Sum() || sumOfSizes(o.s) != o.s.Used() {
		o.Fatalf("sum %x, counted %x; %d bytes, counted %d", sum.Sum(), o.s.Sum(), sumOfSizes(o.s), o.s.Used())
	}
	o.s.Each(func(e *Entry) bool {
		if c := e.object(); c != nil && e.flags&flagOwned != 0 && int(c.valCap) != roomFor(e.Len(), true) {
			o.Fatalf("%d bytes have room for %d", e.Len(), c.valCap)
		}
		return true
	})
}

func TestOverwriteAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := &overwriting{T: t, s: New(DefaultOptions()), model: map[string]string{}}
		for range rapid.IntRange(20, 60).Draw(t, "steps") {
			switch n := rapid.IntRange(0, 19).Draw(t, "step"); {
			case n < 2:
				o.put()
			case n < 11:
				o.overwrite()
			case n < 16:
				o.other()
			case n < 18:
				o.transaction()
			default:
				o.freeze()
			}
			o.check()
		}
		for len(o.views) > 0 {
			o.release()
		}
	})
}

// TestLongStringIsChangedInPlace: a change of a few bytes allocates no copy of the value, once
// there was one, also after looks at it; only who was lent it costs another one.
func TestLongStringIsChangedInPlace(t *testing.T) {
	const n = 16 << 20
	s := New(DefaultOptions())
	e := s.Put([]byte("k"), make([]byte, n), 0, false)
	at := 0
	change := func() {
		e = s.Overwrite([]byte("k"), e, n, func(value []byte) bool {
			at += 12345
			value[at]++
			return true
		})
	}
	copies := func(what string, want bool, do func()) {
		t.Helper()
		do()
		before := unsafeAt(e)
		change()
		if did := unsafeAt(e) != before; did != want {
			t.Errorf("%s: copied: %v", what, did)
		}
	}
	copies("the first change", true, func() {})
	copies("the next", false, func() {})
	copies("looks", false, func() { e.Look(); e.Part(5, 500); s.Digest() })
	copies("a lifetime", false, func() { e = s.SetExpireAt(e, 1<<40) })
	copies("a reply", true, func() { e.Bytes() })
	copies("a change after a reply", false, func() {})
	copies("a copy", true, func() { s.Copy(e, []byte("l")) })
	var sn *Snapshot
	copies("a snapshot", true, func() { sn = s.Freeze() })
	copies("the next during a snapshot", false, func() {})
	sn.Release()
	copies("a snapshot that is gone", false, func() { s.Freeze().Release() })
	copies("a transaction", true, s.Begin)
	copies("the next in a transaction", false, func() {})
	s.Commit()
	if allocated := testing.AllocsPerRun(100, change); allocated > 2 {
		t.Errorf("%v allocations", allocated)
	}
}

// unsafeAt is where the bytes of e are.
func unsafeAt(e *Entry) *byte { return &e.Look()[0] }

func BenchmarkOverwrite64MiB(b *testing.B) {
	s := New(DefaultOptions())
	e := s.Put([]byte("k"), make([]byte, 64<<20), 0, true)
	at := 0
	for b.Loop() {
		e = s.Overwrite([]byte("k"), e, e.Len(), func(value []byte) bool {
			at = (at + 1234567) & (64<<20 - 1)
			value[at]++
			return true
		})
	}
}

// TestOverwriteGrowsByZerosAfterARollback: what a transaction appended behind a value, and took back, does
// not come up again.
func TestOverwriteGrowsByZerosAfterARollback(t *testing.T) {
	s := New(DefaultOptions())
	touch := func([]byte) bool { return true }
	e := s.Overwrite([]byte("k"), nil, ownedFrom+1, touch)
	s.Begin()
	s.Append(e, []byte("taken back"))
	s.Rollback()
	e = s.Overwrite([]byte("k"), s.Get([]byte("k")), ownedFrom+11, touch)
	if !bytes.Equal(e.Look(), make([]byte, ownedFrom+11)) {
		t.Errorf("%q", e.Look()[ownedFrom:])
	}
}
