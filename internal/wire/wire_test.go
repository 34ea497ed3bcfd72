package wire

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, s := rapid.Uint64().Draw(t, "v"), rapid.SliceOf(rapid.Byte()).Draw(t, "s")
		b := AppendBytes(AppendBytes(AppendUvarints(nil, v, 7), s), "end")
		got, rest, ok := CutUvarint(b)
		seven, rest, ok2 := CutUvarint(rest)
		str, rest, ok3 := CutBytes(rest)
		end, rest, ok4 := CutBytes(rest)
		if !ok || !ok2 || !ok3 || !ok4 || got != v || seven != 7 || !bytes.Equal(str, s) || string(end) != "end" || len(rest) != 0 {
			t.Fatalf("%d %q: %d %d %q %q %q", v, s, got, seven, str, end, rest)
		}
		for n := range b { // cut anywhere, nothing beyond what is there is read
			if s, rest, ok := CutBytes(b[:n]); ok && len(s)+len(rest) >= n {
				t.Fatalf("%d bytes became %q and %q", n, s, rest)
			}
		}
	})
}

func TestWhatIsTooShort(t *testing.T) {
	for name, b := range map[string][]byte{
		"nothing":          nil,
		"half a number":    {0x80},
		"an endless one":   bytes.Repeat([]byte{0x80}, 11),
		"bytes missing":    {3, 'a', 'b'},
		"a length too far": binary.AppendUvarint(nil, math.MaxUint64),
	} {
		if s, _, ok := CutBytes(b); ok {
			t.Errorf("%s: %q", name, s)
		}
	}
	if n, rest, ok := CutCount([]byte{2, 0, 0, 0, 0, 0, 0, 0}, 3); !ok || n != 2 || len(rest) != 7 {
		t.Errorf("two things of three bytes: %d, %d left, %v", n, len(rest), ok)
	}
	if _, _, ok := CutCount([]byte{3, 0, 0, 0, 0, 0, 0, 0}, 3); ok {
		t.Error("three things of three bytes in seven")
	}
}
