package resp

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestDoublesAsRedis(t *testing.T) {
	for f, want := range map[float64]string{
		0.1: "0.1", 0.3: "0.3", 1.5: "1.5", -2.25: "-2.25", 3: "3", 1e15: "1000000000000000", 1e18: "1000000000000000000",
		1 << 62: "4611686018427387904", 1e19: "1e+19", 1e20: "1e+20", 1.2345e30: "1.2345e+30", 5e-324: "5e-324",
		math.MaxFloat64: "1.7976931348623157e+308", 1e-5: "0.00001", 1e-6: "0.000001", 1e-7: "1e-7", 1.5e-7: "1.5e-7", 0.000123456789: "1.23456789e-4",
		12345678.9: "12345678.9", 0.30000000000000004: "0.30000000000000004", 1.0 / 3: "0.3333333333333333", 123e-20: "1.23e-18",
		3.141592653589793: "3.141592653589793", 2.2250738585072014e-308: "2.2250738585072014e-308", 1e100: "1e+100",
	} {
		if got := string(AppendDouble(nil, f)); got != want {
			t.Errorf("%v is %s, want %s", f, got, want)
		}
	}
}

// TestDoublesReadBack: whatever digits there are, they stand for the number, and hardly ever
// are there more than are needed.
func TestDoublesReadBack(t *testing.T) {
	longer, n := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		for range 100 {
			f := math.Float64frombits(rapid.Uint64().Draw(t, "bits"))
			if math.IsNaN(f) {
				continue
			}
			s := string(AppendDouble(nil, f))
			if back, err := strconv.ParseFloat(s, 64); err != nil || math.Float64bits(back) != math.Float64bits(f) {
				t.Fatalf("%v is %s, which is %v", f, s, back)
			}
			if n++; digitsOf(s) > digitsOf(strconv.FormatFloat(f, 'e', -1, 64)) {
				longer++
			}
		}
	})
	if longer*100 > n {
		t.Errorf("%d of %d are longer than needed", longer, n)
	}
}

func digitsOf(s string) (n int) {
	s, _, _ = strings.Cut(s, "e")
	return len(strings.Trim(strings.NewReplacer("-", "", ".", "").Replace(s), "0"))
}
