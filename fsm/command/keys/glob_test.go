package keys

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/commandtest"
	"github.com/lockstepkv/lockstep/resp"
)

func TestGlobAsRedis(t *testing.T) {
	redis := commandtest.StartRedis(t)
	rng := rand.New(rand.NewPCG(5, 5))
	word := func(alphabet string, most int) string {
		b := make([]byte, rng.IntN(most+1))
		for i := range b {
			b[i] = alphabet[rng.IntN(len(alphabet))]
		}
		return string(b)
	}
	keys := map[string]bool{}
	for len(keys) < 150 {
		k := word("abcd-]^[\\*?\x00\xff", 6)
		keys[k] = true
		redis.Main.Do(command.Args{[]byte("SET"), []byte(k), []byte("1")})
	}
	for range 5_000 {
		pattern := word("abcd-]^[[\\**??\xff", 9)
		want := sortedKeys(redis.Main.Do(command.Args{[]byte("KEYS"), []byte(pattern)}))
		var got []string
		for k := range keys {
			if matchGlob(pattern, k) {
				got = append(got, k)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Fatalf("pattern %q matches %q, with Redis %q", pattern, got, want)
		}
	}
}

// sortedKeys are the strings of a list, sorted.
func sortedKeys(v resp.Value) []string {
	var out []string
	for _, e := range v.Elems {
		out = append(out, string(e.Str))
	}
	slices.Sort(out)
	return out
}

// matchGlob matches one string.
func matchGlob(pattern, s string) bool {
	g, err := command.NewGlob([]byte(pattern))
	if err != nil {
		return false
	}
	run := g.Start()
	return run.Match(s)
}

func TestGlobTakesNoExponentialTime(t *testing.T) {
	if matchGlob(strings.Repeat("a*", 50)+"b", strings.Repeat("a", 5000)) {
		t.Error("must not match")
	}
}

// TestWorkOfAPatternIsBounded: a small request must not keep a shard busy.
func TestWorkOfAPatternIsBounded(t *testing.T) {
	ctx := commandtest.NewCtx(command.NewTable(Commands))
	for i := range 2_000 {
		ctx.Store.Put(fmt.Appendf(nil, "%s%d", strings.Repeat("a", 100), i), nil, 0, false)
	}
	class := "[^" + strings.Repeat("b", 50<<10) + "]*"
	stars := strings.Repeat("*a", 1000) + "*b"
	text := "*" + strings.Repeat("a", 20_000) + "b"
	for _, pattern := range []string{class, strings.Repeat(class[:20]+"]", 1000), stars, text} {
		for _, args := range []command.Args{
			{[]byte("KEYS"), []byte(pattern)},
			{[]byte("SCAN"), []byte("0"), []byte("MATCH"), []byte(pattern), []byte("COUNT"), []byte("1000000")},
		} {
			started := processorTime(t)
			v := ctx.Table.Exec(ctx, args)
			if took := processorTime(t) - started; v.IsError() || took > 20*time.Second { // minutes without a bound
				t.Errorf("%s with %.20s... of %d bytes: %v after %v", args[0], pattern, len(pattern), v.IsError(), took)
			}
		}
	}
	ctx.Store.Put(bytes.Repeat([]byte("a"), 1<<20), nil, 0, false)
	for pattern, want := range map[string]string{text: command.ErrGlobTooSlow.Error(), strings.Repeat("a", command.MaxGlobLen+1): command.ErrGlobTooLong.Error()} {
		for _, line := range []string{"KEYS ", "SCAN 0 COUNT 1000000 MATCH "} {
			if v := commandtest.Do(ctx, line+pattern); !v.IsError() || string(v.Str) != want {
				t.Errorf("%s%.20s...: %.80q, want %q", line, pattern, v.Str, want)
			}
		}
	}
	if v := commandtest.Do(ctx, "KEYS *1"); len(v.Elems) != 200 { // the budget is that of one command
		t.Errorf("%d keys", len(v.Elems))
	}
}

// processorTime is what this process has used, which a busy machine changes little.
func processorTime(t *testing.T) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano())
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
