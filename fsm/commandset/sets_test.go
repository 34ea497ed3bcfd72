package commandset

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/commandtest"
	"github.com/lockstepkv/lockstep/resp"
)

// TestLargeSetsAsRedis: sets that grow over the limits of integers and shrink again, and what
// is computed of them. Of other small sets, Redis 7.0 calls the encoding hashtable.
func TestLargeSetsAsRedis(t *testing.T) {
	redis := commandtest.StartRedis(t)
	ctx, gen := commandtest.NewCtx(New()), commandtest.NewGenerator(1)
	p := &pair{t: t, real: redis.Main, ctx: ctx, gen: gen}
	run := func(args command.Args) {
		t.Helper()
		ctx.ReplyBytes = 0
		p.log = append(p.log, commandtest.Quote(args))
		name := p.name(args)
		if name == "spop" {
			p.pop(args)
			return
		}
		theirs := redis.Main.Do(args)
		raw := slices.Clone(redis.Main.Raw.Bytes())
		p.compare(args, name, ctx.Table.Exec(ctx, args), theirs, raw)
	}
	keys := []string{"a", "b", "c", "d"}
	for i := range 2500 {
		key := gen.One(keys...)
		growing := i/600%2 == 0
		args := command.Args{[]byte("SADD"), []byte(key)}
		if gen.Chance(80) != growing {
			args[0] = []byte("SREM")
		}
		for range 1 + gen.Rng.IntN(12) {
			args = append(args, strconv.AppendInt(nil, int64(gen.Rng.IntN(700)), 10))
		}
		if gen.Chance(1) && key != "a" {
			args = append(args, []byte("text"))
		}
		run(args)
		run(commandtest.Line("OBJECT ENCODING " + key))
		run(commandtest.Line("SCARD " + key))
		if ctx.Seed++; i%25 != 0 {
			continue
		}
		for _, l := range []string{
			"SINTERSTORE x a b", "SUNIONSTORE y c d x", "SDIFFSTORE z a c", "SDIFFSTORE z b a d c", "SINTERSTORE w x d", "SUNIONSTORE a1 a", "SINTERCARD 3 a b c LIMIT 100",
			"SINTER a b c", "SUNION a d", "SDIFF y a", "SSCAN " + key + " 0 COUNT 7", "SSCAN y 0 MATCH 1* COUNT 30", "SRANDMEMBER a", "SRANDMEMBER y 5", "SRANDMEMBER a 650", "SRANDMEMBER b -7",
			"SPOP y 3", "SPOP y 400", "SPOP y", "SMOVE y x 7", "SPOP a1 1000", "SMISMEMBER y 1 2 3 4 5 6 7 8",
		} {
			run(commandtest.Line(l))
		}
		for _, key := range append([]string{"w", "x", "y", "z", "a1"}, keys...) {
			run(commandtest.Line("SMEMBERS " + key))
			run(commandtest.Line("OBJECT ENCODING " + key))
		}
	}
}

func TestSetReplies(t *testing.T) {
	ctx := commandtest.NewCtx(New())
	long := strings.Repeat("x", 65)
	commandtest.RunExchanges(t, ctx, []commandtest.Exchange{
		{"SADD s 3 1 2 1", ":3\r\n"},
		{"SMEMBERS s", "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n"},
		{"OBJECT ENCODING s", "$6\r\nintset\r\n"},
		{"SADD s b a", ":2\r\n"},
		{"OBJECT ENCODING s", "$8\r\nlistpack\r\n"},
		{"SMEMBERS s", "*5\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\nb\r\n$1\r\na\r\n"},
		{"SREM s b a", ":2\r\n"},
		{"OBJECT ENCODING s", "$8\r\nlistpack\r\n"},
		{"SINTERSTORE i s", ":3\r\n"},
		{"OBJECT ENCODING i", "$6\r\nintset\r\n"},
		{"SADD s " + long, ":1\r\n"},
		{"OBJECT ENCODING s", "$9\r\nhashtable\r\n"},
		{"SADD two a b", ":2\r\n"},
		{"SSCAN two 0", "*2\r\n$1\r\n0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n"},
		{"SSCAN two 0 NOVALUES", "-ERR syntax error\r\n"},
		{"LS.GET two", "*4\r\n$3\r\nset\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n:6\r\n:-1\r\n"},
		// Taken back with the transaction, in each form.
		{"LS.TXN IF 0 THEN 4 3 SADD i 9 2 SPOP i 3 SADD i x 2 INCR i ELSE 0", "-WRONGTYPE command 4 of THEN: Operation against a key holding the wrong kind of value\r\n"},
		{"SMEMBERS i", "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n"},
		{"LS.TXN IF 0 THEN 3 3 SPOP two 2 3 SADD two z 2 INCR i ELSE 0", "-WRONGTYPE command 3 of THEN: Operation against a key holding the wrong kind of value\r\n"},
		{"SMEMBERS two", "*2\r\n$1\r\na\r\n$1\r\nb\r\n"},
		{"LS.TXN IF 0 THEN 3 3 SADD s new 3 SPOP s 3 2 INCR i ELSE 0", "-WRONGTYPE command 3 of THEN: Operation against a key holding the wrong kind of value\r\n"},
		{"SMISMEMBER s 1 2 3 new " + long, "*5\r\n:1\r\n:1\r\n:1\r\n:0\r\n:1\r\n"},
		{"SADD s two", ":1\r\n"},
		{"SMOVE s two two", ":1\r\n"},
		{"SMOVE s two two", ":0\r\n"},
		{"SMOVE two two b", ":1\r\n"},
		{"SDIFFSTORE two two two", ":0\r\n"},
		{"EXISTS two", ":0\r\n"},
		{"SET str x", "+OK\r\n"},
		{"SUNIONSTORE str s", ":4\r\n"},
		{"TYPE str", "+set\r\n"},
		{"SINTER none str", "*0\r\n"},
		{"EXPIRE str 100", ":1\r\n"},
		{"SADD str more", ":1\r\n"},
		{"TTL str", ":100\r\n"},
		{"SUNIONSTORE str s", ":4\r\n"},
		{"TTL str", ":-1\r\n"},
	})
	for l, want := range map[string]string{"SMEMBERS s": "~4\r\n", "SUNION s i": "~4\r\n", "SPOP s 2": "~2\r\n", "SRANDMEMBER s 2": "*2\r\n", "SMEMBERS none": "~0\r\n"} {
		if got := string(resp.Append(nil, commandtest.Do(ctx, l), 3)); !strings.HasPrefix(got, want) {
			t.Errorf("%s with RESP3: %q, want %q", l, got, want)
		}
	}
	first := commandtest.Do(ctx, "ONCE id SPOP s")
	if again := commandtest.Do(ctx, "ONCE id SPOP s"); !commandtest.Same(first, again) || commandtest.Do(ctx, "SCARD s").Int != int64(4-2-1) && commandtest.Do(ctx, "SCARD s").Int != 1 {
		t.Errorf("ONCE SPOP: %s, then %s", commandtest.Show(first), commandtest.Show(again))
	}
}

