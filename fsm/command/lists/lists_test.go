package lists

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/commandtest"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

func newCtx() *command.Ctx { return commandtest.NewCtx(command.NewTable(Commands)) }

// TestListsAsRedis72 has what the random comparison with Redis 7.0 cannot: words of 7.2, and
// edges that it seldom meets.
func TestListsAsRedis72(t *testing.T) {
	ctx := newCtx()
	commandtest.RunExchanges(t, ctx, []commandtest.Exchange{
		{"LPUSH l c b a", ":3\r\n"},
		{"RPUSH l d a", ":5\r\n"},
		{"LRANGE l -100 100", "*5\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\na\r\n"},
		{"LREM l -9223372036854775808 a", "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807\r\n"},
		{"LPOS l a RANK -9223372036854775808", "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807\r\n"},
		{"LPOS l a RANK -1", ":4\r\n"},
		{"LPOS l a RANK -1 COUNT 0", "*2\r\n:4\r\n:0\r\n"},
		{"LPOS l a RANK 2 COUNT 0 MAXLEN 4", "*0\r\n"},
		{"LPOS none a", "$-1\r\n"},
		{"LPOP none", "$-1\r\n"},
		{"LPOP none 0", "*-1\r\n"},
		{"LPOP l 0", "*0\r\n"},
		{"LMPOP 2 none l RIGHT COUNT 2", "*2\r\n$1\r\nl\r\n*2\r\n$1\r\na\r\n$1\r\nd\r\n"},
		{"LMPOP 1 none LEFT", "*-1\r\n"},
		{"LMOVE l l LEFT RIGHT", "$1\r\na\r\n"},
		{"LRANGE l 0 -1", "*3\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\na\r\n"},
		{"RPOPLPUSH l other", "$1\r\na\r\n"},
		{"LINSERT l AFTER c d", ":3\r\n"},
		{"LINSERT l AFTER none d", ":-1\r\n"},
		{"LSET l -1 e", "+OK\r\n"},
		{"LSET l 3 e", "-ERR index out of range\r\n"},
		{"LTRIM l 2 1", "+OK\r\n"},
		{"LLEN l", ":0\r\n"},
		{"RPUSHX l a", ":0\r\n"},
		{"RPOPLPUSH other other", "$1\r\na\r\n"},
		{"LLEN other", ":1\r\n"},
	})
	ctx.Store.Put([]byte("s"), []byte("text"), 0, false)
	for _, line := range []string{
		"LPUSH s a", "RPUSHX s a", "LPOP s", "LPOP s 0", "LLEN s", "LINDEX s x", "LSET s x y", "LINSERT s BEFORE a b", "LRANGE s 0 1", "LREM s 0 a", "LTRIM s 0 1",
		"LPOS s a", "LMOVE s other LEFT LEFT", "LMOVE other s LEFT LEFT", "RPOPLPUSH s s", "LMPOP 2 none s LEFT",
	} {
		if v := commandtest.Do(ctx, line); string(v.Str) != command.ErrWrongType.Error() {
			t.Errorf("%s = %q", line, commandtest.Show(v))
		}
	}
}

// TestFormOfLists: large and packed again where Redis 7.2 has it so.
func TestFormOfLists(t *testing.T) {
	ctx := newCtx()
	ctx.Limits[store.ListSize] = 4
	form := func(line string) string {
		if v := commandtest.Do(ctx, line); v.IsError() {
			t.Fatalf("%s: %s", line, v.Str)
		}
		return ctx.Store.Get([]byte("l")).Collection().Encoding()
	}
	for _, step := range [][2]string{
		{"RPUSH l a b c d", "listpack"},
		{"LINSERT l BEFORE none x", "listpack"},
		{"LPUSH l e", "quicklist"},
		{"LPOP l 2", "quicklist"},
		{"LPOP l", "listpack"},
		{"LPUSH l 1 2 3", "quicklist"},
		{"LSET l 0 x", "quicklist"},
		{"LREM l 1 x", "quicklist"},
		{"LTRIM l 1 2", "listpack"},
		{"RPUSH l 1 2", "listpack"},
		{"LMOVE l l LEFT RIGHT", "listpack"},
		{"LINSERT l BEFORE 1 x", "quicklist"},
	} {
		if got := form(step[0]); got != step[1] {
			t.Errorf("after %s it is %s, want %s", step[0], got, step[1])
		}
	}
	ctx.Limits[store.ListSize] = -1
	if got := form("RPUSH l " + strings.Repeat("x", 5000)); got != "quicklist" {
		t.Errorf("with a long element: %s", got)
	}
	commandtest.Do(ctx, "RPOP l")
	if got := form("LSET l 0 y"); got != "listpack" {
		t.Errorf("without it: %s", got)
	}
}

