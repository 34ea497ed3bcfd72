package commandset

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/commandtest"
	"github.com/lockstepkv/lockstep/resp"
)

// TestLargeHashesAsRedis: hashes that grow over the limits of the packed form, field by field
// and by their values, and shrink again.
func TestLargeHashesAsRedis(t *testing.T) {
	redis := commandtest.StartRedis(t)
	for seed := range uint64(2) {
		ctx, gen := commandtest.NewCtx(New()), commandtest.NewGenerator(seed)
		redis.Main.Cmd("FLUSHALL")
		both := func(args command.Args) (ours, theirs resp.Value) {
			t.Helper()
			ctx.ReplyBytes = 0
			theirs = redis.Main.Do(args)
			ours = ctx.Table.Exec(ctx, args)
			return ours, theirs
		}
		same := func(args command.Args) {
			t.Helper()
			if ours, theirs := both(args); !commandtest.Same(ours, theirs) {
				t.Fatalf("%s = %.200q, Redis %.200q", commandtest.Quote(args), commandtest.Show(ours), commandtest.Show(theirs))
			}
		}
		for i := range 4000 {
			key := []byte(gen.One("a", "b", "c"))
			field := []byte(gen.NumberedMember(700))
			value := []byte(gen.One("v", "7", "", strings.Repeat("x", 64)))
			if gen.Chance(1) && key[0] == 'c' {
				value = bytes.Repeat([]byte("x"), 65+i)
			}
			growing := i/1000%2 == 0
			switch {
			case gen.Chance(10):
				same(command.Args{[]byte("HINCRBY"), key, field, []byte("3")})
			case gen.Chance(90) == growing:
				same(command.Args{[]byte("HSET"), key, field, value, []byte(gen.NumberedMember(700)), value})
			default:
				same(command.Args{[]byte("HDEL"), key, field, []byte(gen.NumberedMember(700))})
			}
			same(command.Args{[]byte("OBJECT"), []byte("ENCODING"), key})
			same(command.Args{[]byte("HLEN"), key})
			same(command.Args{[]byte("HGET"), key, field})
			if i%100 != 0 {
				continue
			}
			for _, key := range []string{"a", "b", "c"} {
				if ours, theirs := both(commandtest.Line("HGETALL " + key)); !slices.Equal(sortedPairs(ours.Elems), sortedPairs(theirs.Elems)) {
					t.Fatalf("HGETALL %s differs", key)
				}
				p := &pair{t: t, real: redis.Main, ctx: ctx}
				for _, l := range []string{"HSCAN " + key + " 0 COUNT 7", "HSCAN " + key + " 0 MATCH m1* COUNT 30"} {
					args := commandtest.Line(l)
					if ours, theirs := both(args); !p.scanSame(args, 2, ours, theirs) {
						t.Fatalf("%s differs", l)
					}
				}
				for _, l := range []string{"HRANDFIELD " + key, "HRANDFIELD " + key + " 5 WITHVALUES", "HRANDFIELD " + key + " 500", "HRANDFIELD " + key + " -7"} {
					args := commandtest.Line(l)
					if ours, theirs := both(args); !p.randomSame(args, ours, theirs) {
						t.Fatalf("%s: %q", l, commandtest.Show(ours))
					}
				}
			}
		}
	}
}

