package router_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/commandset"
	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/resp"
)

// tokenOf checks that LOCK got the lock.
func tokenOf(t *testing.T, v resp.Value) string {
	t.Helper()
	if len(v.Elems) != 2 || len(v.Elems[0].Str) != 32 || v.Elems[1].Int <= 0 {
		t.Fatalf("LOCK answered %s, want a token and a fence", show(v))
	}
	return string(v.Elems[0].Str)
}

// eventually polls until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}

// waiting runs a LOCK that has to wait, and returns its reply to come.
func waiting(t *testing.T, r *router.Router, node *routertest.Node, ctx context.Context, s *router.Session, line string) <-chan resp.Value {
	t.Helper()
	before := node.Shard(0).Waiters()
	reply := make(chan resp.Value, 1)
	go func() { reply <- r.Do(ctx, s, cmd(line)) }()
	eventually(t, line+" waits", func() bool { return node.Shard(0).Waiters() > before })
	return reply
}

func soon(t *testing.T, reply <-chan resp.Value) resp.Value {
	t.Helper()
	select {
	case v := <-reply:
		return v
	case <-time.After(10 * time.Second):
		t.Fatal("no reply")
		return resp.Value{}
	}
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

func TestWaitersAreServedInOrder(t *testing.T) {
	r, node, s := newRouter(t, routertest.Options{}, router.Config{})
	token := tokenOf(t, r.Do(context.Background(), s, cmd("LOCK l 60000")))
	var replies []<-chan resp.Value
	for range 5 {
		replies = append(replies, waiting(t, r, node, context.Background(), r.NewSession("", router.KindRESP), "LOCK l 60000 WAIT 60000"))
	}
	for i, reply := range replies {
		for _, later := range replies[i:] {
			if len(later) > 0 {
				t.Fatalf("waiter %d or a later one was answered early", i)
			}
		}
		script(t, r, s, "UNLOCK l "+token+" => 1\n")
		token = tokenOf(t, soon(t, reply))
	}
}

// TestVanishedWaiterIsSkipped: whichever way the node learns that the client is
// gone, the place in the queue is given up, and the next one gets the lock.
func TestVanishedWaiterIsSkipped(t *testing.T) {
	for name, vanish := range map[string]func(gone *atomic.Bool, cancel func()){
		"connection closed": func(gone *atomic.Bool, _ func()) { gone.Store(true) },
		"context ended":     func(_ *atomic.Bool, cancel func()) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			r, node, s := newRouter(t, routertest.Options{}, router.Config{})
			token := tokenOf(t, r.Do(context.Background(), s, cmd("LOCK l 60000")))
			var gone atomic.Bool
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			first := waiting(t, r, node, ctx, r.NewSession("", router.KindRESP, router.WithGone(gone.Load)), "LOCK l 60000 WAIT 60000")
			next := waiting(t, r, node, context.Background(), r.NewSession("", router.KindRESP), "LOCK l 60000 WAIT 60000")
			vanish(&gone, cancel)
			soon(t, first)
			eventually(t, "the place is given up", func() bool { return node.Shard(0).Waiters() == 1 })
			script(t, r, s, "UNLOCK l "+token+" => 1\n")
			tokenOf(t, soon(t, next))
		})
	}
}

// TestGrantForAVanishedClientPassesOn: the client left a moment before its turn,
// and nobody had noticed.
func TestGrantForAVanishedClientPassesOn(t *testing.T) {
	r, node, s := newRouter(t, routertest.Options{}, router.Config{})
	token := tokenOf(t, r.Do(context.Background(), s, cmd("LOCK l 60000")))
	var gone atomic.Bool
	first := waiting(t, r, node, context.Background(), r.NewSession("", router.KindRESP, router.WithGone(gone.Load)), "LOCK l 60000 WAIT 60000")
	next := waiting(t, r, node, context.Background(), r.NewSession("", router.KindRESP), "LOCK l 60000 WAIT 60000")
	gone.Store(true)
	script(t, r, s, "UNLOCK l "+token+" => 1\n")
	if v := soon(t, first); !v.IsError() {
		t.Errorf("the client that is gone got %s", show(v))
	}
	tokenOf(t, soon(t, next)) // long before the ttl of the first
}

