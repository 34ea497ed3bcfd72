package zset

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"
)

// machine compares a ZSet with a map under random operations.
type machine struct {
	z      *ZSet
	model  map[string]float64
	packed bool
	lim    Limits
	epoch  uint64
	views  []*frozen
	// others are sets that shared everything with z once. They change too.
	others []*machine
}

// frozen is a view of a set, or a set that its owner holds on to, with what it
// must show.
type frozen struct {
	*contents
	view  *View
	model map[string]float64
}

func newMachine(lim Limits) *machine {
	return &machine{z: New(), model: map[string]float64{}, packed: true, lim: lim}
}

func genMember() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.Map(rapid.IntRange(0, 400), func(i int) string { return fmt.Sprintf("member:%d", i) }),
		rapid.StringN(0, 3, 12),
		rapid.Map(rapid.IntRange(44, 52), func(n int) string { return strings.Repeat("m", n) }),
		rapid.Map(rapid.IntRange(250, 260), func(n int) string { return strings.Repeat("n", n) }),
	)
}

func genScore() *rapid.Generator[float64] {
	return rapid.OneOf(
		rapid.Map(rapid.IntRange(-3, 3), func(i int) float64 { return float64(i) }),
		rapid.SampledFrom([]float64{0, negativeZero, math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64,
			math.SmallestNonzeroFloat64, 0.1, -0.1, 1 << 40, -1 << 40, 1<<40 - 1, 1 << 53, 1e18}),
		rapid.Float64(),
	)
}

func (m *machine) add(t *rapid.T, member string, score float64) {
	size := m.z.Size()
	added, changed, grown := m.z.Add([]byte(member), score, m.lim)
	was, there := m.model[member]
	if added == there || changed != (!there || was != score) {
		t.Fatalf("Add(%q, %v) says added %v, changed %v; was %v %v", member, score, added, changed, there, was)
	}
	if !there && (len(m.model) >= m.lim.Members || len(member) > m.lim.Bytes) {
		m.packed = false
	}
	if changed && m.packed {
		score = withoutSign(score)
	}
	if changed {
		m.model[member] = score
	}
	if m.z.Size() != size+grown {
		t.Fatalf("grown by %d, from %d to %d", grown, size, m.z.Size())
	}
}

func (m *machine) remove(t *rapid.T, member string) {
	size := m.z.Size()
	removed, grown := m.z.Remove([]byte(member))
	if _, was := m.model[member]; was != removed {
		t.Fatalf("Remove(%q) says %v", member, removed)
	}
	delete(m.model, member)
	if m.z.Size() != size+grown {
		t.Fatalf("grown by %d, from %d to %d", grown, size, m.z.Size())
	}
}

