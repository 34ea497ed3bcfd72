package command_test

import (
	"bytes"
	"math/big"
	"strconv"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/commandtest"
)

func FuzzExtended(f *testing.F) {
	gen := commandtest.NewGenerator(1)
	for range 200 {
		f.Add(gen.Float())
	}
	f.Fuzz(func(t *testing.T, s string) {
		x, ok := command.ParseExtended([]byte(s))
		if !ok || !x.Finite() {
			return
		}
		text := x.Text()
		again, ok := command.ParseExtended(text)
		if !ok || !again.Finite() {
			t.Fatalf("%q became %q, which is no number", s, text)
		}
		if second := again.Text(); x.Float().MantExp(nil) < 60 && len(text) < 19 && !bytes.Equal(text, second) {
			t.Errorf("%q became %q, then %q", s, text, second)
		}
		// A float64 that reads the text the same way must be near.
		if d, err := strconv.ParseFloat(s, 64); err == nil {
			if f64, _ := x.Float().Float64(); f64 != d && new(big.Float).Sub(big.NewFloat(f64), big.NewFloat(d)).MantExp(nil) > x.Float().MantExp(nil)-50 {
				t.Errorf("%q = %v, strconv says %v", s, f64, d)
			}
		}
	})
}
