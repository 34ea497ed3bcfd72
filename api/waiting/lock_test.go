package waiting_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// waiting runs a LOCK that has to wait, and returns its reply to come.
func waiting(t *testing.T, r *router.Router, node *routertest.Node, ctx context.Context, s *router.Session, line string) <-chan resp.Value {
	t.Helper()
	before := node.Shard(0).Waiters()
	reply := make(chan resp.Value, 1)
	go func() { reply <- r.Do(ctx, s, routertest.Cmd(line)) }()
	routertest.Eventually(t, line+" waits", func() bool { return node.Shard(0).Waiters() > before })
	return reply
}

func soon(t *testing.T, reply <-chan resp.Value) resp.Value {
	t.Helper()
	select {
	case v := <-reply:
		return v
	case <-time.After(time.Minute):
		t.Fatal("no reply")
		return resp.Value{}
	}
}

func TestWaitersAreServedInOrder(t *testing.T) {
	r, node, s := routertest.NewRouter(t, routertest.Options{}, router.Config{})
	token := routertest.TokenOf(t, r.Do(context.Background(), s, routertest.Cmd("LOCK l 60000")))
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
		routertest.Script(t, r, s, "UNLOCK l "+token+" => 1\n")
		token = routertest.TokenOf(t, soon(t, reply))
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
			r, node, s := routertest.NewRouter(t, routertest.Options{}, router.Config{})
			token := routertest.TokenOf(t, r.Do(context.Background(), s, routertest.Cmd("LOCK l 60000")))
			var gone atomic.Bool
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			first := waiting(t, r, node, ctx, r.NewSession("", router.KindRESP, router.WithGone(gone.Load)), "LOCK l 60000 WAIT 60000")
			next := waiting(t, r, node, context.Background(), r.NewSession("", router.KindRESP), "LOCK l 60000 WAIT 60000")
			vanish(&gone, cancel)
			soon(t, first)
			routertest.Eventually(t, "the place is given up", func() bool { return node.Shard(0).Waiters() == 1 })
			routertest.Script(t, r, s, "UNLOCK l "+token+" => 1\n")
			routertest.TokenOf(t, soon(t, next))
		})
	}
}

// TestGrantForAVanishedClientPassesOn: the client left a moment before its turn,
// and nobody had noticed.
func TestGrantForAVanishedClientPassesOn(t *testing.T) {
	r, node, s := routertest.NewRouter(t, routertest.Options{}, router.Config{})
	token := routertest.TokenOf(t, r.Do(context.Background(), s, routertest.Cmd("LOCK l 60000")))
	var gone atomic.Bool
	first := waiting(t, r, node, context.Background(), r.NewSession("", router.KindRESP, router.WithGone(gone.Load)), "LOCK l 60000 WAIT 60000")
	next := waiting(t, r, node, context.Background(), r.NewSession("", router.KindRESP), "LOCK l 60000 WAIT 60000")
	gone.Store(true)
	routertest.Script(t, r, s, "UNLOCK l "+token+" => 1\n")
	if v := soon(t, first); !v.IsError() {
		t.Errorf("the client that is gone got %s", routertest.Show(v))
	}
	routertest.TokenOf(t, soon(t, next)) // long before the ttl of the first
}

// TestRetriedLock: a client that asks again under its id gets what it got before,
// and nobody takes that from it because the connection of its first try is gone.
func TestRetriedLock(t *testing.T) {
	r, node, s := routertest.NewRouter(t, routertest.Options{}, router.Config{})
	bg := context.Background()
	first := r.Do(bg, s, routertest.Cmd("ONCE a LOCK l 60000"))
	token := routertest.TokenOf(t, first)
	if again := r.Do(bg, s, routertest.Cmd("ONCE a LOCK l 60000")); routertest.Show(again) != routertest.Show(first) {
		t.Errorf("got %s, then %s", routertest.Show(first), routertest.Show(again))
	}
	var gone atomic.Bool
	try := waiting(t, r, node, bg, r.NewSession("", router.KindRESP, router.WithGone(gone.Load)), "ONCE b LOCK l 60000 WAIT 60000")
	retry := make(chan resp.Value, 1)
	reads := node.Shard(0).Reads.Load()
	go func() {
		retry <- r.Do(bg, r.NewSession("", router.KindRESP), routertest.Cmd("ONCE b LOCK l 60000 WAIT 60000"))
	}()
	routertest.Eventually(t, "the retry looks for its place", func() bool { return node.Shard(0).Reads.Load() > reads })
	gone.Store(true)
	soon(t, try)
	r.Wait()
	routertest.Eventually(t, "the retry has a place of its own", func() bool { return node.Shard(0).Waiters() == 1 })
	routertest.Script(t, r, s, "UNLOCK l "+token+" => 1\n")
	token = routertest.TokenOf(t, soon(t, retry))
	routertest.Script(t, r, s, "LOCKRENEW l "+token+" 60000 => 1\n")
}

