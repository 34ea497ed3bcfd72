package locks

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/commandtest"
	"github.com/lockstepkv/lockstep/fsm/lock"
)

func TestListLocks(t *testing.T) {
	ctx := newLockCtx()
	row := func(name string, fence string, waiters int) string {
		return fmt.Sprintf("*6\r\n$%d\r\n%s\r\n$2\r\nme\r\n:%s\r\n:1000\r\n:1700000001000\r\n:%d\r\n", len(name), name, fence, waiters)
	}
	commandtest.RunExchanges(t, ctx, []commandtest.Exchange{
		{"LS.LOCKS 0", "*2\r\n$1\r\n0\r\n*0\r\n"},
		{"LS.LOCKCOUNT", ":0\r\n"},
	})
	for _, line := range []string{"LS.LOCK b:1 1000 me 0 t n1 1", "LS.LOCK a:2 1000 me 0 t n1 1", "LS.LOCK a:1 1000 me 0 t n1 1", "LS.LOCK a:1 1 you 500 w n1 1"} {
		if v := commandtest.Do(ctx, line); v.IsError() {
			t.Fatalf("%s: %s", line, commandtest.Show(v))
		}
	}
	commandtest.RunExchanges(t, ctx, []commandtest.Exchange{
		{"LS.LOCKS 0", "*2\r\n$1\r\n0\r\n*3\r\n" + row("a:1", fence3, 1) + row("a:2", fence2, 0) + row("b:1", fence1, 0)},
		{"LS.LOCKS 0 COUNT 2", "*2\r\n$6\r\n0.YToy\r\n*2\r\n" + row("a:1", fence3, 1) + row("a:2", fence2, 0)},
		{"LS.LOCKS 0.YToy COUNT 2", "*2\r\n$1\r\n0\r\n*1\r\n" + row("b:1", fence1, 0)},
		{"LS.LOCKS 0 PREFIX a: COUNT 1", "*2\r\n$6\r\n0.YTox\r\n*1\r\n" + row("a:1", fence3, 1)},
		{"LS.LOCKS 0.YTox PREFIX a: COUNT 1", "*2\r\n$1\r\n0\r\n*1\r\n" + row("a:2", fence2, 0)},
		{"LS.LOCKS 0 PREFIX c", "*2\r\n$1\r\n0\r\n*0\r\n"},
		{"LS.LOCKS 1", "-ERR invalid cursor\r\n"},
		{"LS.LOCKS 0.YTo=", "-ERR invalid cursor\r\n"},
		{"LS.LOCKS -1.YTox", "-ERR invalid cursor\r\n"},
		{"LS.LOCKS 0 COUNT 0", "-ERR syntax error\r\n"},
		{"LS.LOCKS 0 COUNT", "-ERR syntax error\r\n"},
		{"LS.LOCKS 0 MATCH a", "-ERR syntax error\r\n"},
		{"LS.LOCKCOUNT", ":3\r\n"},
		{"LS.LOCKCOUNT a:", ":2\r\n"},
		{"LS.LOCKCOUNT a: b:", "-ERR syntax error\r\n"},
		{"LS.LOCKBREAK a:1 1 why me", "*-1\r\n"},
		{"LS.LOCKBREAK a:1 " + fence3 + " why me", "*3\r\n$2\r\nme\r\n:" + fence3 + "\r\n:1\r\n"},
		{"LS.LOCKBREAK nobodys 0 why me", "*-1\r\n"},
		{"LS.LOCKBREAK a:1 -1 why me", "-ERR fence must be 0 to 9223372036854775807\r\n"},
		{"ONCE id LS.LOCKBREAK a:2 0 why me", "*3\r\n$2\r\nme\r\n:" + fence2 + "\r\n:0\r\n"},
		// The same request from elsewhere ends no second grant.
		{"ONCE id LS.LOCKBREAK a:2 0 why somebody", "*3\r\n$2\r\nme\r\n:" + fence2 + "\r\n:0\r\n"},
		{"LS.LOCKCOUNT a:", ":1\r\n"},
	})
	if _, err := ctx.Table.CheckClient(commandtest.Line("LS.LOCKBREAK a:1 0 why me")); err == nil {
		t.Error("a client may log what releases a lock")
	}
}

// TestLocksThatAreOverAreNotListed: as for LOCKINFO, the log's time is moved first.
func TestLocksThatAreOverAreNotListed(t *testing.T) {
	for _, read := range []string{"LS.LOCKS 0", "LS.LOCKCOUNT"} {
		ctx := newLockCtx()
		commandtest.Do(ctx, "LS.LOCK l 1000 me 0 t n1 1")
		ctx.MonoAhead = ctx.Mono + 999
		if commandtest.Do(ctx, read); ctx.Due {
			t.Errorf("%s: due too early", read)
		}
		ctx.MonoAhead++
		if commandtest.Do(ctx, read); !ctx.Due {
			t.Errorf("%s lists a lock whose time is up", read)
		}
	}
}

// TestAPageOfLocksIsBounded by its bytes, too.
func TestAPageOfLocksIsBounded(t *testing.T) {
	ctx := newLockCtx()
	for i := range 4000 {
		name := fmt.Sprintf("%04d%s", i, strings.Repeat("n", lock.MaxNameBytes-4))
		ctx.Locks.Acquire(0, lock.Request{Name: name, Token: "t", Owner: strings.Repeat("o", lock.MaxOwnerBytes), TTLMillis: 1e6})
	}
	seen, pages := 0, 0
	for cursor := "0"; pages == 0 || cursor != "0"; pages++ {
		v := commandtest.Do(ctx, "LS.LOCKS "+cursor+" COUNT 99999")
		if n := command.ReplyCost(v); n > 2*maxPageSize {
			t.Fatalf("a page takes %d bytes", n)
		}
		seen += len(v.Elems[1].Elems)
		cursor = string(v.Elems[0].Str)
	}
	if seen != 4000 || pages < 3 {
		t.Errorf("%d locks on %d pages", seen, pages)
	}
}

func TestReasons(t *testing.T) {
	for reason, ok := range map[string]bool{
		"": false, " ": false, "its holder hangs, ticket 7": true, "größer": true, "two\nlines": false, "\xff": false,
		strings.Repeat("r", MaxReasonBytes): true, strings.Repeat("r", MaxReasonBytes+1): false,
	} {
		if ValidReason(reason) != ok {
			t.Errorf("%.20q: %v", reason, !ok)
		}
	}
}
