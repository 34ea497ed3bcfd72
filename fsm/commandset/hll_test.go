package commandset

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/commandtest"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/value/hash"
)

// TestHyperLogLogsGrowAsInRedis: from the first element through the change to dense registers,
// every string is Redis's byte by byte, and so are the estimates.
func TestHyperLogLogsGrowAsInRedis(t *testing.T) {
	redis := commandtest.StartRedis(t)
	ctx := commandtest.NewCtx(New())
	same := func(words ...string) {
		t.Helper()
		var args command.Args
		for _, w := range words {
			args = append(args, []byte(w))
		}
		redis.Main.Do(args)
		theirs := redis.Main.Raw.String()
		if ours := commandtest.Show(ctx.Table.Exec(ctx, args)); ours != theirs {
			t.Fatalf("%s = %.300q, Redis %.300q", commandtest.Quote(args), ours, theirs)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 6000 {
		key := fmt.Sprintf("h%d", i%2)
		same("PFADD", key, fmt.Sprint(rng.IntN(100_000)))
		if i%8 < 2 {
			same("GET", key)
			same("PFCOUNT", "h0", "h1") // of one key Redis stores it
		}
	}
	same("PFMERGE", "all", "h0", "h1")
	same("GET", "all")
	same("PFDEBUG", "GETREG", "h0")
	same("PFDEBUG", "ENCODING", "all")
	same("PFCOUNT", "all")
}

// TestDamagedHyperLogLogsAsRedis: whatever a string holds, it is refused in Redis's words, or
// taken for what Redis takes it for.
func TestDamagedHyperLogLogsAsRedis(t *testing.T) {
	redis := commandtest.StartRedis(t)
	rng := rand.New(rand.NewPCG(4, 2))
	seen := map[string]int{}
	table := New()
	for range 500 {
		ctx := commandtest.NewCtx(table)
		value := damaged(ctx, rng)
		if n := len(value) - 1; n >= 16 && value[n]>>6 == 1 {
			value[n] ^= 0x40 // half of a run: Redis reads on behind the string
		}
		do := func(words ...any) {
			t.Helper()
			var args command.Args
			for _, w := range words {
				args = append(args, fmt.Append(nil, w))
			}
			redis.Main.Do(args)
			theirs := redis.Main.Raw.String()
			ours := commandtest.Show(ctx.Table.Exec(ctx, args))
			if ours != theirs {
				t.Fatalf("%x: %s = %.300q, Redis %.300q", value, commandtest.Quote(args), ours, theirs)
			}
			seen[ours[:min(8, len(ours))]]++
		}
		do("FLUSHALL")
		set := command.Args{[]byte("SET"), []byte("h"), value}
		redis.Main.Do(set)
		ctx.Table.Exec(ctx, set)
		do("PFCOUNT", "h", "none")
		do("PFMERGE", "d", "h")
		do("GET", "d")
		do("PFADD", "h", rng.IntN(1000))
		do("GET", "h")
		do("PFDEBUG", "TODENSE", "h")
		do("PFCOUNT", "h")
	}
	for _, code := range []string{"-INVALID", "-WRONGTY", ":1\r\n"} {
		if seen[code] < 5 {
			t.Errorf("%q was answered %d times only", code, seen[code])
		}
	}
}

// damaged makes a HyperLogLog, most often with some bytes changed.
func damaged(ctx *command.Ctx, rng *rand.Rand) []byte {
	for range rng.IntN(30) {
		commandtest.Do(ctx, fmt.Sprint("PFADD h ", rng.IntN(1000)))
	}
	commandtest.Do(ctx, "PFADD h")
	if rng.IntN(10) == 0 {
		commandtest.Do(ctx, "PFDEBUG TODENSE h")
	}
	value := bytes.Clone(ctx.Peek([]byte("h")).Bytes())
	commandtest.Do(ctx, "DEL h")
	for range rng.IntN(3) {
		value[rng.IntN(len(value))] ^= 1 << rng.IntN(8)
	}
	switch rng.IntN(8) {
	case 0:
		value = value[:rng.IntN(len(value))]
	case 1:
		value = append(value, byte(rng.Uint32()))
	case 2:
		value = append(value, byte(rng.IntN(64)), 0x80|byte(rng.Uint32()))
	}
	return value
}

func TestHyperLogLogsOfOtherTypes(t *testing.T) {
	ctx := commandtest.NewCtx(New())
	h := hash.New()
	h.Set([]byte("f"), []byte("v"), hash.Limits{Fields: 128, Bytes: 64})
	ctx.PutCollection([]byte("h"), h, 0)
	const wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
	commandtest.RunExchanges(t, ctx, []commandtest.Exchange{
		{"PFADD h a", wrong}, {"PFCOUNT h", wrong}, {"PFCOUNT none h", wrong}, {"PFMERGE d h", wrong}, {"PFMERGE h", wrong},
		{"PFDEBUG ENCODING h", wrong}, {"PFDEBUG ENCODING none", "-ERR The specified key does not exist\r\n"},
		{"PFSELFTEST", "+OK\r\n"},
	})
}

// TestStoredEstimateCounts: an estimate that Redis has stored counts until something is added.
func TestStoredEstimateCounts(t *testing.T) {
	ctx := commandtest.NewCtx(New())
	commandtest.RunExchanges(t, ctx, []commandtest.Exchange{
		{"PFADD h a b", ":1\r\n"}, {"PFCOUNT h", ":2\r\n"},
	})
	ctx.Table.Exec(ctx, command.Args{[]byte("SETRANGE"), []byte("h"), []byte("8"), []byte("\x07\x00\x00\x00\x00\x00\x00\x00")})
	commandtest.RunExchanges(t, ctx, []commandtest.Exchange{
		{"PFCOUNT h", ":7\r\n"}, {"PFADD h a", ":0\r\n"}, {"PFCOUNT h", ":7\r\n"}, {"PFADD h c", ":1\r\n"}, {"PFCOUNT h", ":3\r\n"},
	})
}

// TestSparseLimit: the limit for the sparse form is that of the log.
func TestSparseLimit(t *testing.T) {
	ctx := commandtest.NewCtx(New())
	for limit, want := range map[int64]string{0: "dense", 24: "dense", 3000: "sparse"} {
		ctx.Limits[store.HLLSparse] = limit
		commandtest.Do(ctx, "DEL h")
		commandtest.Do(ctx, "PFADD h a b c d e")
		if got := string(commandtest.Do(ctx, "PFDEBUG ENCODING h").Str); got != want {
			t.Errorf("with %d: %s", limit, got)
		}
	}
}
