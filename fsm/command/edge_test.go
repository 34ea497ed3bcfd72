package command

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

func TestFloatsAsRedis(t *testing.T) {
	redis := startRedis(t)
	ctx := newCtx()
	gen := newGenerator(11)
	for range 30_000 {
		set := Args{[]byte("SET"), []byte("f"), []byte(gen.float())}
		add := Args{[]byte("INCRBYFLOAT"), []byte("f"), []byte(gen.float())}
		redis.main.do(set)
		redis.main.do(add)
		theirs := redis.main.raw.String()
		ctx.Table.Exec(ctx, set)
		if ours := show(ctx.Table.Exec(ctx, add)); ours != theirs {
			t.Fatalf("%s + %s = %q, Redis %q", quote(set), quote(add), ours, theirs)
		}
	}
}

func TestRunningFloatSumAsRedis(t *testing.T) {
	redis := startRedis(t)
	ctx := newCtx()
	rng := rand.New(rand.NewPCG(3, 3))
	for range 5_000 {
		add := Args{[]byte("INCRBYFLOAT"), []byte("f"), fmt.Appendf(nil, "%.*f", rng.IntN(18), rng.NormFloat64()*1000)}
		redis.main.do(add)
		theirs := redis.main.raw.String()
		if ours := show(ctx.Table.Exec(ctx, add)); ours != theirs {
			t.Fatalf("%s = %q, Redis %q", quote(add), ours, theirs)
		}
	}
}

