package commandset

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/commandtest"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/value/hash"
)

func words(all ...any) (args command.Args) {
	for _, w := range all {
		args = append(args, fmt.Append(nil, w))
	}
	return args
}

func TestLCSAsRedis(t *testing.T) {
	redis := commandtest.StartRedis(t)
	ctx := commandtest.NewCtx(New())
	rng := rand.New(rand.NewPCG(8, 1))
	text := func(most, letters int) string {
		b := make([]byte, rng.IntN(most))
		for i := range b {
			b[i] = 'a' + byte(rng.IntN(letters))
		}
		return string(b)
	}
	same := func(args command.Args) {
		t.Helper()
		redis.Main.Do(args)
		theirs := redis.Main.Raw.String()
		if ours := commandtest.Show(ctx.Table.Exec(ctx, args)); ours != theirs {
			t.Fatalf("%s = %.300q, Redis %.300q", commandtest.Quote(args), ours, theirs)
		}
	}
	for range 1500 {
		letters := 2 + rng.IntN(20)
		same(words("MSET", "a", text(120, letters), "b", text(120, letters)))
		for _, form := range []string{"", "LEN", "IDX", "IDX WITHMATCHLEN MINMATCHLEN 3"} {
			same(commandtest.Line("LCS a b " + form))
		}
	}
	same(words("MSET", "a", string(bytes.Repeat([]byte("a"), 11584)), "b", string(bytes.Repeat([]byte("b"), 11586))))
	same(commandtest.Line("LCS a b LEN")) // the first pair of strings that is too long
	same(words("MSET", "a", text(3000, 4), "b", text(3000, 4)))
	same(commandtest.Line("LCS a b"))
	same(commandtest.Line("LCS a b IDX"))
	same(commandtest.Line("LCS a none IDX"))
}

func TestLCSOfOtherTypes(t *testing.T) {
	ctx := commandtest.NewCtx(New())
	commandtest.RunExchanges(t, ctx, []commandtest.Exchange{
		{"HSET h f v", ":1\r\n"},
		{"LCS h none", "-ERR The specified keys must contain string values\r\n"},
		{"LCS none h foo", "-ERR The specified keys must contain string values\r\n"},
		{"LCS none none foo", "-ERR syntax error\r\n"},
	})
}

// TestRestoreOfADump: what DUMP answers RESTORE takes, also of a hash, and with its lifetime.
func TestRestoreOfADump(t *testing.T) {
	ctx := commandtest.NewCtx(New())
	h := hash.New()
	for i := range 200 {
		h.Set(fmt.Append(nil, "field", i), []byte("value"), hash.Limits{Fields: 128, Bytes: 64})
	}
	ctx.PutCollection([]byte("h"), h, 0)
	commandtest.Do(ctx, "SET s 12345")
	for _, key := range []string{"h", "s"} {
		dump := commandtest.Do(ctx, "DUMP "+key).Str
		if got := ctx.Table.Exec(ctx, command.Args{[]byte("RESTORE"), []byte("again"), []byte("5000"), dump, []byte("REPLACE")}); !commandtest.Same(got, resp.OK) {
			t.Fatalf("%s: %s", key, commandtest.Show(got))
		}
		if again := commandtest.Do(ctx, "DUMP again").Str; !bytes.Equal(again, dump) {
			t.Errorf("%s: %q, then %q", key, dump, again)
		}
		if at := ctx.Peek([]byte("again")).ExpireAt(); at != commandtest.Now+5000 {
			t.Errorf("%s expires at %d", key, at)
		}
	}
}

// TestRestoreIsBounded: a few bytes that stand for many are refused before they are unpacked.
func TestRestoreIsBounded(t *testing.T) {
	redis := commandtest.StartRedis(t)
	redis.Main.Do(words("SET", "k", string(make([]byte, 1<<20))))
	dump := redis.Main.Do(words("DUMP", "k")).Str
	if len(dump) > 1<<16 {
		t.Fatalf("%d bytes", len(dump))
	}
	ctx := commandtest.NewCtx(New())
	for limit, want := range map[int64]string{1<<20 - 1: "-" + string(command.ErrTooLong.Text) + "\r\n", 1 << 20: "+OK\r\n"} {
		ctx.ValueLimit = limit
		if got := commandtest.Show(ctx.Table.Exec(ctx, command.Args{[]byte("RESTORE"), []byte("k"), []byte("0"), dump})); got != want {
			t.Errorf("limit %d: %q", limit, got)
		}
		commandtest.Do(ctx, "DEL k")
	}
}

// TestRestoredAccess: IDLETIME and FREQ count where the policy goes by them.
func TestRestoredAccess(t *testing.T) {
	for _, c := range []struct {
		policy store.Policy
		option string
		ask    string
		want   string
	}{
		{store.AllKeysLRU, "IDLETIME", "OBJECT IDLETIME k", ":100\r\n"}, {store.AllKeysLRU, "FREQ", "OBJECT IDLETIME k", ":0\r\n"},
		{store.AllKeysLFU, "FREQ", "OBJECT FREQ k", ":100\r\n"}, {store.AllKeysLFU, "IDLETIME", "OBJECT FREQ k", ":5\r\n"},
	} {
		ctx := commandtest.NewCtx(New())
		opt := store.DefaultOptions()
		opt.Policy = c.policy
		ctx.Store = store.New(opt)
		ctx.Store.Advance(ctx.Now)
		commandtest.Do(ctx, "SET s v")
		dump := commandtest.Do(ctx, "DUMP s").Str
		ctx.Table.Exec(ctx, append(command.Args{[]byte("RESTORE"), []byte("k"), []byte("0"), dump}, words(c.option, 100)...))
		if got := commandtest.Show(outOfLog(ctx, c.ask)); got != c.want {
			t.Errorf("%v, %s: %q, want %q", c.policy, c.option, got, c.want)
		}
	}
}
