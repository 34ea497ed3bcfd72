package commandset

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/commandtest"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

func TestFloatsAsRedis(t *testing.T) {
	redis := commandtest.StartRedis(t)
	ctx := commandtest.NewCtx(New())
	gen := commandtest.NewGenerator(11)
	for range 30_000 {
		set := command.Args{[]byte("SET"), []byte("f"), []byte(gen.Float())}
		add := command.Args{[]byte("INCRBYFLOAT"), []byte("f"), []byte(gen.Float())}
		redis.Main.Do(set)
		redis.Main.Do(add)
		theirs := redis.Main.Raw.String()
		ctx.Table.Exec(ctx, set)
		if ours := commandtest.Show(ctx.Table.Exec(ctx, add)); ours != theirs {
			t.Fatalf("%s + %s = %q, Redis %q", commandtest.Quote(set), commandtest.Quote(add), ours, theirs)
		}
	}
}

func TestRunningFloatSumAsRedis(t *testing.T) {
	redis := commandtest.StartRedis(t)
	ctx := commandtest.NewCtx(New())
	rng := rand.New(rand.NewPCG(3, 3))
	for range 5_000 {
		add := command.Args{[]byte("INCRBYFLOAT"), []byte("f"), fmt.Appendf(nil, "%.*f", rng.IntN(18), rng.NormFloat64()*1000)}
		redis.Main.Do(add)
		theirs := redis.Main.Raw.String()
		if ours := commandtest.Show(ctx.Table.Exec(ctx, add)); ours != theirs {
			t.Fatalf("%s = %q, Redis %q", commandtest.Quote(add), ours, theirs)
		}
	}
}

func TestOutOfMemoryAsRedis(t *testing.T) {
	redis := commandtest.StartRedis(t)
	ctx := commandtest.NewCtx(New())
	run := func(l string) {
		t.Helper()
		redis.Main.Cmd(l)
		theirs := redis.Main.Raw.String()
		if ours := commandtest.Show(commandtest.Do(ctx, l)); ours != theirs {
			t.Errorf("%s = %q, Redis %q", l, ours, theirs)
		}
	}
	run("SET keep v")
	run("SET k v")
	unit := &command.Unit{Multi: true, Cmds: []command.Args{commandtest.Line("GET k"), commandtest.Line("SET k v2")}}
	unit.Watches = []command.Watch{{Key: []byte("k"), Version: 99}} // never looked at
	redis.Main.Cmd("MULTI")
	redis.Main.Cmd("GET k")
	redis.Main.Cmd("SET k v2")
	redis.Dial().Cmd("CONFIG SET maxmemory 1")
	ctx.OOMLimit = 1
	redis.Main.Cmd("EXEC")
	if ours, theirs := commandtest.Show(ctx.Table.RunUnit(ctx, unit)), redis.Main.Raw.String(); ours != theirs {
		t.Errorf("EXEC = %q, Redis %q", ours, theirs)
	}
	for _, l := range []string{
		"SET k v", "SET k", "GET k", "INCR n", "EXPIRE k 100", "GETEX k PERSIST", "APPEND k x", "SETRANGE k x x", "COPY k k2", "COPY k k",
		"RENAME k k3", "PERSIST k3", "GETDEL k3", "SETNX a b", "MSET a 1 b", "MSET a 1", "DEL k",
	} {
		run(l)
	}
	ctx.OOMLimit = 1 << 30
	if got := commandtest.Do(ctx, "SET k v"); !commandtest.Same(got, resp.OK) {
		t.Errorf("below the limit: %s", commandtest.Show(got))
	}
}

func TestOutOfMemoryTransactionOfReadsRuns(t *testing.T) {
	ctx := commandtest.NewCtx(New())
	commandtest.Do(ctx, "SET k v")
	ctx.OOMLimit = 1
	got := ctx.Table.RunUnit(ctx, &command.Unit{Multi: true, Cmds: []command.Args{commandtest.Line("GET k"), commandtest.Line("DEL k")}})
	if want := resp.Array(resp.BulkString("v"), resp.One); !commandtest.Same(got, want) {
		t.Errorf("got %q", commandtest.Show(got))
	}
}

func TestObjectUnderLFUAsRedis(t *testing.T) {
	redis := commandtest.StartRedis(t, "--maxmemory-policy", "allkeys-lfu")
	ctx := commandtest.NewCtx(New())
	opt := store.DefaultOptions()
	opt.Policy = store.AllKeysLFU
	ctx.Store = store.New(opt)
	ctx.Store.Advance(ctx.Now)
	for _, l := range []string{"SET k value", "OBJECT IDLETIME k", "OBJECT IDLETIME none", "OBJECT FREQ none", "OBJECT FREQ k", "OBJECT ENCODING k"} {
		redis.Main.Cmd(l)
		run := outOfLog
		if l == "SET k value" {
			run = commandtest.Do
		}
		if ours, theirs := commandtest.Show(run(ctx, l)), redis.Main.Raw.String(); ours != theirs {
			t.Errorf("%s = %q, Redis %q", l, ours, theirs)
		}
	}
}

