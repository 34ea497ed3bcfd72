package router_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/api/rooms"
	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/resp"
)

// tokenOf checks that LOCK got the lock.
func tokenOf(t *testing.T, v resp.Value) string {
	t.Helper()
	return routertest.TokenOf(t, v)
}

// eventually polls until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	routertest.Eventually(t, what, ok)
}

func TestLock(t *testing.T) {
	r, _, s := newRouter(t, routertest.Options{}, router.Config{})
	bg := context.Background()
	first := r.Do(bg, s, cmd("LOCK l 60000 OWNER me"))
	token := tokenOf(t, first)
	script(t, r, s, strings.ReplaceAll(`
		LOCK l 60000 => nilarray
		LOCK l 60000 WAIT 5 => nilarray
		LOCKRENEW l nonsense 60000 => 0
		LOCKRENEW l TOKEN 90000 => 1
		UNLOCK l nonsense => 0
		UNLOCK l TOKEN => 1
		UNLOCK l TOKEN => 0
		LOCKRENEW l TOKEN 90000 => 0
		LOCKINFO l => [name l held 0 owner  fence 0 ttl_ms 0 expires_at_ms 0 waiters 0]
	`, "TOKEN", token))
	again := r.Do(bg, s, cmd("LOCK l 60000"))
	if tokenOf(t, again) == token || again.Elems[1].Int <= first.Elems[1].Int {
		t.Errorf("two grants: %s, %s", show(first), show(again))
	}
	if info := show(r.Do(bg, s, cmd("INFO locks"))); !strings.HasPrefix(info, "# Locks\r\nlocks_held:1\r\nlock_waiters:0\r\nlock_bytes:") {
		t.Errorf("INFO locks: %q", info)
	}
	script(t, r, s, fmt.Sprintf(`
		FENCED l %d SET k late => -STALEFENCE fence %d of lock 'l' is older than %d
		FENCED l %d SET k v => +OK
		GET k => v
		MULTI => +OK
		LOCK other 1000 => -ERR Command not allowed inside a transaction
	`, first.Elems[1].Int, first.Elems[1].Int, again.Elems[1].Int, again.Elems[1].Int))
}

func TestLockRefusesBadInput(t *testing.T) {
	r, _, s := newRouter(t, routertest.Options{}, router.Config{})
	script(t, r, s, `
		LOCK '' 1000 => -ERR lock name must have 1 to 512 bytes
		LOCK `+strings.Repeat("n", 64<<10)+` 1000 => -ERR lock name must have 1 to 512 bytes
		LOCK l => -ERR wrong number of arguments for 'lock' command
		LOCK l 0 => -ERR lock ttl must be 1 to 604800000 milliseconds
		LOCK l -7 => -ERR lock ttl must be 1 to 604800000 milliseconds
		LOCK l 604800001 => -ERR lock ttl must be 1 to 604800000 milliseconds
		LOCK l 1000 WAIT 86400001 => -ERR lock wait must be 0 to 86400000 milliseconds
		LOCK l 1000 OWNER `+strings.Repeat("o", 257)+` => -ERR lock owner must have at most 256 bytes
		LOCK l 1000 NOWAIT => -ERR syntax error
		LOCKRENEW l token 0 => -ERR lock ttl must be 1 to 604800000 milliseconds
		LOCKRENEW '' token 1 => -ERR lock name must have 1 to 512 bytes
		UNLOCK '' token => -ERR lock name must have 1 to 512 bytes
		LOCKINFO '' => -ERR lock name must have 1 to 512 bytes
		ONCE '' LOCK l 1000 => -ERR idempotency id must have 1 to 256 bytes
		ONCE `+strings.Repeat("i", 257)+` LOCK l 1000 => -ERR idempotency id must have 1 to 256 bytes
		ONCE id LOCK l => -ERR wrong number of arguments for 'lock' command
	`)
}

// TestLockGoesToTheShardOfItsName redirects as for keys.
func TestLockGoesToTheShardOfItsName(t *testing.T) {
	r, _, s := newRouter(t, halves(), router.Config{})
	moved := 0
	for i := range 20 {
		name := fmt.Sprintf("l%d", i)
		v := r.Do(context.Background(), s, cmd("LOCK "+name+" 1000"))
		set := r.Do(context.Background(), s, cmd("SET "+name+" v"))
		if v.IsError() != set.IsError() || v.IsError() && show(v) != show(set) {
			t.Errorf("%s: LOCK says %s, SET %s", name, show(v), show(set))
		}
		if v.IsError() {
			moved++
		}
	}
	if moved == 0 || moved == 20 {
		t.Errorf("%d of 20 were redirected", moved)
	}
}

// TestFencesAreRaisedOnEveryShard through a node that does not lead them all.
func TestFencesAreRaisedOnEveryShard(t *testing.T) {
	r, _, _ := newRouter(t, halves(), router.Config{})
	floor := uint64(time.Now().Add(24*time.Hour).UnixMilli()-1577836800000) << 12
	if v := r.RaiseFences(context.Background(), floor); v.IsError() {
		t.Fatal(show(v))
	}
	for _, name := range []string{"a", "b", "c", "d"} {
		v := r.Do(context.Background(), r.NewSession("", router.KindHTTP), cmd("LOCK "+name+" 1000"))
		if tokenOf(t, v); uint64(v.Elems[1].Int) <= floor {
			t.Errorf("lock %s: fence %d", name, v.Elems[1].Int)
		}
	}
}

