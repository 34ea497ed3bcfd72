package zsets

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/commandtest"
	"github.com/lockstepkv/lockstep/resp"
)

func newCtx() *command.Ctx { return commandtest.NewCtx(command.NewTable(Commands)) }

// TestFormsOfRedis72 has what redis-server 7.0, with which package commandset compares, does not know.
func TestFormsOfRedis72(t *testing.T) {
	commandtest.RunExchanges(t, newCtx(), []commandtest.Exchange{
		{"ZADD z 1.5 a 2 b 0.1 c", ":3\r\n"},
		{"ZRANK z a WITHSCORE", "*2\r\n:1\r\n$3\r\n1.5\r\n"},
		{"ZREVRANK z a withscore", "*2\r\n:1\r\n$3\r\n1.5\r\n"},
		{"ZRANK z nobody WITHSCORE", "*-1\r\n"},
		{"ZRANK nothing a WITHSCORE", "*-1\r\n"},
		{"ZRANK nothing a", "$-1\r\n"},
		{"ZRANK z a foo", "-ERR syntax error\r\n"},
		{"ZRANK z a WITHSCORE foo", "-ERR wrong number of arguments for 'zrank' command\r\n"},
		{"ZSCORE z c", "$3\r\n0.1\r\n"},
		{"ZINCRBY z 0.2 c", "$19\r\n0.30000000000000004\r\n"},
		{"ZMPOP 2 nothing z MAX COUNT 1", "*2\r\n$1\r\nz\r\n*1\r\n*2\r\n$1\r\nb\r\n$1\r\n2\r\n"},
	})
}

// TestRepliesInRESP3: pairs are arrays of two, scores doubles.
func TestRepliesInRESP3(t *testing.T) {
	ctx := newCtx()
	commandtest.Do(ctx, "ZADD z 1.5 a 2 b")
	for line, want := range map[string]string{
		"ZRANGE z 0 -1 WITHSCORES": "*2\r\n*2\r\n$1\r\na\r\n,1.5\r\n*2\r\n$1\r\nb\r\n,2\r\n",
		"ZUNION 1 z WITHSCORES":    "*2\r\n*2\r\n$1\r\na\r\n,1.5\r\n*2\r\n$1\r\nb\r\n,2\r\n",
		"ZSCAN z 0":                "*2\r\n$1\r\n0\r\n*4\r\n$1\r\na\r\n$3\r\n1.5\r\n$1\r\nb\r\n$1\r\n2\r\n",
		"ZMSCORE z a nobody":       "*2\r\n,1.5\r\n_\r\n",
		"ZPOPMIN nothing":          "*0\r\n",
	} {
		if got := string(resp.Append(nil, commandtest.Do(ctx, line), 3)); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
	if got := string(resp.Append(nil, commandtest.Do(ctx, "ZPOPMIN z"), 3)); got != "*2\r\n$1\r\na\r\n,1.5\r\n" {
		t.Errorf("ZPOPMIN: %q", got)
	}
	if got := string(resp.Append(nil, commandtest.Do(ctx, "ZPOPMAX z 3"), 3)); got != "*1\r\n*2\r\n$1\r\nb\r\n,2\r\n" {
		t.Errorf("ZPOPMAX with a count: %q", got)
	}
}

// TestLargeRepliesAreRefused before the command has done anything.
func TestLargeRepliesAreRefused(t *testing.T) {
	ctx := newCtx()
	member := strings.Repeat("m", 1<<20)
	for i := range 40 {
		ctx.Table.Exec(ctx, command.Args{[]byte("ZADD"), []byte("z"), fmt.Append(nil, i), fmt.Append(nil, i, member)})
	}
	for _, line := range []string{"ZPOPMIN z 40", "ZMPOP 1 z MAX COUNT 40", "ZRANGE z 0 -1", "ZRANGEBYSCORE z -inf +inf WITHSCORES", "ZRANDMEMBER z -40", "ZUNION 1 z"} {
		ctx.ReplyBytes = 0
		if v := commandtest.Do(ctx, line); !v.IsError() || !strings.Contains(string(v.Str), "reply") && !strings.Contains(string(v.Str), "replies") {
			t.Errorf("%s: %.100q", line, v.Str)
		}
	}
	ctx.ReplyBytes = 0
	if got := commandtest.Do(ctx, "ZCARD z"); got.Int != 40 {
		t.Errorf("%d members are left", got.Int)
	}
}

func FuzzNumber(f *testing.F) {
	for _, s := range []string{"1", "-0", "0x1p3", "inf", "1e400", "1e-400", ".", "0x", "1e", " 1", "nan", "1_0", "0x_1p0"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		score, err := parseScore(b)
		if err == nil && score != score {
			t.Fatalf("%q is not a number", b)
		}
		if bound, err2 := parseBound(b); err == nil && (err2 != nil || bound != score) {
			t.Fatalf("%q is the score %v and the bound %v (%v)", b, score, bound, err2)
		}
		if strings.Contains(string(b), "_") && err == nil {
			t.Fatalf("%q is taken for %v", b, score)
		}
	})
}
