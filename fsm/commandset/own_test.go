package commandset

import (
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/commandtest"
	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/resp"
)

func TestLSCommands(t *testing.T) {
	commandtest.RunExchanges(t, commandtest.NewCtx(New()), []commandtest.Exchange{
		{"LS.GET k", "$-1\r\n"},
		{"LS.PUT k v XX", "-CONDITION no such key\r\n"},
		{"LS.PUT k v IFVERSION 7", "-CONDITION the key has version 0\r\n"},
		{"LS.PUT k v IFVERSION 0", "*2\r\n:1\r\n:0\r\n"},
		{"LS.GET k", "*4\r\n$6\r\nstring\r\n$1\r\nv\r\n:1\r\n:-1\r\n"},
		{"LS.PUT k v NX", "-CONDITION the key exists\r\n"},
		{"LS.PUT k w PX 1000 IFVERSION 1", "*2\r\n:2\r\n:1700000001000\r\n"},
		{"LS.GET k", "*4\r\n$6\r\nstring\r\n$1\r\nw\r\n:2\r\n:1000\r\n"},
		{"LS.PUT k x KEEPTTL XX", "*2\r\n:3\r\n:1700000001000\r\n"},
		{"LS.PUT k x", "*2\r\n:4\r\n:0\r\n"},
		{"LS.DEL k IFVERSION 3", "-CONDITION the key has version 4\r\n"},
		{"LS.DEL k IFVERSION 4", ":1\r\n"},
		{"LS.DEL k", ":0\r\n"},
		{"LS.DEL k IFVERSION 0", ":0\r\n"},
		{"LS.INCR n -5", "*2\r\n:-5\r\n:6\r\n"},
		{"LS.INCR n x", "-ERR value is not an integer or out of range\r\n"},
		{"LS.INCR n 9223372036854775807", "*2\r\n:9223372036854775802\r\n:7\r\n"},
		{"LS.INCR n 9", "-ERR increment or decrement would overflow\r\n"},
		{"LS.PUT k v PX 0", "-ERR invalid expire time in 'ls.put' command\r\n"},
		{"LS.PUT k v PX", "-ERR syntax error\r\n"},
		{"LS.PUT k v PX 5 KEEPTTL", "-ERR syntax error\r\n"},
		{"LS.PUT k v NX XX", "-ERR syntax error\r\n"},
		{"LS.PUT k v IFVERSION 1 NX", "-ERR syntax error\r\n"},
		{"LS.PUT k v IFVERSION -1", "-ERR value is not an integer or out of range\r\n"},
		{"LS.DEL k IFVERSION", "-ERR syntax error\r\n"},
		{"LS.DEL k NX 1", "-ERR syntax error\r\n"},
	})
}

func TestVersionsOnlyGrow(t *testing.T) {
	ctx := commandtest.NewCtx(New())
	last := int64(0)
	for _, l := range []string{"LS.PUT k v", "LS.PUT k v", "LS.INCR n 1", "LS.PUT k v"} {
		v := commandtest.Do(ctx, l)
		version := v.Elems[0].Int
		if l == "LS.INCR n 1" {
			version = v.Elems[1].Int
		}
		if version <= last {
			t.Errorf("%s: version %d after %d", l, version, last)
		}
		last = version
	}
}

