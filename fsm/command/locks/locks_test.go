package locks

import (
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/commandtest"
	"github.com/lockstepkv/lockstep/fsm/command/compound"
	"github.com/lockstepkv/lockstep/fsm/command/keys"
	values "github.com/lockstepkv/lockstep/fsm/command/strings"
	"github.com/lockstepkv/lockstep/fsm/command/versions"
	"github.com/lockstepkv/lockstep/fsm/lock"
)

func newTable() *command.Table {
	return command.NewTable(Commands, compound.Commands, values.Commands, keys.Commands, versions.Commands, nodes)
}

// nodes stands for the commands that a node answers.
func nodes(*command.Table) []*command.Spec {
	return []*command.Spec{{Name: "ping", Arity: -1, Flags: command.Connection}}
}

func newLockCtx() *command.Ctx {
	ctx := commandtest.NewCtx(newTable())
	ctx.Locks = lock.NewTable(false)
	return ctx
}

// The log clock of newCtx is 1700000000000: 122163200000 ms after the epoch of
// fences, times 4096.
const (
	fence1 = "500380467200000"
	fence2 = "500380467200001"
	fence3 = "500380467200002"
)

func TestLockCommands(t *testing.T) {
	commandtest.RunExchanges(t, newLockCtx(), []commandtest.Exchange{
		{"LS.LOCK l 1000 me 0 t1 n1 1", "*5\r\n:1\r\n:" + fence1 + "\r\n:1700000001000\r\n$2\r\nme\r\n$2\r\nt1\r\n"},
		{"LS.LOCK l 5000 me 0 t1 n1 1", "*5\r\n:1\r\n:" + fence1 + "\r\n:1700000001000\r\n$2\r\nme\r\n$2\r\nt1\r\n"},
		{"LS.LOCK l 1000 you 0 t2 n1 1", "*5\r\n:0\r\n:" + fence1 + "\r\n:1700000001000\r\n$2\r\nme\r\n$2\r\nt2\r\n"},
		{"LS.LOCK l 1000 you 500 t2 n1 1", "*5\r\n:2\r\n:" + fence1 + "\r\n:1700000001000\r\n$2\r\nme\r\n$2\r\nt2\r\n"},
		{"LOCKINFO l", "*14\r\n$4\r\nname\r\n$1\r\nl\r\n$4\r\nheld\r\n:1\r\n$5\r\nowner\r\n$2\r\nme\r\n$5\r\nfence\r\n:" + fence1 +
			"\r\n$6\r\nttl_ms\r\n:1000\r\n$13\r\nexpires_at_ms\r\n:1700000001000\r\n$7\r\nwaiters\r\n:1\r\n"},
		{"LOCKRENEW l t2 1000", ":0\r\n"},
		{"LOCKRENEW l t1 2000", ":1\r\n"},
		{"LS.LOCKRENEW l t1 3000", "*2\r\n:" + fence1 + "\r\n:1700000003000\r\n"},
		{"LS.LOCKRENEW l t2 3000", "*-1\r\n"},
		{"UNLOCK l t2", ":0\r\n"},
		{"LS.LOCKCANCEL l t1", "*2\r\n:" + fence1 + "\r\n:1700000003000\r\n"},
		{"UNLOCK l t1", ":1\r\n"},
		{"UNLOCK l t1", ":0\r\n"},
		{"LS.LOCKCANCEL l t2", "*2\r\n:" + fence2 + "\r\n:1700000001000\r\n"},
		{"LS.LOCKCANCEL l t2 RELEASE", "*-1\r\n"},
		{"LOCKINFO l", "*14\r\n$4\r\nname\r\n$1\r\nl\r\n$4\r\nheld\r\n:0\r\n$5\r\nowner\r\n$0\r\n\r\n$5\r\nfence\r\n:0" +
			"\r\n$6\r\nttl_ms\r\n:0\r\n$13\r\nexpires_at_ms\r\n:0\r\n$7\r\nwaiters\r\n:0\r\n"},
		{"LS.LOCK l 0 x 0 t3 n1 1", "-ERR lock ttl must be 1 to 604800000 milliseconds\r\n"},
		{"LS.LOCK l 604800001 x 0 t3 n1 1", "-ERR lock ttl must be 1 to 604800000 milliseconds\r\n"},
		{"LS.LOCK l 1 x -1 t3 n1 1", "-ERR lock wait must be 0 to 86400000 milliseconds\r\n"},
		{"LS.LOCK l x x 0 t3 n1 1", "-ERR value is not an integer or out of range\r\n"},
		{"LOCKRENEW l t3 0", "-ERR lock ttl must be 1 to 604800000 milliseconds\r\n"},
		{"LOCKRENEW l t3 99999999999999999999", "-ERR lock ttl must be 1 to 604800000 milliseconds\r\n"},
		{"LOCKINFO " + strings.Repeat("n", 513), "-ERR lock name must have 1 to 512 bytes\r\n"},
		{"LS.LOCKCANCEL l t KEEP", "-ERR syntax error\r\n"},
		{"LS.FENCEFLOOR -1", "-ERR fence must be 0 to 9223372036854775807\r\n"},
		{"LS.FENCEFLOOR 4611686018427387904", "-ERR fence is more than 30 days ahead of the cluster's clock\r\n"},
		{"LS.FENCEFLOOR 510000000000000", "+OK\r\n"},
		{"LS.LOCK l 1000 me 0 t4 n1 1", "*5\r\n:1\r\n:510000000000001\r\n:1700000001000\r\n$2\r\nme\r\n$2\r\nt4\r\n"},
	})
}