func (m *machine) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"add": func(t *rapid.T) { m.add(t, genMember().Draw(t, "member"), genScore().Draw(t, "score")) },
		"addMany": func(t *rapid.T) {
			from, n := rapid.IntRange(0, 400).Draw(t, "from"), rapid.IntRange(1, 200).Draw(t, "n")
			score, step := genScore().Draw(t, "score"), rapid.SampledFrom([]float64{0, 1, -0.5}).Draw(t, "step")
			for i := range n {
				m.add(t, fmt.Sprintf("member:%d", from+i), score+step*float64(i))
			}
		},
		"remove": func(t *rapid.T) { m.remove(t, genMember().Draw(t, "member")) },
		"removeMany": func(t *rapid.T) {
			from, n := rapid.IntRange(0, 400).Draw(t, "from"), rapid.IntRange(1, 300).Draw(t, "n")
			for i := range n {
				m.remove(t, fmt.Sprintf("member:%d", from+i))
			}
		},
		"removeRange": func(t *rapid.T) {
			order := m.order()
			from := rapid.IntRange(0, len(order)).Draw(t, "from")
			to := rapid.IntRange(from, min(len(order), from+50)).Draw(t, "to")
			size := m.z.Size()
			if grown := m.z.RemoveRange(from, to); m.z.Size() != size+grown {
				t.Fatalf("grown by %d, from %d to %d", grown, size, m.z.Size())
			}
			for _, member := range order[from:to] {
				delete(m.model, member)
			}
		},
		"limits": func(t *rapid.T) {
			m.lim = Limits{rapid.IntRange(0, 40).Draw(t, "members"), rapid.IntRange(0, 60).Draw(t, "bytes")}
		},
		"freeze": func(t *rapid.T) {
			v := m.z.Freeze()
			m.views = append(m.views, &frozen{&v.contents, v, maps.Clone(m.model)})
		},
		"release": func(t *rapid.T) { m.release(t) },
		"epoch": func(t *rapid.T) { // the owner freezes, and nothing of his is left from before
			m.epoch++
			if watched := rapid.Bool().Draw(t, "watched"); watched {
				old := m.z
				m.views = append(m.views, &frozen{&old.contents, nil, maps.Clone(m.model)})
				m.z = m.z.Own(m.epoch, true)
				if m.z == old || m.z.Own(m.epoch, true) != m.z {
					t.Fatal("Own forks once for one epoch")
				}
			}
		},
		"ownersEnd": func(t *rapid.T) { // what the owner froze is gone, other views are not
			m.views = slices.DeleteFunc(m.views, func(f *frozen) bool { return f.view == nil })
			m.epoch++
			if m.z.Own(m.epoch, false) != m.z {
				t.Fatal("Own forks for nobody")
			}
		},
		"clone": func(t *rapid.T) {
			if len(m.others) < 3 {
				o := newMachine(m.lim)
				o.z, o.model, o.packed = m.z.Clone(), maps.Clone(m.model), m.packed
				m.others = append(m.others, o)
			}
		},
		"swap": func(t *rapid.T) {
			if len(m.others) > 0 {
				o := m.others[0]
				m.z, o.z = o.z, m.z
				m.model, o.model = o.model, m.model
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

func same(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }

func (f *frozen) check(t *rapid.T) {
	got := map[string]float64{}
	f.Ascend(0, func(member []byte, score float64) bool {
		got[string(member)] = score
		return true
	})
	if !maps.EqualFunc(got, f.model, same) || f.Len() != len(f.model) || f.Resum() != f.Sum() {
		t.Fatalf("a view has %d members that differ from the %d at Freeze", len(got), len(f.model))
	}
}

// order is the model's, by score and bytes.
func (m *machine) order() []string {
	return slices.SortedFunc(maps.Keys(m.model), func(a, b string) int {
		return cmp.Or(cmp.Compare(m.model[a], m.model[b]), strings.Compare(a, b))
	})
}

func (m *machine) check(t *rapid.T) {
	if m.z.Packed() != m.packed {
		t.Fatalf("packed: %v, want %v", m.z.Packed(), m.packed)
	}
	if err := m.z.verify(); err != nil {
		t.Fatal(err)
	}
	order := m.order()
	if m.z.Len() != len(order) {
		t.Fatalf("Len %d, want %d", m.z.Len(), len(order))
	}
	for rank := 0; rank < len(order); rank += 1 + len(order)/50 { // verify has looked at all of them
		member := order[rank]
		want := m.model[member]
		if got, score := m.z.At(rank); string(got) != member || !same(score, want) {
			t.Fatalf("At(%d) is %q %v, want %q %v", rank, got, score, member, want)
		}
		if r, score, ok := m.z.Rank([]byte(member)); r != rank || !ok || !same(score, want) {
			t.Fatalf("Rank(%q) is %d %v, want %d %v", member, r, score, rank, want)
		}
	}
	m.checkWalks(t, order)
	m.checkBounds(t, order)
	if _, ok := m.z.Score([]byte("never added")); ok {
		t.Fatal("found a member that was never added")
	}
	for _, v := range m.views {
		v.check(t)
	}
	for _, o := range m.others {
		(&frozen{&o.z.contents, nil, o.model}).check(t)
	}
}

// checkWalks goes in both directions from some ranks.
func (m *machine) checkWalks(t *rapid.T, order []string) {
	for _, from := range []int{0, len(order) / 3, len(order) - 1, len(order)} {
		var up, down []string
		m.z.Ascend(max(from, 0), func(member []byte, _ float64) bool {
			up = append(up, string(member))
			return len(up) < 150
		})
		m.z.Descend(from, func(member []byte, _ float64) bool {
			down = append(down, string(member))
			return len(down) < 150
		})
		if want := order[max(from, 0):min(len(order), max(from, 0)+150)]; !slices.Equal(up, want) {
			t.Fatalf("up from %d: %q, want %q", from, up, want)
		}
		end := min(from, len(order)-1) + 1
		want := slices.Clone(order[max(0, end-150):max(end, 0)])
		slices.Reverse(want)
		if !slices.Equal(down, want) {
			t.Fatalf("down from %d: %q, want %q", from, down, want)
		}
	}
}

func (m *machine) checkBounds(t *rapid.T, order []string) {
	score := genScore().Draw(t, "bound")
	for _, equal := range []bool{false, true} {
		want := 0
		for _, member := range order {
			if s := m.model[member]; s < score || equal && s == score {
				want++
			}
		}
		if got := m.z.Below(score, equal); got != want {
			t.Fatalf("Below(%v, %v) is %d, want %d", score, equal, got, want)
		}
	}
	rank := rapid.IntRange(0, len(order)).Draw(t, "rank")
	ranks := map[string]int{}
	for i, member := range order {
		ranks[member] = i
	}
	first := m.z.First(func(member []byte) bool { return ranks[string(member)] >= rank })
	last := m.z.Last(func(member []byte) bool { return ranks[string(member)] < rank })
	if first != rank || last != rank-1 {
		t.Fatalf("first %d, last %d of rank %d", first, last, rank)
	}
}

func TestZSetAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lim := Limits{rapid.IntRange(0, 200).Draw(t, "members"), rapid.IntRange(0, 64).Draw(t, "bytes")}
		m := newMachine(lim)
		t.Repeat(m.actions())
		m.twin(t)
	})
}