// TestRetryKeepsItsGrant: the grant reaches the first try's node as well, which
// finds its client gone and must not release what the retry was told it holds.
func TestRetryKeepsItsGrant(t *testing.T) {
	r, node, s := routertest.NewRouter(t, routertest.Options{}, router.Config{})
	bg := context.Background()
	token := routertest.TokenOf(t, r.Do(bg, s, routertest.Cmd("LOCK l 60000")))
	var gone atomic.Bool
	try := waiting(t, r, node, bg, r.NewSession("", router.KindRESP, router.WithGone(gone.Load)), "ONCE b LOCK l 60000 WAIT 60000")
	retry := make(chan resp.Value, 1)
	reads := node.Shard(0).Reads.Load()
	go func() {
		retry <- r.Do(bg, r.NewSession("", router.KindRESP), routertest.Cmd("ONCE b LOCK l 60000 WAIT 60000"))
	}()
	routertest.Eventually(t, "the retry looks for its place", func() bool { return node.Shard(0).Reads.Load() > reads })
	gone.Store(true)
	routertest.Script(t, r, s, "UNLOCK l "+token+" => 1\n")
	soon(t, try)
	token = routertest.TokenOf(t, soon(t, retry))
	r.Wait()
	routertest.Script(t, r, s, "LOCKRENEW l "+token+" 60000 => 1\n")
}

// TestLockInDoubt: the caller learns that it is not known what became of the
// request, and what may have been granted is released.
func TestLockInDoubt(t *testing.T) {
	r, node, s := routertest.NewRouter(t, routertest.Options{}, router.Config{})
	sh := node.Shard(0)
	sh.Fail(fmt.Errorf("%w: lost", command.ErrInDoubt))
	if v := r.Do(context.Background(), s, routertest.Cmd("LOCK l 60000")); resp.Error(v.Str).Code() != "INDOUBT" {
		t.Errorf("got %s", routertest.Show(v))
	}
	r.Wait()
	sh.Fail(command.ErrUnavailable)
	if v := r.Do(context.Background(), s, routertest.Cmd("LOCK l 60000")); resp.Error(v.Str).Code() != "CLUSTERDOWN" {
		t.Errorf("got %s", routertest.Show(v))
	}
	sh.Fail(nil)
	token := routertest.TokenOf(t, r.Do(context.Background(), s, routertest.Cmd("LOCK l 60000")))
	reply := waiting(t, r, node, context.Background(), r.NewSession("", router.KindRESP), "LOCK l 60000 WAIT 60000")
	sh.DropNode()
	if v := soon(t, reply); resp.Error(v.Str).Code() != "TRYAGAIN" {
		t.Errorf("a place was lost: %s", routertest.Show(v))
	}
	routertest.Script(t, r, s, "UNLOCK l "+token+" => 1\n")
}

// TestPlaceOfAVanishedClientIsGivenUpAfterAnOutage: nobody takes the request back
// while there is no leader, so it has to be tried for longer than one request lasts.
func TestPlaceOfAVanishedClientIsGivenUpAfterAnOutage(t *testing.T) {
	r, node, s := routertest.NewRouter(t, routertest.Options{}, router.Config{})
	sh := node.Shard(0)
	token := routertest.TokenOf(t, r.Do(context.Background(), s, routertest.Cmd("LOCK l 60000")))
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
	routertest.Script(t, r, s, "UNLOCK l "+token+" => 1\n")
	routertest.TokenOf(t, r.Do(context.Background(), s, routertest.Cmd("LOCK l 60000")))
}

