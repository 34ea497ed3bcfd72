package compound

import (
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/commandtest"
	"github.com/lockstepkv/lockstep/fsm/command/keys"
	"github.com/lockstepkv/lockstep/fsm/command/locks"
	values "github.com/lockstepkv/lockstep/fsm/command/strings"
	"github.com/lockstepkv/lockstep/fsm/command/versions"
	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/resp"
)

func newTable() *command.Table {
	return command.NewTable(Commands, values.Commands, keys.Commands, versions.Commands, locks.Commands)
}

func TestTransactions(t *testing.T) {
	ctx := commandtest.NewCtx(newTable())
	commandtest.RunExchanges(t, ctx, []commandtest.Exchange{
		{"SET a 1", "+OK\r\n"},
		{"SET b text", "+OK\r\n"},
		{"LS.TXN IF 3 a VALUE 1 b VERSION 2 none EXISTS 0 THEN 2 3 SET c v 2 INCR a ELSE 1 2 DEL a", "*2\r\n:1\r\n*2\r\n+OK\r\n:2\r\n"},
		{"LS.TXN IF 1 a VALUE 1 THEN 1 2 DEL a ELSE 2 2 GET a 2 GET none", "*2\r\n:0\r\n*2\r\n$1\r\n2\r\n$-1\r\n"},
		{"LS.TXN IF 2 a EXISTS 1 b VERSION 9 THEN 1 2 DEL a ELSE 0", "*2\r\n:0\r\n*0\r\n"},
		{"LS.TXN IF 1 a VERSION 0 THEN 1 2 DEL a ELSE 0", "*2\r\n:0\r\n*0\r\n"},
		{"LS.TXN IF 1 none VERSION 0 THEN 0 ELSE 0", "*2\r\n:1\r\n*0\r\n"},
		{"LS.TXN IF 0 THEN 1 5 LS.PUT p v IFVERSION 0 ELSE 0", "*2\r\n:1\r\n*1\r\n*2\r\n:5\r\n:0\r\n"},
		{"GET a", "$1\r\n2\r\n"},
	})
}

// TestTransactionsAreAllOrNothing: neither what ran before a command that fails, nor
// versions or lifetimes, are left changed.
func TestTransactionsAreAllOrNothing(t *testing.T) {
	ctx := commandtest.NewCtx(newTable())
	for _, l := range []string{"SET n 1", "SET text x PX 1000000", "SET gone x", "APPEND long xxxxxxxx"} {
		commandtest.Do(ctx, l)
	}
	before, sum := ctx.Store.Digest(), ctx.Store.Sum()
	const changes = "8 2 INCR n 2 DEL gone 3 RENAME text moved 3 SET new v 3 APPEND long yy 3 PEXPIRE long 5000 3 COPY n copy "
	for _, c := range []struct{ last, want string }{
		{"2 INCR moved", "-ERR command 8 of THEN: value is not an integer or out of range\r\n"},
		{"5 LS.PUT n v IFVERSION 99", "-CONDITION command 8 of THEN: the key has version"},
		{"3 RENAME none x", "-ERR command 8 of THEN: no such key\r\n"},
		{"3 SETRANGE n 600000000", "-ERR command 8 of THEN: wrong number of arguments for 'setrange' command\r\n"},
		{"4 SETRANGE n 600000000 x", "-ERR command 8 of THEN: string exceeds"},
		{"4 SETRANGE n -1 x", "-ERR command 8 of THEN: offset is out of range\r\n"},
		{"4 EXPIRE n abc NX", "-ERR command 8 of THEN: value is not an integer or out of range\r\n"},
	} {
		if got := commandtest.Show(commandtest.Do(ctx, "LS.TXN IF 0 THEN "+changes+c.last+" ELSE 0")); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %q", c.last, got)
		}
		if ctx.Store.Digest() != before || ctx.Store.Sum() != sum {
			t.Errorf("%s: something was left changed", c.last)
		}
	}
	if got := commandtest.Do(ctx, "LS.TXN IF 0 THEN "+changes+"2 INCR n ELSE 0"); got.IsError() || ctx.Store.Digest() == before {
		t.Errorf("without a failure: %q", commandtest.Show(got))
	}
}

