package command

import (
	"bytes"
	"math/big"
	"strconv"
	"testing"

	"github.com/lockstepkv/lockstep/internal/heapuse"
	"github.com/lockstepkv/lockstep/resp"
)

// FuzzExec: no arguments, however strange, make Exec panic, answer with a
// malformed error, or change the store through a command that only reads.
func FuzzExec(f *testing.F) {
	gen := newGenerator(1)
	for range 300 {
		f.Add(bytes.Join(gen.command(), []byte{0x01}))
	}
	for _, sp := range NewTable().Specs() {
		f.Add([]byte(sp.Name))
		f.Add([]byte(sp.Name + "\x01a\x011\x01b"))
		for _, sub := range sp.Sub {
			f.Add(bytes.ReplaceAll([]byte(sub.Name), []byte("|"), []byte{0x01}))
		}
	}
	f.Add([]byte("ONCE\x01id\x01ONCE\x01id\x01SET\x01a\x01b"))
	f.Add([]byte("ONCE\x01id\x01LS.PUT\x01a\x01b\x01IFVERSION\x0118446744073709551615"))
	f.Add([]byte("LS.TXN\x01IF\x011\x01k\x01VALUE\x015\x01THEN\x012\x012\x01DEL\x01k\x012\x01INCR\x01a\x01ELSE\x010"))
	f.Add([]byte("LS.TXN\x01IF\x011\x01k\x01VERSION\x019\x01THEN\x010\x01ELSE\x012\x013\x01RENAME\x01k\x01a\x013\x01SETRANGE\x01a\x01x"))
	table := NewTable()
	f.Fuzz(func(t *testing.T, b []byte) {
		args := bytes.Split(b, []byte{0x01})
		if wantsMuchMemory(args) {
			return
		}
		ctx := newCtx()
		ctx.Table = table
		do(ctx, "MSET k 5 a text k1 1.5")
		do(ctx, "PEXPIRE a 50")
		before, used := ctx.Store.Digest(), ctx.Store.Used()
		sp, err := table.Check(args)
		if err == nil {
			if _, err := sp.KeysOf(args); err != nil {
				checkError(t, args, err.Error())
			}
		}
		v := table.Exec(ctx, args)
		if v.IsError() {
			checkError(t, args, string(v.Str))
		}
		if (v.IsError() || sp.Flags.Has(ReadOnly)) && (ctx.Store.Digest() != before || ctx.Store.Used() != used) {
			t.Errorf("%s: %q changed the store", quote(args), show(v))
		}
		resp.Append(nil, v, 3)
	})
}

// wantsMuchMemory keeps SETRANGE from half a gigabyte per run.
func wantsMuchMemory(args Args) bool {
	for _, a := range args {
		if n, ok := parseInt(a); ok && n > 1<<16 && n <= maxStringBytes {
			return true
		}
	}
	return false
}

func checkError(t *testing.T, args Args, text string) {
	t.Helper()
	code := resp.Error(text).Code()
	if code == "" || code != string(bytes.ToUpper([]byte(code))) || bytes.ContainsAny([]byte(text), "\r\n\x00") {
		t.Errorf("%s: malformed error %q", quote(args), text)
	}
}

// unitFactor is how many times its encoded size a unit may take in memory: an argument
// of a byte becomes a slice in a list that grew.
const unitFactor = 128

// readUnits decodes until the first failure.
func readUnits(body []byte) {
	var r UnitReader
	var u Unit
	for r.Reset(body); !r.Done(); {
		if r.Next(&u) != nil {
			return
		}
	}
}

// FuzzUnit: no bytes make the decoder or RunUnit panic, and what decodes
// survives another round.
func FuzzUnit(f *testing.F) {
	var b Batch
	b.Add(line("SET k v"))
	b.AddMulti([]Watch{{Key: []byte("k"), Version: 1}}, []Args{line("GET k"), line("INCR n")})
	b.AddMulti(nil, nil)
	b.Add(line("ONCE id DEL k"))
	f.Add(b.Body)
	f.Add([]byte{2, 0, 1, 0})
	f.Add([]byte{1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1})
	table := NewTable()
	f.Fuzz(func(t *testing.T, body []byte) {
		if used := heapuse.Exceeds(len(body), unitFactor, func() { readUnits(body) }); used > 0 {
			t.Fatalf("%d bytes allocated for %d", used, len(body))
		}
		var r UnitReader
		r.Reset(body)
		ctx := newCtx()
		ctx.Table = table
		var u Unit
		var again Batch
		for !r.Done() {
			if err := r.Next(&u); err != nil {
				return
			}
			if u.Multi {
				again.AddMulti(u.Watches, u.Cmds)
			} else {
				again.Add(u.Cmds[0])
			}
			for _, c := range u.Cmds {
				if wantsMuchMemory(c) {
					return
				}
			}
			table.RunUnit(ctx, &u)
		}
		var r2 UnitReader
		r2.Reset(again.Body)
		n := 0
		for ; !r2.Done(); n++ {
			if err := r2.Next(&u); err != nil {
				t.Fatal(err)
			}
		}
		if n != again.N {
			t.Errorf("%d units became %d", again.N, n)
		}
	})
}