// TestPopsAreFactsOfTheLog: two replicas pop the same, another entry something else.
func TestPopsAreFactsOfTheLog(t *testing.T) {
	for _, members := range []int{50, 2000} {
		popped := map[uint64]string{}
		for _, seed := range []uint64{7, 7, 8} {
			ctx := commandtest.NewCtx(New())
			args := commandtest.Line("SADD s")
			for i := range members {
				args = append(args, fmt.Appendf(nil, "m%d", (i*7919+int(seed))%members))
			}
			ctx.Table.Exec(ctx, args)
			ctx.Seed = seed
			got := commandtest.Show(resp.Array(commandtest.Do(ctx, "SPOP s"), commandtest.Do(ctx, "SPOP s 20"), commandtest.Do(ctx, "SRANDMEMBER s -5"), commandtest.Do(ctx, "SPOP s 15")))
			if was, ok := popped[seed]; ok && was != got {
				t.Errorf("%d members: %q and %q", members, was, got)
			}
			popped[seed] = got
		}
		if popped[7] == popped[8] {
			t.Errorf("%d members: chance is always the same", members)
		}
	}
}

// TestPopsAreEvenlyDrawn: each member is as likely as any other, alone and of several.
func TestPopsAreEvenlyDrawn(t *testing.T) {
	for _, form := range []string{"%d", "m%d"} {
		for _, count := range []int{1, 3, 15} {
			drawn := map[string]int{}
			for seed := range uint64(3000) {
				ctx := commandtest.NewCtx(New())
				args := commandtest.Line("SADD s")
				for i := range 20 {
					args = append(args, fmt.Appendf(nil, form, i))
				}
				ctx.Table.Exec(ctx, args)
				ctx.Seed = seed + 1
				for _, v := range commandtest.Do(ctx, fmt.Sprintf("SPOP s %d", count)).Elems {
					drawn[string(v.Str)]++
				}
				if left := commandtest.Do(ctx, "SCARD s").Int; left != int64(20-count) {
					t.Fatalf("%d are left", left)
				}
			}
			mean, chi := float64(3000*count)/20, 0.0
			for i := range 20 {
				d := float64(drawn[fmt.Sprintf(form, i)]) - mean
				chi += d * d / mean
			}
			if chi > 19+6*19/2 {
				t.Errorf("%s, %d: chi-square %.0f", form, count, chi)
			}
		}
	}
}

// TestRepliesOfSetsAreBounded, and what cannot be told is not popped.
func TestRepliesOfSetsAreBounded(t *testing.T) {
	ctx := commandtest.NewCtx(New())
	args := commandtest.Line("SADD s")
	for i := range 120_000 {
		args = append(args, fmt.Appendf(nil, "%0250d", i))
	}
	ctx.Table.Exec(ctx, args)
	tooLarge := commandtest.Show(command.ReplyTooLarge)
	for _, l := range []string{"SMEMBERS s", "SUNION s s", "SRANDMEMBER s 119999", "SRANDMEMBER s -1000000000", "SPOP s 119000", "SPOP s 120000"} {
		ctx.ReplyBytes = 0
		if got := commandtest.Show(commandtest.Do(ctx, l)); got != tooLarge {
			t.Errorf("%s: %.100q", l, got)
		}
	}
	if n := commandtest.Do(ctx, "SCARD s").Int; n != 120_000 {
		t.Errorf("%d members are left", n)
	}
	if got := outOfLog(ctx, "SMEMBERS s"); len(got.Elems) != 120_000 {
		t.Errorf("SMEMBERS outside of the log: %d elements", len(got.Elems))
	}
	if got := commandtest.Show(outOfLog(ctx, "SRANDMEMBER s -1000000000")); got != tooLarge {
		t.Errorf("many at random: %.100q", got)
	}
}
