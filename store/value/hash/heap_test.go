package hash

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// shape is hashes of so many fields each, with names of so many bytes and values of least to most.
type shape struct{ hashes, fields, name, least, most int }

func (c shape) field(i int) []byte { return fmt.Appendf(nil, "%0*d", c.name, i) }

func (c shape) value(rng *rand.Rand) []byte { return make([]byte, c.least+rng.IntN(c.most-c.least+1)) }

func (c shape) fill(rng *rand.Rand) []*Hash {
	all := make([]*Hash, c.hashes)
	for i := range all {
		all[i] = New()
		for k := range c.fields {
			all[i].Set(c.field(k), c.value(rng), DefaultLimits())
		}
	}
	return all
}

// overwrite sets twice as many fields as there are, each time any of them.
func (c shape) overwrite(all []*Hash, rng *rand.Rand) {
	for range 2 * c.hashes * c.fields {
		all[rng.IntN(len(all))].Set(c.field(rng.IntN(c.fields)), c.value(rng), DefaultLimits())
	}
}

// remove deletes that part of the fields, any of them.
func (c shape) remove(all []*Hash, rng *rand.Rand, part float64) {
	for _, h := range all {
		for _, i := range rng.Perm(c.fields)[:int(float64(c.fields)*part)] {
			h.Delete(c.field(i))
		}
	}
}

// restored returns the hashes as a snapshot brings them: field by field, in order.
func restored(all []*Hash) []*Hash {
	again := make([]*Hash, len(all))
	for i, h := range all {
		if again[i] = New(); !h.Packed() {
			again[i] = NewLarge()
		}
		h.Each(func(field, value []byte) bool {
			again[i].Set(field, value, MaxLimits())
			return true
		})
	}
	return again
}

// TestAccountingIsCloseToTheHeap: Size decides about evictions, so it is within a tenth of what
// the process really needs, whether a hash is new or was overwritten. Where most was deleted, or
// a snapshot has filled the leaves, it is within an eighth: Size does not know what happened.
func TestAccountingIsCloseToTheHeap(t *testing.T) {
	for _, c := range []struct {
		name string
		shape
	}{
		{"packed, 1 field", shape{10000, 1, 16, 16, 16}},
		{"packed, 3 fields", shape{5000, 3, 16, 16, 16}},
		{"packed, 10 fields", shape{3000, 10, 16, 16, 16}},
		{"packed, 10 of 1 to 40", shape{3000, 10, 16, 1, 40}},
		{"packed, 100 fields", shape{300, 100, 16, 32, 32}},
		{"packed, 100 of 1 to 64", shape{300, 100, 16, 1, 64}},
		{"large, just so", shape{300, 130, 16, 16, 16}},
		{"large, 3 long values", shape{3000, 3, 16, 300, 300}},
		{"large, 10 of 100", shape{1000, 10, 16, 100, 100}},
		{"large, values of 8", shape{1, 30_000, 16, 8, 8}},
		{"large, values of 64", shape{1, 20_000, 16, 64, 64}},
		{"large, values of 250", shape{1, 20_000, 16, 250, 250}},
		{"large, values of 1 to 200", shape{1, 30_000, 16, 1, 200}},
		{"large, values of 500", shape{1, 10_000, 16, 500, 500}},
		{"large, values of 3000", shape{1, 5_000, 16, 3000, 3000}},
		{"large, names of 300", shape{1, 10_000, 300, 8, 8}},
	} {
		rng := rand.New(rand.NewPCG(1, 2))
		var all []*Hash
		check := func(after string, heap int64, slack float64) {
			heap -= 8 * int64(len(all)) // the list
			var size int64
			for _, h := range all {
				size += h.Size()
			}
			per := func(n int64) float64 { return float64(n) / float64(c.hashes*c.fields) }
			t.Logf("%-26s %-14s %7.1f bytes per field on the heap, %7.1f accounted", c.name, after, per(heap), per(size))
			if ratio := float64(size) / float64(heap); ratio < 1-slack || ratio > 1+slack {
				t.Errorf("%s, %s: %.3f times what the heap holds is accounted", c.name, after, ratio)
			}
		}
		heap := heapOf(func() any { all = c.fill(rng); return all })
		check("new", heap, 0.1)
		heap += heapOf(func() any { c.overwrite(all, rng); return all })
		check("overwritten", heap, 0.1)
		heap += heapOf(func() any { c.remove(all, rng, 0.34); return all })
		check("a third deleted", heap, 0.1)
		heap += heapOf(func() any { c.remove(all, rng, 0.6); return all })
		check("60 % deleted", heap, 0.125)
		check("restored", heapOf(func() any { all = restored(all); return all })+heap, 0.125)
	}
}