func TestFenced(t *testing.T) {
	commandtest.RunExchanges(t, newLockCtx(), []commandtest.Exchange{
		{"LS.LOCK l 1000 me 0 t1 n1 1", "*5\r\n:1\r\n:" + fence1 + "\r\n:1700000001000\r\n$2\r\nme\r\n$2\r\nt1\r\n"},
		{"FENCED l " + fence1 + " SET k v", "+OK\r\n"},
		{"UNLOCK l t1", ":1\r\n"},
		{"FENCED l " + fence1 + " APPEND k v", ":2\r\n"},
		{"LS.LOCK l 1000 me 0 t2 n1 1", "*5\r\n:1\r\n:" + fence2 + "\r\n:1700000001000\r\n$2\r\nme\r\n$2\r\nt2\r\n"},
		// Granting counts as seen.
		{"FENCED l " + fence1 + " SET k late", "-STALEFENCE fence " + fence1 + " of lock 'l' is older than " + fence2 + "\r\n"},
		{"FENCED l " + fence1 + " GET k", "-STALEFENCE fence " + fence1 + " of lock 'l' is older than " + fence2 + "\r\n"},
		{"FENCED l " + fence2 + " LS.PUT k w", "*2\r\n:3\r\n:0\r\n"},
		{"GET k", "$1\r\nw\r\n"},
		// A lock of another shard: only what was seen here counts.
		{"FENCED other " + fence3 + " INCR n", ":1\r\n"},
		{"FENCED other " + fence2 + " INCR n", "-STALEFENCE fence " + fence2 + " of lock 'other' is older than " + fence3 + "\r\n"},
		{"FENCED other " + fence3 + " INCR k", "-ERR value is not an integer or out of range\r\n"},
		{"FENCED l 9223372036854775807 SET k v", "-ERR this fence was never granted\r\n"},
		{"FENCED l 0 SET k v", "-ERR fence must be 1 to 9223372036854775807\r\n"},
		{"FENCED l x SET k v", "-ERR fence must be 1 to 9223372036854775807\r\n"},
		{"FENCED l 1 PING", "-ERR FENCED takes a command on keys\r\n"},
		{"FENCED l 1 DBSIZE", "-ERR FENCED takes a command on keys\r\n"},
		{"FENCED l 1 ONCE id SET k v", "-ERR FENCED takes a command on keys\r\n"},
		{"FENCED l 1 FENCED l 1 SET k v", "-ERR FENCED does not go into another FENCED\r\n"},
		{"FENCED l 1 SET k", "-ERR wrong number of arguments for 'set' command\r\n"},
		// After a restore nobody knows which fences were seen.
		{"LS.FENCEFLOOR 510000000000000", "+OK\r\n"},
		{"FENCED third " + fence3 + " SET k v", "-STALEFENCE fence " + fence3 + " of lock 'third' is older than 510000000000000\r\n"},
		{"FENCED l " + fence2 + " SET k v", "+OK\r\n"},
	})
}