// TestInternalOperationsAreNoCommands, neither alone nor within others.
func TestInternalOperationsAreNoCommands(t *testing.T) {
	r, _, s := newRouter(t, routertest.Options{}, router.Config{})
	for _, args := range []string{"LS.FENCEFLOOR 4611686018427387904", "ls.lockdrop n1 9", "LS.LOCK l 1000 o 0 t n1 1", "LS.LOCKCANCEL l t FORGET id"} {
		name, _, _ := strings.Cut(args, " ")
		want := "-ERR unknown command '" + name + "'"
		for _, outer := range []string{"", "ONCE id ", "FENCED l 1 ", "ONCE id FENCED l 1 ", "FENCED l 1 ONCE id ", "MULTI|"} {
			var v resp.Value
			for c := range strings.SplitSeq(outer+args, "|") {
				v = r.Do(context.Background(), s, cmd(c))
			}
			if got := show(v); !strings.HasPrefix(got, want) {
				t.Errorf("%s%s: %s", outer, args, got)
			}
			r.Do(context.Background(), s, cmd("DISCARD"))
		}
		if got := show(r.Do(context.Background(), s, cmd("COMMAND INFO "+name))); got != "[nil]" && got != "[[]]" && !strings.Contains(got, "nil") {
			t.Errorf("COMMAND INFO %s: %s", name, got)
		}
	}
	if list := show(r.Do(context.Background(), s, cmd("COMMAND LIST"))); strings.Contains(list, "fencefloor") || strings.Contains(list, "ls.lock ") || !strings.Contains(list, "ls.put") {
		t.Errorf("COMMAND LIST: %s", list)
	}
	if v := r.RaiseFences(context.Background(), 1<<62); !strings.HasPrefix(show(v), "-ERR fence is more than 30 days ahead") {
		t.Errorf("a fence that no clock allows: %s", show(v))
	}
}

// TestSlowlogHasNoTokens, whatever command they are wrapped in.
func TestSlowlogHasNoTokens(t *testing.T) {
	r, _, s := newRouter(t, routertest.Options{}, router.Config{})
	script(t, r, s, `
		CONFIG SET slowlog-log-slower-than 0 => +OK
		UNLOCK l secret-token => 0
		ONCE a UNLOCK l secret-token => 0
		ONCE b FENCED m 500380467200000 LOCKRENEW l secret-token 1000 => 0
		SET k v => +OK
	`)
	log := show(r.Do(context.Background(), s, cmd("SLOWLOG GET 100")))
	if strings.Contains(log, "secret-token") || !strings.Contains(log, "SET k v") {
		t.Errorf("the log is %s", log)
	}
}

// TestClosedConnectionGivesItsPlaceUp goes through real sockets.
func TestClosedConnectionGivesItsPlaceUp(t *testing.T) {
	node := routertest.New(rooms.Table(), routertest.Options{})
	addr := serve(t, node, router.Config{})
	dial := func() (net.Conn, func(line string)) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		return c, func(line string) { fmt.Fprintf(c, "%s\r\n", line) }
	}
	read := func(c net.Conn) string {
		b := make([]byte, 200)
		n, err := c.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	holder, sendHolder := dial()
	sendHolder("LOCK l 60000")
	lines := strings.Split(read(holder), "\r\n")
	left, sendLeft := dial()
	sendLeft("LOCK l 60000 WAIT 60000")
	eventually(t, "one waits", func() bool { return node.Shard(0).Waiters() == 1 })
	next, sendNext := dial()
	sendNext("LOCK l 60000 WAIT 60000")
	eventually(t, "two wait", func() bool { return node.Shard(0).Waiters() == 2 })
	left.Close()
	eventually(t, "the closed connection waits no longer", func() bool { return node.Shard(0).Waiters() == 1 })
	sendHolder("UNLOCK l " + lines[2])
	if got := read(next); !strings.HasPrefix(got, "*2\r\n$32\r\n") {
		t.Errorf("the next one got %q", got)
	}
}

// TestWatchingALock shows what happens to one lock, and never a token.
func TestWatchingALock(t *testing.T) {
	r, _, s := newRouter(t, routertest.Options{}, router.Config{})
	events, stop := r.LockEvents("l")
	defer stop()
	token := tokenOf(t, r.Do(context.Background(), s, cmd("LOCK l 60000 OWNER me")))
	tokenOf(t, r.Do(context.Background(), s, cmd("LOCK other 60000")))
	script(t, r, s, "UNLOCK l "+token+" => 1\n")
	for _, want := range []lock.EventKind{lock.EventGranted, lock.EventLost} {
		select {
		case told := <-events:
			if e := told.What.(lock.Event); e.Kind != want || e.Name != "l" || e.Owner != "me" || e.Token != "" {
				t.Errorf("event %+v", told)
			}
		case <-time.After(time.Minute):
			t.Fatal("no event")
		}
	}
}