func TestTransactionsThatAreRefused(t *testing.T) {
	ctx := commandtest.NewCtx(newTable())
	for _, l := range []string{
		"LS.TXN IF 0 THEN 0 ELSE 0", // no key
		"LS.TXN IF 0 THEN 1 3 SET k v ELSE 1", "LS.TXN IF 0 THEN 1 3 SET k v ELSE 0 more", "LS.TXN IF 0 THEN 1 4 SET k v ELSE 0",
		"LS.TXN IF 1 k THEN 1 3 SET k v ELSE 0", "LS.TXN IF -1 THEN 1 3 SET k v ELSE 0", "LS.TXN IF 9223372036854775807 THEN 0 ELSE 0",
		"LS.TXN IF 0 THEN 1 0 ELSE 0 x", "LS.TXN IF 0 ELSE 0 THEN 1 3 SET k v", "LS.TXN IF 1 k EXISTS 2 THEN 1 3 SET k v ELSE 0",
		"LS.TXN IF 1 k VERSION x THEN 1 3 SET k v ELSE 0", "LS.TXN IF 1 k LIKE x THEN 1 3 SET k v ELSE 0",
		"LS.TXN IF 0 THEN 2 3 SET k v 1 PING ELSE 0", "LS.TXN IF 0 THEN 2 3 SET k v 1 FLUSHALL ELSE 0",
		"LS.TXN IF 0 THEN 2 3 SET k v 1 NOPE ELSE 0", "LS.TXN IF 0 THEN 1 3 SET k v ELSE 1 2 KEYS *",
		"LS.TXN IF 0 THEN 2 3 SET k v 5 ONCE id SET k v ELSE 0", "LS.TXN IF 0 THEN 2 3 SET k v 3 UNLOCK l t ELSE 0",
		"LS.TXN IF 0 THEN 2 3 SET k v 4 LOCKRENEW l t 1000 ELSE 0", "LS.TXN IF 0 THEN 2 3 SET k v 2 LOCKINFO l ELSE 0",
		"LS.TXN IF 0 THEN 2 3 SET k v 6 FENCED l 1 UNLOCK l t ELSE 0",
		"LS.TXN IF 0 THEN 1 11 LS.TXN IF 0 THEN 1 3 SET k v ELSE 0 ELSE 0", "FENCED l 1 LS.TXN IF 0 THEN 1 3 SET k v ELSE 0",
		"LS.TXN IF 0 THEN 1 3 SET k v ELSE 1 3 EXPIRE k abc", // found out before a branch is chosen
	} {
		if got := commandtest.Do(ctx, l); !got.IsError() {
			t.Errorf("%s: %q", l, commandtest.Show(got))
		}
	}
	if ctx.Store.Len() != 0 {
		t.Errorf("%d keys are left", ctx.Store.Len())
	}
	ctx.InLog = false
	if got := commandtest.Do(ctx, "LS.TXN IF 0 THEN 1 3 SET k v ELSE 0"); !got.IsError() {
		t.Errorf("outside the log: %q", commandtest.Show(got))
	}
}

func TestTransactionsAndMemory(t *testing.T) {
	ctx := commandtest.NewCtx(newTable())
	ctx.Locks = lock.NewTable(false)
	commandtest.Do(ctx, "SET k v")
	ctx.OOMLimit = 1
	commandtest.RunExchanges(t, ctx, []commandtest.Exchange{
		{"LS.TXN IF 0 THEN 2 2 DEL k 3 SET n v ELSE 0", "-OOM command not allowed when used memory > 'maxmemory'.\r\n"},
		{"EXISTS k", ":1\r\n"},
		{"ONCE id LS.TXN IF 0 THEN 1 3 SET n v ELSE 0", "-OOM command not allowed when used memory > 'maxmemory'.\r\n"},
		{"ONCE fence FENCED l 1 SET n v", "-OOM command not allowed when used memory > 'maxmemory'.\r\n"},
		{"LS.TXN IF 1 k EXISTS 0 THEN 1 3 SET n v ELSE 1 2 DEL k", "*2\r\n:0\r\n*1\r\n:1\r\n"},
	})
	for words, needs := range map[string]bool{
		"LS.TXN IF 0 THEN 1 3 SET n v ELSE 0": true, "LS.TXN IF 0 THEN 0 ELSE 1 2 DEL k": false, "LS.TXN nonsense": false,
	} {
		if got := newTable().NeedsMemory(commandtest.Line(words)); got != needs {
			t.Errorf("%s needs memory: %v", words, got)
		}
	}
	ctx.OOMLimit = 0
	for range 2 { // what was refused for want of memory left no record, what ran did
		commandtest.RunExchanges(t, ctx, []commandtest.Exchange{{"ONCE id LS.TXN IF 0 THEN 1 3 SET n v ELSE 0", "*2\r\n:1\r\n*1\r\n+OK\r\n"}})
	}
	value := strings.Repeat("x", command.MaxReplyBytes/4)
	commandtest.Do(ctx, "SET big "+value)
	get := strings.Repeat(" 2 GET big", 4)
	got := commandtest.Do(ctx, "LS.TXN IF 0 THEN 5 3 SET k v"+get+" ELSE 0")
	if got.Class() != resp.ClassTooLarge || commandtest.Do(ctx, "EXISTS k").Int != 0 {
		t.Errorf("%.100q", commandtest.Show(got))
	}
	// One that would fit by itself comes again; its id is free for that.
	ctx.ReplyBytes = command.MaxReplyBytes - 1000
	got = commandtest.Do(ctx, "ONCE again LS.TXN IF 0 THEN 2 3 SET k v 2 GET big ELSE 0")
	if !command.RepliesFull(got) || commandtest.Do(ctx, "EXISTS k").Int != 0 {
		t.Errorf("beside others: %.100q", commandtest.Show(got))
	}
	ctx.ReplyBytes = 0
	if got = commandtest.Do(ctx, "ONCE again LS.TXN IF 0 THEN 2 3 SET k v 2 GET big ELSE 0"); got.IsError() {
		t.Errorf("the second time: %.100q", commandtest.Show(got))
	}
}

func TestKeysOfATransaction(t *testing.T) {
	table := newTable()
	args := commandtest.Line("LS.TXN IF 1 a EXISTS 1 THEN 1 3 RENAME b c ELSE 2 6 FENCED l 1 SET d v 3 MGET e f")
	sp, err := table.Check(args)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := sp.KeysOf(args)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, k := range keys {
		got[string(k)] = true
	}
	for _, k := range []string{"a", "b", "c", "d", "e", "f"} {
		if !got[k] {
			t.Errorf("%q is missing in %q", k, keys)
		}
	}
	if len(keys) != 6 {
		t.Errorf("%q", keys)
	}
}
