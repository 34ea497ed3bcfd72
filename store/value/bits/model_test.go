package bits

import (
	"bytes"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// spread is the model: one element a bit.
func spread(b []byte) []int {
	all := make([]int, 0, 8*len(b))
	for _, c := range b {
		for i := 7; i >= 0; i-- {
			all = append(all, int(c>>i)&1)
		}
	}
	return all
}

// drawString is short or some words long, and often has long runs of one bit.
func drawString(t *rapid.T, name string) []byte {
	n := rapid.IntRange(1, 100).Draw(t, name+" length")
	b := bytes.Repeat([]byte{rapid.SampledFrom([]byte{0, 0xff, 0x5a}).Draw(t, name+" fill")}, n)
	for range rapid.IntRange(0, 4).Draw(t, name+" changes") {
		b[rapid.IntRange(0, n-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
	}
	return b
}

func TestBitsAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := drawString(t, "string")
		model := spread(b)
		at := rapid.IntRange(0, len(model)+20).Draw(t, "offset")
		want := 0
		if at < len(model) {
			want = model[at]
		}
		if got := Get(b, int64(at)); got != want {
			t.Fatalf("bit %d is %d, want %d", at, got, want)
		}
		first := rapid.IntRange(0, len(model)-1).Draw(t, "first")
		last := rapid.IntRange(max(first-1, 0), len(model)-1).Draw(t, "last")
		part := model[min(first, last+1) : last+1]
		ones := 0
		for _, bit := range part {
			ones += bit
		}
		if got := Count(b, int64(first), int64(last)); got != int64(ones) {
			t.Fatalf("%d to %d: %d bits are set, want %d", first, last, got, ones)
		}
		for bit := range 2 {
			at := slices.Index(part, bit)
			if at >= 0 {
				at += first
			}
			if got := Find(b, bit, int64(first), int64(last)); got != int64(at) {
				t.Fatalf("first %d from %d to %d is at %d, want %d", bit, first, last, got, at)
			}
		}
		bit := rapid.IntRange(0, 1).Draw(t, "bit")
		Set(b, int64(first), bit)
		model[first] = bit
		if !slices.Equal(spread(b), model) {
			t.Fatalf("bit %d set to %d: %x", first, bit, b)
		}
	})
}

func TestCombineAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		op := rapid.SampledFrom([]Op{And, Or, Xor, Not}).Draw(t, "op")
		sources := [][]byte{drawString(t, "first")}
		for op != Not && rapid.Bool().Draw(t, "more") {
			sources = append(sources, drawString(t, "another")[rapid.IntRange(0, 1).Draw(t, "from"):])
		}
		longest := 0
		for _, s := range sources {
			longest = max(longest, len(s))
		}
		want := make([]byte, longest)
		at := func(s []byte, i int) byte {
			if i < len(s) {
				return s[i]
			}
			return 0
		}
		for i := range want {
			want[i] = at(sources[0], i)
			for _, s := range sources[1:] {
				switch op {
				case And:
					want[i] &= at(s, i)
				case Or:
					want[i] |= at(s, i)
				case Xor:
					want[i] ^= at(s, i)
				}
			}
			if op == Not {
				want[i] = ^want[i]
			}
		}
		got := bytes.Repeat([]byte{0xA5}, longest)
		if Combine(got, op, sources); !bytes.Equal(got, want) {
			t.Fatalf("%d of %x: %x, want %x", op, sources, got, want)
		}
	})
}

func TestFieldsAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := drawString(t, "string")
		f := Field{Signed: rapid.Bool().Draw(t, "signed"), Offset: int64(rapid.IntRange(0, 8*len(b)+70).Draw(t, "offset"))}
		f.Width = uint8(rapid.IntRange(1, 63).Draw(t, "width"))
		if f.Signed && rapid.Bool().Draw(t, "widest") {
			f.Width = 64
		}
		_, end := f.Bytes()
		long := append(b[:len(b):len(b)], make([]byte, max(int(end)-len(b), 0))...)
		want := new(big.Int)
		for i, bit := range spread(long)[f.Offset : f.Offset+int64(f.Width)] {
			want.Lsh(want, 1).Add(want, big.NewInt(int64(bit)))
			if i == 0 && bit == 1 && f.Signed {
				want.Neg(want)
			}
		}
		if got := f.Get(b); got != want.Int64() {
			t.Fatalf("%+v of %x is %d, want %d", f, b, got, want)
		}
		before := spread(long)
		v := rapid.Int64().Draw(t, "value")
		f.Put(long, v)
		after := spread(long)
		kept, _ := f.Fit(v, 0, Wrap)
		if f.Get(long) != kept {
			t.Fatalf("%+v set to %d is %d, want %d", f, v, f.Get(long), kept)
		}
		copy(after[f.Offset:], before[f.Offset:f.Offset+int64(f.Width)])
		if !slices.Equal(before, after) {
			t.Fatalf("%+v: bits beside it changed", f)
		}
	})
}

// TestSumsThatFit: sums of numbers in bounds are those of unlimited arithmetic.
func TestSumsThatFit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := Field{Signed: rapid.Bool().Draw(t, "signed"), Width: uint8(rapid.IntRange(1, 63).Draw(t, "width"))}
		most, least := f.bounds()
		value, by := rapid.Int64Range(least, most).Draw(t, "value"), rapid.Int64().Draw(t, "by")
		sum := new(big.Int).Add(big.NewInt(value), big.NewInt(by))
		fits := sum.Cmp(big.NewInt(most)) <= 0 && sum.Cmp(big.NewInt(least)) >= 0
		got, ok := f.Fit(value, by, Saturate)
		if ok != fits || fits && got != sum.Int64() {
			t.Fatalf("%+v: %d + %d = %d, %v", f, value, by, got, ok)
		}
		if !fits {
			want := least
			if by > 0 {
				want = most
			}
			if got != want {
				t.Fatalf("%+v: %d + %d saturates to %d, want %d", f, value, by, got, want)
			}
		}
	})
}