// outOfLog runs a read as package shard does.
func outOfLog(ctx *command.Ctx, l string) resp.Value {
	read := *ctx
	read.InLog = false
	return commandtest.Do(&read, l)
}

func TestAccessDataStaysOutOfTheLog(t *testing.T) {
	ctx := commandtest.NewCtx(New())
	commandtest.Do(ctx, "SET k v")
	for _, l := range []string{"OBJECT IDLETIME k", "OBJECT FREQ k"} {
		if got := commandtest.Do(ctx, l); !strings.HasPrefix(string(got.Str), "ERR OBJECT FREQ and OBJECT IDLETIME are answered on their own") {
			t.Errorf("%s in the log = %q", l, commandtest.Show(got))
		}
	}
}

func TestIdleTimeIsKeptByTouchNotByPeek(t *testing.T) {
	ctx := commandtest.NewCtx(New())
	ctx.Store.Advance(ctx.Now)
	commandtest.Do(ctx, "SET k v")
	ctx.Wall += 5_000
	for _, c := range []struct {
		line string
		idle int64
	}{
		{"EXISTS k", 5}, {"TYPE k", 5}, {"TTL k", 5}, {"OBJECT ENCODING k", 5}, {"KEYS *", 5}, {"SCAN 0", 5}, {"MEMORY USAGE k", 5}, {"RANDOMKEY", 5},
		{"LS.DEL k IFVERSION 99", 5}, {"GET k", 0},
	} {
		commandtest.Do(ctx, c.line)
		if got := outOfLog(ctx, "OBJECT IDLETIME k"); got.Int != c.idle {
			t.Errorf("after %s the key is idle for %d s, want %d", c.line, got.Int, c.idle)
		}
	}
	ctx.Wall += 5_000
	ctx.NoTouch = true
	commandtest.Do(ctx, "GET k")
	if got := outOfLog(ctx, "OBJECT IDLETIME k"); got.Int != 5 {
		t.Errorf("NoTouch: idle for %d s, want 5", got.Int)
	}
}

func TestReadThatMeetsTheEndOfALifetimeIsDue(t *testing.T) {
	for _, l := range []string{"GET k", "EXISTS k", "TTL k", "KEYS *", "SCAN 0", "DBSIZE", "RANDOMKEY", "LS.GET k", "MGET x k", "OBJECT ENCODING k"} {
		ctx := commandtest.NewCtx(New())
		commandtest.Do(ctx, "SET k v PX 1000")
		ctx.InLog = false
		ctx.Wall = ctx.Now + 999
		if commandtest.Do(ctx, l); ctx.Due {
			t.Errorf("%s: due before the time is up", l)
		}
		ctx.Wall++
		if commandtest.Do(ctx, l); !ctx.Due {
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
		ctx := commandtest.NewCtx(New())
		commandtest.Do(ctx, "SET o 5")
		commandtest.Do(ctx, "SET k 7 PX 1000")
		ctx.Now += 1000
		ctx.Wall = ctx.Now
		if got := commandtest.Show(commandtest.Do(ctx, c.line)); got != c.want {
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
		ctx := commandtest.NewCtx(New())
		commandtest.Do(ctx, "SET k v PX 1000")
		commandtest.Do(ctx, l)
		if n := ctx.Store.Len(); n != 0 {
			t.Errorf("%s left %d entries", l, n)
		}
	}
}

func TestSameLogSameStore(t *testing.T) {
	a, b := commandtest.NewCtx(New()), commandtest.NewCtx(New())
	gen := commandtest.NewGenerator(77)
	for i := range 20_000 {
		args := gen.Command()
		for _, ctx := range []*command.Ctx{a, b} {
			ctx.Now = commandtest.Now + int64(i)
			ctx.Wall = ctx.Now
			ctx.Seed = uint64(i)
		}
		if ra, rb := a.Table.Exec(a, args), b.Table.Exec(b, args); !commandtest.Same(ra, rb) {
			t.Fatalf("%s: %q and %q", commandtest.Quote(args), commandtest.Show(ra), commandtest.Show(rb))
		}
	}
	if a.Store.Digest() != b.Store.Digest() || a.Store.Used() != b.Store.Used() {
		t.Error("two replicas of one log differ")
	}
}
