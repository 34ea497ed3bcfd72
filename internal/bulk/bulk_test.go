package bulk

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(b)
	return b
}

func TestCopyAndAppendAreCopyAndAppend(t *testing.T) {
	sizes := []int{0, 1, 4095, StepBytes - 1, StepBytes, StepBytes + 1, 3*StepBytes + 7, populateBytes + 1, 3*populateBytes - 5}
	for _, n := range sizes {
		src := random(n)
		for _, room := range []int{0, n / 2, n, n + 3} {
			dst := random(room)
			want := bytes.Clone(dst)
			if got, w := Copy(dst, src), copy(want, src); got != w || !bytes.Equal(dst, want) {
				t.Errorf("Copy of %d bytes into %d: %d, want %d", n, room, got, w)
			}
		}
		for _, have := range []int{0, 5, StepBytes + 3} {
			for _, spare := range []int{0, n / 2, n} {
				prefix := append(make([]byte, 0, have+spare), random(have)...)
				if got := Append(prefix, src); !bytes.Equal(got, append(bytes.Clone(prefix), src...)) {
					t.Errorf("Append of %d bytes to %d with room for %d", n, have, spare)
				}
			}
		}
	}
}

func TestAppendAllocatesOnceAndExactly(t *testing.T) {
	src := random(4 << 20)
	if got := Append([]byte("header"), src); cap(got) != len(got) {
		t.Errorf("%d bytes in %d", len(got), cap(got))
	}
	dst := make([]byte, 0, len(src)+16)
	if n := testing.AllocsPerRun(3, func() { dst = Append(dst[:0], src) }); n != 0 {
		t.Errorf("%v allocations although there was room", n)
	}
}

func TestOverlappingCopyTowardsTheFront(t *testing.T) {
	b := random(3*StepBytes + 11)
	want := bytes.Clone(b[100:])
	Copy(b, b[100:])
	if !bytes.Equal(b[:len(want)], want) {
		t.Error("wrong bytes")
	}
}

func TestReadyChangesNothing(t *testing.T) {
	b := random(2*populateBytes + 4097)
	want := bytes.Clone(b)
	Ready(b)
	Ready(b[3:10])
	Ready(nil)
	if !bytes.Equal(b, want) {
		t.Error("contents changed")
	}
}

// BenchmarkAppendFresh appends to memory of which no page was touched.
func BenchmarkAppendFresh(b *testing.B) {
	src := random(64 << 20)
	for _, c := range []struct {
		name string
		add  func(dst, src []byte) []byte
	}{{"bulk", Append}, {"append", func(dst, src []byte) []byte { return append(dst, src...) }}} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				_ = c.add(make([]byte, 0), src)
			}
		})
	}
}