// TestRepliesOfListsAreBounded before anything is taken out.
func TestRepliesOfListsAreBounded(t *testing.T) {
	ctx := newCtx()
	element := strings.Repeat("x", 1<<20)
	for range 40 {
		commandtest.Do(ctx, "RPUSH l "+element)
	}
	for _, line := range []string{"LPOP l 40", "LMPOP 1 l RIGHT COUNT 40", "LRANGE l 0 -1"} {
		ctx.ReplyBytes = 0
		if v := commandtest.Do(ctx, line); commandtest.Show(v) != commandtest.Show(command.ReplyTooLarge) {
			t.Errorf("%s = %.60q", line, commandtest.Show(v))
		}
	}
	if n := ctx.Store.Get([]byte("l")).List().Len(); n != 40 {
		t.Fatalf("%d elements are left", n)
	}
	ctx.ReplyBytes = 0
	if v := commandtest.Do(ctx, "LPOP l 3"); len(v.Elems) != 3 {
		t.Errorf("LPOP l 3 = %.60q", commandtest.Show(v))
	}
	many := commandtest.Line("RPUSH many")
	for range 600_000 {
		many = append(many, []byte("a"))
	}
	ctx.Table.Exec(ctx, many)
	for _, line := range []string{"LPOS many a COUNT 0", "LRANGE many 0 -1"} {
		ctx.ReplyBytes = 0
		if v := commandtest.Do(ctx, line); commandtest.Show(v) != commandtest.Show(command.ReplyTooLarge) {
			t.Errorf("%s = %.60q", line, commandtest.Show(v))
		}
	}
}

// TestRepliesStayAsTheyWere when the list changes afterwards.
func TestRepliesStayAsTheyWere(t *testing.T) {
	ctx := newCtx()
	for _, length := range []int{5, 300, 700} {
		for _, fill := range []int64{-2, 1} {
			ctx.Limits[store.ListSize] = fill
			key := fmt.Sprint("l", length, fill)
			value := func(c string) string { return strings.Repeat(c, length) }
			commandtest.Do(ctx, "RPUSH "+key+" "+value("a")+" "+value("b")+" "+value("c"))
			replies := []resp.Value{
				commandtest.Do(ctx, "LRANGE "+key+" 0 -1"), commandtest.Do(ctx, "LINDEX "+key+" 0"), commandtest.Do(ctx, "LMOVE "+key+" "+key+" LEFT RIGHT"),
				commandtest.Do(ctx, "LPOP "+key+" 1"),
			}
			var before []string
			for _, v := range replies {
				before = append(before, commandtest.Show(v))
			}
			for range 3 {
				commandtest.Do(ctx, "LSET "+key+" 0 "+value("x"))
				commandtest.Do(ctx, "LSET "+key+" -1 "+value("y"))
				commandtest.Do(ctx, "LPUSH "+key+" "+value("z"))
				commandtest.Do(ctx, "RPOP "+key)
			}
			for i, v := range replies {
				if commandtest.Show(v) != before[i] {
					t.Errorf("%s: reply %d became %.60q", key, i, commandtest.Show(v))
				}
			}
		}
	}
}