// twin builds the same contents another way, and checks that nothing tells the two
// apart.
func (m *machine) twin(t *rapid.T) {
	members := rapid.Permutation(m.order()).Draw(t, "order")
	o := New()
	if !m.packed {
		o = NewLarge()
	}
	wide := Limits{1 << 20, 1 << 20}
	for i, k := range members {
		o.Add(fmt.Appendf(nil, "passing-%d", i), 1, wide)
		o.Add([]byte(k), 12345, wide)
		o.Add([]byte(k), m.model[k], wide)
	}
	for i := range members {
		o.Remove(fmt.Appendf(nil, "passing-%d", i))
	}
	if o.Len() != m.z.Len() || o.Size() != m.z.Size() || o.Sum() != m.z.Sum() || digest(&o.contents) != digest(&m.z.contents) {
		t.Fatalf("twins differ: %d members, size %d, sum %x; %d, %d, %x",
			o.Len(), o.Size(), o.Sum(), m.z.Len(), m.z.Size(), m.z.Sum())
	}
	for cursor := uint64(0); ; {
		var a, b []string
		next := o.Scan(cursor, upTo(7), func(f []byte, _ float64) { a = append(a, string(f)) })
		if n := m.z.Scan(cursor, upTo(7), func(f []byte, _ float64) { b = append(b, string(f)) }); n != next || !slices.Equal(a, b) {
			t.Fatalf("at cursor %d: %q %d and %q %d", cursor, a, next, b, n)
		}
		if cursor = next; cursor == 0 {
			return
		}
	}
}

func upTo(n int) func() bool {
	return func() bool {
		n--
		return n > 0
	}
}

func digest(c *contents) uint64 {
	var d xxhash.Digest
	d.Reset()
	c.Digest(&d)
	return d.Sum64()
}

// TestScanWhileTheSetChanges: what is there throughout comes exactly once, whatever becomes
// of its score.
func TestScanWhileTheSetChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(Limits{rapid.SampledFrom([]int{0, 128}).Draw(t, "limit"), 64})
		m.add(t, "first", 1)
		for i := range rapid.IntRange(0, 300).Draw(t, "n") {
			m.add(t, fmt.Sprintf("member:%d", i), float64(i))
		}
		throughout := maps.Clone(m.model)
		seenOnce := map[string]int{}
		for cursor := uint64(0); ; {
			cursor = m.z.Scan(cursor, upTo(rapid.IntRange(0, 20).Draw(t, "count")), func(member []byte, _ float64) { seenOnce[string(member)]++ })
			if cursor == 0 {
				break
			}
			for range rapid.IntRange(0, 20).Draw(t, "changes") {
				member := genMember().Draw(t, "member")
				if rapid.Bool().Draw(t, "remove") {
					m.remove(t, member)
					delete(throughout, member)
				} else {
					m.add(t, member, genScore().Draw(t, "score"))
				}
			}
		}
		for member := range throughout {
			if seenOnce[member] != 1 {
				t.Fatalf("%q came %d times", member, seenOnce[member])
			}
		}
	})
}

func TestScoresAreKeptToTheBit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		score, other := genScore().Draw(t, "score"), genScore().Draw(t, "other")
		b := appendScore(nil, score)
		if got, n := readScore(append(b, 0xff, 0xff)); !same(got, score) || n != len(b) || n > maxScoreBytes {
			t.Fatalf("%v comes back as %v, %d of %d bytes", score, got, n, len(b))
		}
		if cmp.Compare(keyOf(score), keyOf(other)) != cmp.Compare(score, other) {
			t.Fatalf("%v and %v: keys %x and %x", score, other, keyOf(score), keyOf(other))
		}
		if !isNegativeZero(score) && !same(scoreOf(keyOf(score)), score) {
			t.Fatalf("%v has a key of %v", score, scoreOf(keyOf(score)))
		}
	})
}

func TestNoScoreIsNaN(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("NaN was added")
		}
	}()
	New().Add([]byte("m"), math.NaN(), DefaultLimits())
}