func TestGlobAsRedis(t *testing.T) {
	redis := startRedis(t)
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
		redis.main.do(Args{[]byte("SET"), []byte(k), []byte("1")})
	}
	for range 5_000 {
		pattern := word("abcd-]^[[\\**??\xff", 9)
		want := sorted(redis.main.do(Args{[]byte("KEYS"), []byte(pattern)}))
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

// matchGlob matches one string.
func matchGlob(pattern, s string) bool {
	g, err := newGlob([]byte(pattern))
	if err != nil {
		return false
	}
	run := g.start()
	return run.match(s)
}

func TestGlobTakesNoExponentialTime(t *testing.T) {
	if matchGlob(strings.Repeat("a*", 50)+"b", strings.Repeat("a", 5000)) {
		t.Error("must not match")
	}
}

// TestWorkOfAPatternIsBounded: a small request must not keep a shard busy.
func TestWorkOfAPatternIsBounded(t *testing.T) {
	ctx := newCtx()
	for i := range 2_000 {
		ctx.Store.Put(fmt.Appendf(nil, "%s%d", strings.Repeat("a", 100), i), nil, 0, false)
	}
	class := "[^" + strings.Repeat("b", 50<<10) + "]*"
	stars := strings.Repeat("*a", 1000) + "*b"
	text := "*" + strings.Repeat("a", 20_000) + "b"
	for _, pattern := range []string{class, strings.Repeat(class[:20]+"]", 1000), stars, text} {
		for _, args := range []Args{
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
	for pattern, want := range map[string]string{text: errGlobTooSlow.Error(), strings.Repeat("a", maxGlobLen+1): errGlobTooLong.Error()} {
		for _, line := range []string{"KEYS ", "SCAN 0 COUNT 1000000 MATCH "} {
			if v := do(ctx, line+pattern); !v.IsError() || string(v.Str) != want {
				t.Errorf("%s%.20s...: %.80q, want %q", line, pattern, v.Str, want)
			}
		}
	}
	if v := do(ctx, "KEYS *1"); len(v.Elems) != 200 { // the budget is that of one command
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

func TestOutOfMemoryAsRedis(t *testing.T) {
	redis := startRedis(t)
	ctx := newCtx()
	run := func(l string) {
		t.Helper()
		redis.main.cmd(l)
		theirs := redis.main.raw.String()
		if ours := show(do(ctx, l)); ours != theirs {
			t.Errorf("%s = %q, Redis %q", l, ours, theirs)
		}
	}
	run("SET keep v")
	run("SET k v")
	unit := &Unit{Multi: true, Cmds: []Args{line("GET k"), line("SET k v2")}}
	unit.Watches = []Watch{{Key: []byte("k"), Version: 99}} // never looked at
	redis.main.cmd("MULTI")
	redis.main.cmd("GET k")
	redis.main.cmd("SET k v2")
	redis.dial().cmd("CONFIG SET maxmemory 1")
	ctx.OOMLimit = 1
	redis.main.cmd("EXEC")
	if ours, theirs := show(ctx.Table.RunUnit(ctx, unit)), redis.main.raw.String(); ours != theirs {
		t.Errorf("EXEC = %q, Redis %q", ours, theirs)
	}
	for _, l := range []string{
		"SET k v", "SET k", "GET k", "INCR n", "EXPIRE k 100", "GETEX k PERSIST", "APPEND k x", "SETRANGE k x x", "COPY k k2", "COPY k k",
		"RENAME k k3", "PERSIST k3", "GETDEL k3", "SETNX a b", "MSET a 1 b", "MSET a 1", "DEL k",
	} {
		run(l)
	}
	ctx.OOMLimit = 1 << 30
	if got := do(ctx, "SET k v"); !same(got, resp.OK) {
		t.Errorf("below the limit: %s", show(got))
	}
}

func TestOutOfMemoryTransactionOfReadsRuns(t *testing.T) {
	ctx := newCtx()
	do(ctx, "SET k v")
	ctx.OOMLimit = 1
	got := ctx.Table.RunUnit(ctx, &Unit{Multi: true, Cmds: []Args{line("GET k"), line("DEL k")}})
	if want := resp.Array(resp.BulkString("v"), resp.One); !same(got, want) {
		t.Errorf("got %q", show(got))
	}
}

func TestObjectUnderLFUAsRedis(t *testing.T) {
	redis := startRedis(t, "--maxmemory-policy", "allkeys-lfu")
	ctx := newCtx()
	opt := store.DefaultOptions()
	opt.Policy = store.AllKeysLFU
	ctx.Store = store.New(opt)
	ctx.Store.Advance(ctx.Now)
	for _, l := range []string{"SET k value", "OBJECT IDLETIME k", "OBJECT IDLETIME none", "OBJECT FREQ none", "OBJECT FREQ k", "OBJECT ENCODING k"} {
		redis.main.cmd(l)
		run := outOfLog
		if l == "SET k value" {
			run = do
		}
		if ours, theirs := show(run(ctx, l)), redis.main.raw.String(); ours != theirs {
			t.Errorf("%s = %q, Redis %q", l, ours, theirs)
		}
	}
}

// outOfLog runs a read as package shard does.
func outOfLog(ctx *Ctx, l string) resp.Value {
	read := *ctx
	read.InLog = false
	return do(&read, l)
}

func TestAccessDataStaysOutOfTheLog(t *testing.T) {
	ctx := newCtx()
	do(ctx, "SET k v")
	for _, l := range []string{"OBJECT IDLETIME k", "OBJECT FREQ k"} {
		if got := do(ctx, l); !same(got, errorReply(errAccessInLog)) {
			t.Errorf("%s in the log = %q", l, show(got))
		}
	}
}

func TestIdleTimeIsKeptByTouchNotByPeek(t *testing.T) {
	ctx := newCtx()
	ctx.Store.Advance(ctx.Now)
	do(ctx, "SET k v")
	ctx.Wall += 5_000
	for _, c := range []struct {
		line string
		idle int64
	}{
		{"EXISTS k", 5}, {"TYPE k", 5}, {"TTL k", 5}, {"OBJECT ENCODING k", 5}, {"KEYS *", 5}, {"SCAN 0", 5}, {"MEMORY USAGE k", 5}, {"RANDOMKEY", 5},
		{"LS.DEL k IFVERSION 99", 5}, {"GET k", 0},
	} {
		do(ctx, c.line)
		if got := outOfLog(ctx, "OBJECT IDLETIME k"); got.Int != c.idle {
			t.Errorf("after %s the key is idle for %d s, want %d", c.line, got.Int, c.idle)
		}
	}
	ctx.Wall += 5_000
	ctx.NoTouch = true
	do(ctx, "GET k")
	if got := outOfLog(ctx, "OBJECT IDLETIME k"); got.Int != 5 {
		t.Errorf("NoTouch: idle for %d s, want 5", got.Int)
	}
}

func TestReadThatMeetsTheEndOfALifetimeIsDue(t *testing.T) {
	for _, l := range []string{"GET k", "EXISTS k", "TTL k", "KEYS *", "SCAN 0", "DBSIZE", "RANDOMKEY", "LS.GET k", "MGET x k", "OBJECT ENCODING k"} {
		ctx := newCtx()
		do(ctx, "SET k v PX 1000")
		ctx.InLog = false
		ctx.Wall = ctx.Now + 999
		if do(ctx, l); ctx.Due {
			t.Errorf("%s: due before the time is up", l)
		}
		ctx.Wall++
		if do(ctx, l); !ctx.Due {
			t.Errorf("%s: not due though the time is up by the wall clock", l)
		}
	}
}

func TestExpiredKeysAreAbsentToWrites(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"SETNX k x", ":1\r\n"}, {"SET k x XX", "$-1\r\n"}, {"SET k x GET", "$-1\r\n"}, {"INCR k", ":1\r\n"}, {"APPEND k ab", ":2\r\n"},
		{"DEL k", ":0\r\n"}, {"RENAME k x", "-ERR no such key\r\n"}, {"COPY k x", ":0\r\n"}, {"COPY o k", ":1\r\n"}, {"RENAMENX o k", ":1\r\n"},
		{"EXPIRE k 10", ":0\r\n"}, {"PERSIST k", ":0\r\n"}, {"GETDEL k", "$-1\r\n"}, {"SETRANGE k 1 x", ":2\r\n"}, {"MSETNX k 1", ":1\r\n"},
		{"DBSIZE", ":1\r\n"}, {"KEYS k", "*0\r\n"}, {"GETEX k PERSIST", "$-1\r\n"}, {"INCRBYFLOAT k 2.5", "$3\r\n2.5\r\n"}, {"LS.DEL k", ":0\r\n"},
		{"LS.PUT k v KEEPTTL IFVERSION 0", "*2\r\n:3\r\n:0\r\n"}, {"SET k v KEEPTTL", "+OK\r\n"},
	} {
		ctx := newCtx()
		do(ctx, "SET o 5")
		do(ctx, "SET k 7 PX 1000")
		ctx.Now += 1000
		ctx.Wall = ctx.Now
		if got := show(do(ctx, c.line)); got != c.want {
			t.Errorf("%s = %q, want %q", c.line, got, c.want)
		}
		if e := ctx.Peek([]byte("k")); e != nil && e.ExpireAt() != 0 {
			t.Errorf("%s: the new key took over the old lifetime", c.line)
		}
	}
}

func TestTimesInThePastDeleteAtOnce(t *testing.T) {
	for _, l := range []string{
		"EXPIRE k 0", "EXPIRE k -1", "PEXPIREAT k 1", "EXPIREAT k 1700000000", "GETEX k PXAT 1700000000000", "SET k w PXAT 1", "SET k w GET EXAT 5",
	} {
		ctx := newCtx()
		do(ctx, "SET k v PX 1000")
		do(ctx, l)
		if n := ctx.Store.Len(); n != 0 {
			t.Errorf("%s left %d entries", l, n)
		}
	}
}

func TestSameLogSameStore(t *testing.T) {
	a, b := newCtx(), newCtx()
	gen := newGenerator(77)
	for i := range 20_000 {
		args := gen.command()
		for _, ctx := range []*Ctx{a, b} {
			ctx.Now = testNow + int64(i)
			ctx.Wall = ctx.Now
			ctx.Seed = uint64(i)
		}
		if ra, rb := a.Table.Exec(a, args), b.Table.Exec(b, args); !same(ra, rb) {
			t.Fatalf("%s: %q and %q", quote(args), show(ra), show(rb))
		}
	}
	if a.Store.Digest() != b.Store.Digest() || a.Store.Used() != b.Store.Used() {
		t.Error("two replicas of one log differ")
	}
}