func TestFencedKeys(t *testing.T) {
	table := newTable()
	args := commandtest.Line("FENCED lock 1 MSET a 1 b 2")
	keys, err := table.Lookup(args[0]).KeysOf(args)
	if err != nil || len(keys) != 2 || string(keys[0]) != "a" || string(keys[1]) != "b" {
		t.Errorf("keys %q, %v", keys, err)
	}
}

func TestOnceAroundLocks(t *testing.T) {
	ctx := newLockCtx()
	commandtest.RunExchanges(t, ctx, []commandtest.Exchange{
		{"ONCE a LS.LOCK l 1000 me 0 t1 n1 1", "*5\r\n:1\r\n:" + fence1 + "\r\n:1700000001000\r\n$2\r\nme\r\n$2\r\nt1\r\n"},
		// The retry comes through another node.
		{"ONCE a LS.LOCK l 1000 me 0 t1 n2 7", "*5\r\n:1\r\n:" + fence1 + "\r\n:1700000001000\r\n$2\r\nme\r\n$2\r\nt1\r\n"},
		{"ONCE a LS.LOCK l 2000 me 0 t1 n2 7", "-ONCEMISMATCH this idempotency id was used with another command\r\n"},
		{"ONCE b FENCED l " + fence1 + " INCR n", ":1\r\n"},
		{"ONCE b FENCED l " + fence1 + " INCR n", ":1\r\n"},
		{"ONCE c UNLOCK l t1", ":1\r\n"},
		{"ONCE c UNLOCK l t1", ":1\r\n"},
		{"ONCE d ONCE e SET k v", "-ERR ONCE takes a command that writes to keys\r\n"},
	})
}

func TestConditionalOnValue(t *testing.T) {
	commandtest.RunExchanges(t, commandtest.NewCtx(newTable()), []commandtest.Exchange{
		{"SET k token NX PX 1000", "+OK\r\n"},
		{"DELIFEQ k other", ":0\r\n"},
		{"SET k token PX 5000 IFEQ other", "$-1\r\n"},
		{"SET k token2 IFEQ token PX 5000", "+OK\r\n"},
		{"PTTL k", ":5000\r\n"},
		{"SET k token3 IFEQ token GET", "$6\r\ntoken2\r\n"},
		{"GET k", "$6\r\ntoken2\r\n"},
		{"SET k token3 IFEQ token2 GET KEEPTTL", "$6\r\ntoken2\r\n"},
		{"PTTL k", ":5000\r\n"},
		{"DELIFEQ k token3", ":1\r\n"},
		{"DELIFEQ k token3", ":0\r\n"},
		{"SET k v IFEQ v", "$-1\r\n"},
		{"SET k v NX IFEQ v", "-ERR syntax error\r\n"},
		{"SET k v IFEQ v XX", "-ERR syntax error\r\n"},
		{"SET k v IFEQ", "-ERR syntax error\r\n"},
	})
}

func TestParseLock(t *testing.T) {
	for text, want := range map[string]string{
		"LOCK l 1000":                 "",
		"LOCK l 1000 WAIT 5 OWNER me": "",
		"LOCK l 1000 owner me wait 5": "",
		"LOCK l 0":                    "ERR lock ttl must be 1 to 604800000 milliseconds",
		"LOCK l -1":                   "ERR lock ttl must be 1 to 604800000 milliseconds",
		"LOCK l many":                 "ERR lock ttl must be 1 to 604800000 milliseconds",
		"LOCK l 99999999999":          "ERR lock ttl must be 1 to 604800000 milliseconds",
		"LOCK l 1 WAIT -1":            "ERR lock wait must be 0 to 86400000 milliseconds",
		"LOCK l 1 WAIT":               "ERR syntax error",
		"LOCK l 1 WAIT 1 WAIT 2":      "ERR syntax error",
		"LOCK l 1 EX 1":               "ERR syntax error",
		"LOCK l 1 OWNER " + strings.Repeat("o", 257): "ERR lock owner must have at most 256 bytes",
		"LOCK " + strings.Repeat("n", 65536) + " 1":  "ERR lock name must have 1 to 512 bytes",
	} {
		_, err := Parse(commandtest.Line(text))
		if got := errText(err); got != want {
			t.Errorf("%.40s: %q, want %q", text, got, want)
		}
	}
	if _, err := Parse(command.Args{[]byte("LOCK"), nil, []byte("1")}); err == nil {
		t.Error("an empty name was taken")
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