// TestRetriedLock: a client that asks again under its id gets what it got before,
// and nobody takes that from it because the connection of its first try is gone.
func TestRetriedLock(t *testing.T) {
	r, node, s := newRouter(t, routertest.Options{}, router.Config{})
	bg := context.Background()
	first := r.Do(bg, s, cmd("ONCE a LOCK l 60000"))
	token := tokenOf(t, first)
	if again := r.Do(bg, s, cmd("ONCE a LOCK l 60000")); show(again) != show(first) {
		t.Errorf("got %s, then %s", show(first), show(again))
	}
	var gone atomic.Bool
	try := waiting(t, r, node, bg, r.NewSession("", router.KindRESP, router.WithGone(gone.Load)), "ONCE b LOCK l 60000 WAIT 60000")
	retry := make(chan resp.Value, 1)
	reads := node.Shard(0).Reads.Load()
	go func() { retry <- r.Do(bg, r.NewSession("", router.KindRESP), cmd("ONCE b LOCK l 60000 WAIT 60000")) }()
	eventually(t, "the retry looks for its place", func() bool { return node.Shard(0).Reads.Load() > reads })
	gone.Store(true)
	soon(t, try)
	r.Wait()
	eventually(t, "the retry has a place of its own", func() bool { return node.Shard(0).Waiters() == 1 })
	script(t, r, s, "UNLOCK l "+token+" => 1\n")
	token = tokenOf(t, soon(t, retry))
	script(t, r, s, "LOCKRENEW l "+token+" 60000 => 1\n")
}

// TestRetryKeepsItsGrant: the grant reaches the first try's node as well, which
// finds its client gone and must not release what the retry was told it holds.
func TestRetryKeepsItsGrant(t *testing.T) {
	r, node, s := newRouter(t, routertest.Options{}, router.Config{})
	bg := context.Background()
	token := tokenOf(t, r.Do(bg, s, cmd("LOCK l 60000")))
	var gone atomic.Bool
	try := waiting(t, r, node, bg, r.NewSession("", router.KindRESP, router.WithGone(gone.Load)), "ONCE b LOCK l 60000 WAIT 60000")
	retry := make(chan resp.Value, 1)
	reads := node.Shard(0).Reads.Load()
	go func() { retry <- r.Do(bg, r.NewSession("", router.KindRESP), cmd("ONCE b LOCK l 60000 WAIT 60000")) }()
	eventually(t, "the retry looks for its place", func() bool { return node.Shard(0).Reads.Load() > reads })
	gone.Store(true)
	script(t, r, s, "UNLOCK l "+token+" => 1\n")
	soon(t, try)
	token = tokenOf(t, soon(t, retry))
	r.Wait()
	script(t, r, s, "LOCKRENEW l "+token+" 60000 => 1\n")
}

// TestLockInDoubt: the caller learns that it is not known what became of the
// request, and what may have been granted is released.
func TestLockInDoubt(t *testing.T) {
	r, node, s := newRouter(t, routertest.Options{}, router.Config{})
	sh := node.Shard(0)
	sh.Fail(fmt.Errorf("%w: lost", command.ErrInDoubt))
	if v := r.Do(context.Background(), s, cmd("LOCK l 60000")); resp.Error(v.Str).Code() != "INDOUBT" {
		t.Errorf("got %s", show(v))
	}
	r.Wait()
	sh.Fail(command.ErrUnavailable)
	if v := r.Do(context.Background(), s, cmd("LOCK l 60000")); resp.Error(v.Str).Code() != "CLUSTERDOWN" {
		t.Errorf("got %s", show(v))
	}
	sh.Fail(nil)
	token := tokenOf(t, r.Do(context.Background(), s, cmd("LOCK l 60000")))
	reply := waiting(t, r, node, context.Background(), r.NewSession("", router.KindRESP), "LOCK l 60000 WAIT 60000")
	sh.DropNode()
	if v := soon(t, reply); resp.Error(v.Str).Code() != "TRYAGAIN" {
		t.Errorf("a place was lost: %s", show(v))
	}
	script(t, r, s, "UNLOCK l "+token+" => 1\n")
}