func TestOnce(t *testing.T) {
	ctx := commandtest.NewCtx(New())
	ctx.Once.(commandtest.OnceMap)["old"] = commandtest.OnceRecord{Forgotten: true}
	commandtest.RunExchanges(t, ctx, []commandtest.Exchange{
		{"ONCE a INCR n", ":1\r\n"},
		{"ONCE a incr n", ":1\r\n"},
		{"ONCE b INCR n", ":2\r\n"},
		{"ONCE a INCR m", "-ONCEMISMATCH this idempotency id was used with another command\r\n"},
		{"ONCE a INCRBY n 1", "-ONCEMISMATCH this idempotency id was used with another command\r\n"},
		{"ONCE old INCR n", "-ONCEEXPIRED this idempotency id was used, and its reply is no longer kept\r\n"},
		{"GET n", "$1\r\n2\r\n"},
		{"ONCE '' INCR n", "-ERR idempotency id must have 1 to 256 bytes\r\n"},
		{"ONCE " + strings.Repeat("x", 257) + " INCR n", "-ERR idempotency id must have 1 to 256 bytes\r\n"},
		{"ONCE " + strings.Repeat("x", 256) + " INCR n", ":3\r\n"},
		{"ONCE c GET n", "-ERR ONCE takes a command that writes to keys\r\n"},
		{"ONCE c FLUSHALL", "-ERR ONCE takes a command that writes to keys\r\n"},
		{"ONCE c ONCE d INCR n", "-ERR ONCE takes a command that writes to keys\r\n"},
		{"ONCE c NOPE x", "-ERR unknown command 'NOPE', with args beginning with: 'x' \r\n"},
		{"ONCE c SET k", "-ERR wrong number of arguments for 'set' command\r\n"},
		{"ONCE c", "-ERR wrong number of arguments for 'once' command\r\n"},
		// What was refused before it ran did not use up its id.
		{"ONCE c SET k v FOO", "-ERR syntax error\r\n"},
		{"ONCE c LS.PUT k v NX", "*2\r\n:4\r\n:0\r\n"},
		{"ONCE c LS.PUT k v NX", "*2\r\n:4\r\n:0\r\n"},
		// What failed when it ran fails the same way again.
		{"ONCE d LS.PUT k v NX", "-CONDITION the key exists\r\n"},
		{"DEL k", ":1\r\n"},
		{"ONCE d LS.PUT k v NX", "-CONDITION the key exists\r\n"},
	})
}

func TestOnceReplaysWhenMemoryIsFull(t *testing.T) {
	ctx := commandtest.NewCtx(New())
	commandtest.Do(ctx, "ONCE a SET k v")
	ctx.OOMLimit = 1
	commandtest.RunExchanges(t, ctx, []commandtest.Exchange{
		{"ONCE a SET k v", "+OK\r\n"},
		{"ONCE b SET k v", "-OOM command not allowed when used memory > 'maxmemory'.\r\n"},
		{"ONCE c DEL k", ":1\r\n"},
	})
	ctx.OOMLimit = 0
	commandtest.RunExchanges(t, ctx, []commandtest.Exchange{{"ONCE b SET k v", "+OK\r\n"}})
}

// TestNoDiskIsNamed: whatever would grow is told that disks are full, not memory, also where
// there is nothing in memory yet.
func TestNoDiskIsNamed(t *testing.T) {
	ctx := commandtest.NewCtx(New())
	ctx.OOMLimit, ctx.Locks = command.NoDisk, lock.NewTable(true)
	no := "-OOM " + command.ErrTight.Error() + "\r\n"
	commandtest.RunExchanges(t, ctx, []commandtest.Exchange{
		{"SET k v", no},
		{"ONCE a SET k v", no},
		{"FENCED l 1 SET k v", no},
		{"ONCE a FENCED l 1 SET k v", no},
		{"LS.TXN IF 0 THEN 1 3 SET k v ELSE 0", no},
		{"ONCE b DEL k", ":0\r\n"},
	})
	if got := ctx.Table.RunUnit(ctx, &command.Unit{Multi: true, Cmds: []command.Args{commandtest.Line("SET k v")}}); string(resp.Append(nil, got, 2)) != no || got.Class() != resp.ClassDisk {
		t.Errorf("EXEC: %q", commandtest.Show(got))
	}
	ctx.OOMLimit = 0
	commandtest.RunExchanges(t, ctx, []commandtest.Exchange{{"ONCE a SET k v", "+OK\r\n"}})
}

func TestOnceOutsideTheLogIsRefused(t *testing.T) {
	ctx := commandtest.NewCtx(New())
	ctx.Once = nil
	commandtest.RunExchanges(t, ctx, []commandtest.Exchange{{"ONCE a SET k v", "-ERR ONCE runs from the log only\r\n"}, {"EXISTS k", ":0\r\n"}})
}

func TestWatchIsByVersion(t *testing.T) {
	ctx := commandtest.NewCtx(New())
	commandtest.Do(ctx, "SET k v")
	u := &command.Unit{Multi: true, Watches: []command.Watch{{Key: []byte("k"), Version: 1}, {Key: []byte("absent")}}, Cmds: []command.Args{commandtest.Line("INCR n")}}
	if got := commandtest.Show(ctx.Table.RunUnit(ctx, u)); got != "*1\r\n:1\r\n" {
		t.Errorf("unchanged: %q", got)
	}
	commandtest.Do(ctx, "SET k v")
	if got := commandtest.Show(ctx.Table.RunUnit(ctx, u)); got != "*-1\r\n" {
		t.Errorf("changed: %q", got)
	}
}