func FuzzGlob(f *testing.F) {
	f.Add("a*b?[c-d]\\e[^", "axxbycde")
	f.Add("[a-", "a")
	f.Add("[\\", "\\")
	f.Add("**[", "[")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if s == "" || len(pattern) > 20 || len(s) > 20 {
			matchGlob(pattern, s)
			return
		}
		if got, want := matchGlob(pattern, s), simpleGlob(pattern, s); got != want {
			t.Errorf("%q on %q = %v, want %v", pattern, s, got, want)
		}
	})
}

// simpleGlob tries every length for every star.
func simpleGlob(pattern, s string) bool {
	if pattern == "" {
		return s == ""
	}
	if pattern[0] == '*' {
		return simpleGlob(pattern[1:], s) || s != "" && simpleGlob(pattern, s[1:])
	}
	if s == "" {
		return false
	}
	width, ok := matchOne(pattern, s[0])
	return ok && simpleGlob(pattern[width:], s[1:])
}

func FuzzExtended(f *testing.F) {
	gen := newGenerator(1)
	for range 200 {
		f.Add(gen.float())
	}
	f.Fuzz(func(t *testing.T, s string) {
		x, inf, ok := parseExtended([]byte(s))
		if !ok || inf {
			return
		}
		text := formatExtended(x)
		again, inf, ok := parseExtended(text)
		if !ok || inf {
			t.Fatalf("%q became %q, which is no number", s, text)
		}
		if second := formatExtended(again); x.MantExp(nil) < 60 && len(text) < 19 && !bytes.Equal(text, second) {
			t.Errorf("%q became %q, then %q", s, text, second)
		}
		// A float64 that reads the text the same way must be near.
		if d, err := strconv.ParseFloat(s, 64); err == nil {
			if f64, _ := x.Float64(); f64 != d && new(big.Float).Sub(big.NewFloat(f64), big.NewFloat(d)).MantExp(nil) > x.MantExp(nil)-50 {
				t.Errorf("%q = %v, strconv says %v", s, f64, d)
			}
		}
	})
}

func TestParseInt(t *testing.T) {
	for _, n := range []int64{0, 1, -1, 9, 10, -10, 1 << 62, -1 << 63, 1<<63 - 1} {
		if got, ok := parseInt(strconv.AppendInt(nil, n, 10)); !ok || got != n {
			t.Errorf("parseInt(%d) = %d, %v", n, got, ok)
		}
	}
	for _, s := range []string{"", "-", "-0", "00", "01", "+1", " 1", "1 ", "9223372036854775808", "-9223372036854775809", "18446744073709551617", "99999999999999999999", "x"} {
		if n, ok := parseInt([]byte(s)); ok {
			t.Errorf("parseInt(%q) = %d", s, n)
		}
	}
}

// matchOne matches c against the first element of pattern, which is not "*",
// and returns the length of that element.

func matchOne(pattern string, c byte) (width int, ok bool) {
	switch pattern[0] {
	case '?':
		return 1, true
	case '[':
		return matchClass(pattern, c)
	case '\\':
		if len(pattern) > 1 {
			return 2, pattern[1] == c
		}
	}
	return 1, pattern[0] == c
}

func matchClass(pattern string, c byte) (width int, ok bool) {
	i := 1
	negate := i < len(pattern) && pattern[i] == '^'
	if negate {
		i++
	}
	found := false
	for ; i < len(pattern) && pattern[i] != ']'; i++ {
		switch {
		case pattern[i] == '\\' && i+1 < len(pattern):
			i++
			found = found || pattern[i] == c
		case i+2 < len(pattern) && pattern[i+1] == '-':
			lo, hi := int8(pattern[i]), int8(pattern[i+2]) // C's char has a sign
			if lo > hi {
				lo, hi = hi, lo
			}
			i += 2
			found = found || lo <= int8(c) && int8(c) <= hi
		default:
			found = found || pattern[i] == c
		}
	}
	if i < len(pattern) {
		i++ // the closing bracket
	}
	return i, found != negate
}