// TestPlaceOfAVanishedClientIsGivenUpAfterAnOutage: nobody takes the request back
// while there is no leader, so it has to be tried for longer than one request lasts.
func TestPlaceOfAVanishedClientIsGivenUpAfterAnOutage(t *testing.T) {
	r, node, s := newRouter(t, routertest.Options{}, router.Config{})
	sh := node.Shard(0)
	token := tokenOf(t, r.Do(context.Background(), s, cmd("LOCK l 60000")))
	var gone atomic.Bool
	reply := waiting(t, r, node, context.Background(), r.NewSession("", router.KindRESP, router.WithGone(gone.Load)), "LOCK l 60000 WAIT 60000")
	sh.Fail(command.ErrUnavailable)
	gone.Store(true)
	soon(t, reply)
	if sh.Waiters() != 1 {
		t.Fatal("the request was taken back without a leader")
	}
	sh.Fail(nil)
	r.Wait()
	if n := sh.Waiters(); n != 0 {
		t.Errorf("%d still wait", n)
	}
	script(t, r, s, "UNLOCK l "+token+" => 1\n")
	tokenOf(t, r.Do(context.Background(), s, cmd("LOCK l 60000")))
}

// TestWaiterThatCannotLookGoesOn: the shard does not answer when events may have
// been missed. Nothing is known then, so nothing definite may be answered.
func TestWaiterThatCannotLookGoesOn(t *testing.T) {
	r, node, s := newRouter(t, routertest.Options{}, router.Config{})
	sh := node.Shard(0)
	token := tokenOf(t, r.Do(context.Background(), s, cmd("LOCK l 60000")))
	reply := waiting(t, r, node, context.Background(), r.NewSession("", router.KindRESP), "LOCK l 60000 WAIT 60000")
	sh.Fail(command.ErrUnavailable)
	sh.MissEvents()
	select {
	case v := <-reply:
		t.Fatalf("answered %s", show(v))
	case <-time.After(50 * time.Millisecond):
	}
	sh.Fail(nil)
	script(t, r, s, "UNLOCK l "+token+" => 1\n")
	tokenOf(t, soon(t, reply))
}

// TestRetryAfterTheClientsOwnTimeout: the first try left the queue with its
// connection. The next one under its id queues again.
func TestRetryAfterTheClientsOwnTimeout(t *testing.T) {
	r, node, s := newRouter(t, routertest.Options{}, router.Config{})
	token := tokenOf(t, r.Do(context.Background(), s, cmd("LOCK l 60000")))
	var gone atomic.Bool
	try := waiting(t, r, node, context.Background(), r.NewSession("", router.KindRESP, router.WithGone(gone.Load)), "ONCE b LOCK l 60000 WAIT 60000")
	gone.Store(true)
	soon(t, try)
	eventually(t, "the place is given up", func() bool { return node.Shard(0).Waiters() == 0 })
	retry := waiting(t, r, node, context.Background(), r.NewSession("", router.KindRESP), "ONCE b LOCK l 60000 WAIT 30000")
	script(t, r, s, "UNLOCK l "+token+" => 1\n")
	tokenOf(t, soon(t, retry))
}

// TestTokenIsNotMadeFromTheID: who knows the id of a request, which may be written
// in any log, does not hold its lock.
func TestTokenIsNotMadeFromTheID(t *testing.T) {
	tokens := map[string]bool{}
	for range 2 {
		r, _, s := newRouter(t, routertest.Options{}, router.Config{})
		tokens[tokenOf(t, r.Do(context.Background(), s, cmd("ONCE id LOCK l 60000")))] = true
	}
	if len(tokens) != 2 {
		t.Error("the same id makes the same token")
	}
}

func TestStoppingNodeLetsWaitersGo(t *testing.T) {
	r, node, s := newRouter(t, routertest.Options{}, router.Config{})
	tokenOf(t, r.Do(context.Background(), s, cmd("LOCK l 60000")))
	var replies []<-chan resp.Value
	for _, line := range []string{"LOCK l 60000 WAIT 60000", "ONCE id LOCK l 60000 WAIT 60000"} {
		replies = append(replies, waiting(t, r, node, context.Background(), r.NewSession("", router.KindRESP), line))
	}
	r.Stop()
	for _, reply := range replies {
		if v := soon(t, reply); resp.Error(v.Str).Code() != "TRYAGAIN" {
			t.Errorf("got %s", show(v))
		}
	}
	r.Wait()
	if n := node.Shard(0).Waiters(); n != 0 {
		t.Errorf("%d still wait", n)
	}
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
	node := routertest.New(commandset.New(), routertest.Options{})
	addr := serve(t, node, router.Config{})
	dial := func() (net.Conn, func(line string)) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
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
		case e := <-events:
			if e.Kind != want || e.Name != "l" || e.Owner != "me" || e.Token != "" {
				t.Errorf("event %+v", e)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("no event")
		}
	}
}
