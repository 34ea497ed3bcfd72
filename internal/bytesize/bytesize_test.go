package bytesize

import (
	"testing"

	"pgregory.net/rapid"
)

func TestParse(t *testing.T) {
	for in, want := range map[string]int64{"0": 0, "100": 100, "1b": 1, "1k": 1000, "1kb": 1024, "2M": 2_000_000, "512MB": 512 << 20, "1g": 1_000_000_000, "3gb": 3 << 30} {
		if got, err := Parse(in); err != nil || got != want {
			t.Errorf("%s: %d, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "mb", "-1", "+1", "-0", "1.5gb", "1 mb", "9223372036854775808", "9000000000gb"} {
		if got, err := Parse(in); err == nil {
			t.Errorf("%q: accepted as %d", in, got)
		}
	}
}

func TestFormatIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, 1<<62).Draw(t, "bytes")
		if got, err := Parse(Format(n)); err != nil || got != n {
			t.Fatalf("%d is written %s and read %d, %v", n, Format(n), got, err)
		}
	})
}