func TestHashReplies(t *testing.T) {
	ctx := commandtest.NewCtx(New())
	commandtest.RunExchanges(t, ctx, []commandtest.Exchange{
		{"HSET h a 1 b 2 a 3", ":2\r\n"},
		{"HSCAN h 0 NOVALUES", "*2\r\n$1\r\n0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n"},
		{"HSCAN none 0 NONSENSE", "*2\r\n$1\r\n0\r\n*0\r\n"},
		{"HSCAN h 0 NONSENSE", "-ERR syntax error\r\n"},
		{"LS.GET h", "*4\r\n$4\r\nhash\r\n*4\r\n$1\r\na\r\n$1\r\n3\r\n$1\r\nb\r\n$1\r\n2\r\n:1\r\n:-1\r\n"},
		{"LS.INCR h 1", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"},
		{"DELIFEQ h 1", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"},
		{"SET h 1 IFEQ 1", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"},
		{"LS.SCAN 0 VALUES", "*2\r\n$1\r\n0\r\n*1\r\n*5\r\n$1\r\nh\r\n$4\r\nhash\r\n:1\r\n:-1\r\n$-1\r\n"},
		// Taken back with the transaction, in the packed form and in the large one.
		{"LS.TXN IF 0 THEN 3 4 HSET h c 3 3 HDEL h a 2 INCR h ELSE 0", "-WRONGTYPE command 3 of THEN: Operation against a key holding the wrong kind of value\r\n"},
		{"HGETALL h", "*4\r\n$1\r\na\r\n$1\r\n3\r\n$1\r\nb\r\n$1\r\n2\r\n"},
		{"HSET h large " + strings.Repeat("x", 65), ":1\r\n"},
		{"LS.TXN IF 0 THEN 3 4 HSET h c 3 3 HDEL h a 2 INCR h ELSE 0", "-WRONGTYPE command 3 of THEN: Operation against a key holding the wrong kind of value\r\n"},
		{"HMGET h a b c", "*3\r\n$1\r\n3\r\n$1\r\n2\r\n$-1\r\n"},
		{"LS.TXN IF 1 h VALUE 1 THEN 1 4 HSET h c 3 ELSE 1 3 HDEL h a", "*2\r\n:0\r\n*1\r\n:1\r\n"},
		{"ONCE id HINCRBY h n 5", ":5\r\n"},
		{"ONCE id HINCRBY h n 5", ":5\r\n"},
		{"HGET h n", "$1\r\n5\r\n"},
	})
	if got := string(resp.Append(nil, commandtest.Do(ctx, "HRANDFIELD h -1 WITHVALUES"), 3)); !strings.HasPrefix(got, "*1\r\n*2\r\n$") {
		t.Errorf("with RESP3 values come in pairs: %q", got)
	}
	if got := string(resp.Append(nil, commandtest.Do(ctx, "HGETALL h"), 3)); !strings.HasPrefix(got, "%3\r\n$") {
		t.Errorf("with RESP3 HGETALL answers a map: %q", got)
	}
}

// TestRepliesStayWhenTheHashChanges: they are written when other commands run.
func TestRepliesStayWhenTheHashChanges(t *testing.T) {
	for _, value := range []string{"short", strings.Repeat("long", 100)} {
		for _, fields := range []int{3, 600} {
			ctx := commandtest.NewCtx(New())
			for i := range fields {
				commandtest.Do(ctx, fmt.Sprintf("HSET h f%d %s", i, value))
			}
			var replies []resp.Value
			var shown []string
			for _, l := range []string{"HGET h f1", "HMGET h f1 f2", "HGETALL h", "HKEYS h", "HVALS h", "HRANDFIELD h", "HRANDFIELD h 2 WITHVALUES", "HRANDFIELD h -9", "HSCAN h 0"} {
				v := commandtest.Do(ctx, l)
				replies, shown = append(replies, v), append(shown, commandtest.Show(v))
			}
			for i := range fields {
				commandtest.Do(ctx, fmt.Sprintf("HSET h f%d other%d", i, i))
				commandtest.Do(ctx, fmt.Sprintf("HDEL h f%d", i))
			}
			for i, v := range replies {
				if commandtest.Show(v) != shown[i] {
					t.Errorf("%d fields with %.5s...: reply %d has changed", fields, value, i)
				}
			}
		}
	}
}

// TestRepliesOfHashesAreBounded in the log, and everywhere where a short request asks for much.
func TestRepliesOfHashesAreBounded(t *testing.T) {
	ctx := commandtest.NewCtx(New())
	value := strings.Repeat("v", 250)
	args := commandtest.Line("HSET h")
	for i := range 120_000 {
		args = append(args, strconv.AppendInt(nil, int64(i), 10), []byte(value))
	}
	ctx.Table.Exec(ctx, args)
	tooLarge := commandtest.Show(command.ReplyTooLarge)
	for _, l := range []string{"HGETALL h", "HVALS h", "HRANDFIELD h 120000 WITHVALUES", "HRANDFIELD h -1000000000", "HRANDFIELD h -200000 WITHVALUES"} {
		ctx.ReplyBytes = 0
		if got := commandtest.Show(commandtest.Do(ctx, l)); got != tooLarge {
			t.Errorf("%s: %.100q", l, got)
		}
	}
	ctx.ReplyBytes = 0
	if got := commandtest.Do(ctx, "HKEYS h"); len(got.Elems) != 120_000 {
		t.Errorf("HKEYS: %.100q", commandtest.Show(got))
	}
	if got := outOfLog(ctx, "HGETALL h"); len(got.Elems) != 240_000 {
		t.Errorf("HGETALL outside of the log: %d elements", len(got.Elems))
	}
	if got := commandtest.Show(outOfLog(ctx, "HRANDFIELD h -1000000000")); got != tooLarge {
		t.Errorf("many at random: %.100q", got)
	}
	if got := outOfLog(ctx, "HSCAN h 0 COUNT 1000000"); len(got.Elems) != 2 || string(got.Elems[0].Str) == "0" || len(got.Elems[1].Elems) < 1000 {
		t.Errorf("HSCAN: %.100q", commandtest.Show(got))
	}
}

// TestRandomFieldsAreEvenlyDrawn, alone and several at once.
func TestRandomFieldsAreEvenlyDrawn(t *testing.T) {
	for _, fields := range []int{20, 600} {
		ctx := commandtest.NewCtx(New())
		for i := range fields {
			commandtest.Do(ctx, fmt.Sprintf("HSET h f%d v", i))
		}
		for _, count := range []int{1, fields / 10, fields / 2, -5} {
			drawn := map[string]int{}
			for ctx.Seed = 1; ctx.Seed <= 4000; ctx.Seed++ {
				for _, v := range commandtest.Do(ctx, fmt.Sprintf("HRANDFIELD h %d", count)).Elems {
					drawn[string(v.Str)]++
				}
				ctx.ReplyBytes = 0
			}
			mean := float64(4000*max(count, -count)) / float64(fields)
			chi := 0.0
			for i := range fields {
				d := float64(drawn[fmt.Sprintf("f%d", i)]) - mean
				chi += d * d / mean
			}
			if free := float64(fields - 1); chi > free+6*free/2 {
				t.Errorf("%d of %d fields: chi-square %.0f", count, fields, chi)
			}
		}
	}
}