// TestWaiterThatCannotLookGoesOn: the shard does not answer when events may have
// been missed. Nothing is known then, so nothing definite may be answered.
func TestWaiterThatCannotLookGoesOn(t *testing.T) {
	r, node, s := routertest.NewRouter(t, routertest.Options{}, router.Config{})
	sh := node.Shard(0)
	token := routertest.TokenOf(t, r.Do(context.Background(), s, routertest.Cmd("LOCK l 60000")))
	reply := waiting(t, r, node, context.Background(), r.NewSession("", router.KindRESP), "LOCK l 60000 WAIT 60000")
	sh.Fail(command.ErrUnavailable)
	sh.MissEvents()
	select {
	case v := <-reply:
		t.Fatalf("answered %s", routertest.Show(v))
	case <-time.After(50 * time.Millisecond):
	}
	sh.Fail(nil)
	routertest.Script(t, r, s, "UNLOCK l "+token+" => 1\n")
	routertest.TokenOf(t, soon(t, reply))
}

// TestWaiterWhoseSlotIsElsewhereGoesOn: that a shard knows nothing of a token says nothing
// when it does not own the lock's slot.
func TestWaiterWhoseSlotIsElsewhereGoesOn(t *testing.T) {
	r, node, s := routertest.NewRouter(t, routertest.Options{}, router.Config{})
	sh := node.Shard(0)
	token := routertest.TokenOf(t, r.Do(context.Background(), s, routertest.Cmd("LOCK l 60000")))
	reply := waiting(t, r, node, context.Background(), r.NewSession("", router.KindRESP), "LOCK l 60000 WAIT 60000")
	back, before := sh.MoveAway(), sh.Reads.Load()
	sh.MissEvents()
	routertest.Eventually(t, "the waiter has looked", func() bool { return sh.Reads.Load() > before+1 || len(reply) > 0 })
	select {
	case v := <-reply:
		t.Fatalf("answered %s", routertest.Show(v))
	default:
	}
	back()
	routertest.Script(t, r, s, "UNLOCK l "+token+" => 1\n")
	routertest.TokenOf(t, soon(t, reply))
}

// TestRetryAfterTheClientsOwnTimeout: the first try left the queue with its
// connection. The next one under its id queues again.
func TestRetryAfterTheClientsOwnTimeout(t *testing.T) {
	r, node, s := routertest.NewRouter(t, routertest.Options{}, router.Config{})
	token := routertest.TokenOf(t, r.Do(context.Background(), s, routertest.Cmd("LOCK l 60000")))
	var gone atomic.Bool
	try := waiting(t, r, node, context.Background(), r.NewSession("", router.KindRESP, router.WithGone(gone.Load)), "ONCE b LOCK l 60000 WAIT 60000")
	gone.Store(true)
	soon(t, try)
	routertest.Eventually(t, "the place is given up", func() bool { return node.Shard(0).Waiters() == 0 })
	retry := waiting(t, r, node, context.Background(), r.NewSession("", router.KindRESP), "ONCE b LOCK l 60000 WAIT 30000")
	routertest.Script(t, r, s, "UNLOCK l "+token+" => 1\n")
	routertest.TokenOf(t, soon(t, retry))
}

// TestTokenIsNotMadeFromTheID: who knows the id of a request, which may be written
// in any log, does not hold its lock.
func TestTokenIsNotMadeFromTheID(t *testing.T) {
	tokens := map[string]bool{}
	for range 2 {
		r, _, s := routertest.NewRouter(t, routertest.Options{}, router.Config{})
		tokens[routertest.TokenOf(t, r.Do(context.Background(), s, routertest.Cmd("ONCE id LOCK l 60000")))] = true
	}
	if len(tokens) != 2 {
		t.Error("the same id makes the same token")
	}
}

func TestStoppingNodeLetsWaitersGo(t *testing.T) {
	r, node, s := routertest.NewRouter(t, routertest.Options{}, router.Config{})
	routertest.TokenOf(t, r.Do(context.Background(), s, routertest.Cmd("LOCK l 60000")))
	var replies []<-chan resp.Value
	for _, line := range []string{"LOCK l 60000 WAIT 60000", "ONCE id LOCK l 60000 WAIT 60000"} {
		replies = append(replies, waiting(t, r, node, context.Background(), r.NewSession("", router.KindRESP), line))
	}
	r.Stop()
	for _, reply := range replies {
		if v := soon(t, reply); resp.Error(v.Str).Code() != "TRYAGAIN" {
			t.Errorf("got %s", routertest.Show(v))
		}
	}
	r.Wait()
	if n := node.Shard(0).Waiters(); n != 0 {
		t.Errorf("%d still wait", n)
	}
}
