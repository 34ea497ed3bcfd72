package shard

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/fsm/wait"
	"github.com/lockstepkv/lockstep/transport"
)

// grantPatience is how long a grant that is due may take to be told.
const grantPatience = time.Minute

// lockWaiter is a client of a node that has asked for a lock.
type lockWaiter struct {
	node, token string
	outcome     <-chan wait.Event
}

// ask sends a request for a lock through a node, the way its router does. The
// reply's first element is checked: "1" granted, "2" queued.
func (c *cluster) ask(node, name, token string, ttl, patience time.Duration, status string) *lockWaiter {
	c.t.Helper()
	g := c.group(node)
	w := &lockWaiter{node: node, token: token}
	var stop func()
	w.outcome, stop = g.Watch(lock.Outcome(token))
	c.t.Cleanup(stop)
	origin, boot := g.Origin()
	v, err := c.run(node, fmt.Sprintf("LS.LOCK %s %d me %d %s %s %d", name, ttl.Milliseconds(), patience.Milliseconds(), token, origin, boot))
	if err != nil || len(v.Elems) != 5 || fmt.Sprint(v.Elems[0].Int) != status {
		c.t.Fatalf("lock %s for %s on %s: %v %v, want status %s", name, token, node, v, err, status)
	}
	return w
}

// next waits for what becomes of the request.
func (w *lockWaiter) next(t *testing.T) lock.Event {
	t.Helper()
	select {
	case e := <-w.outcome:
		return e.What.(lock.Event)
	case <-time.After(grantPatience):
		t.Fatalf("%s on %s hears nothing", w.token, w.node)
		return lock.Event{}
	}
}

func (w *lockWaiter) wantGrant(t *testing.T, above uint64) (fence uint64) {
	t.Helper()
	e := w.next(t)
	if e.Kind != lock.EventGranted || e.Fence <= above {
		t.Fatalf("%s on %s: event %+v, want a grant with a fence above %d", w.token, w.node, e, above)
	}
	return e.Fence
}

func (w *lockWaiter) wantNothing(t *testing.T) {
	t.Helper()
	select {
	case e := <-w.outcome:
		t.Fatalf("%s on %s: event %+v before its turn", w.token, w.node, e)
	default:
	}
}

// TestQueueOutlivesLeaders: waiters of surviving nodes keep their order when the
// leader dies between hand-overs; those of the dead node lose their places.
func TestQueueOutlivesLeaders(t *testing.T) {
	c := newCluster(t, 3, nil)
	dying := c.leader()
	alive := c.others(dying)
	c.ask(alive[0], "l", "holder", time.Minute, 0, "1")
	var queue []*lockWaiter
	for i := range 4 {
		queue = append(queue, c.ask(alive[i%2], "l", fmt.Sprintf("alive%d", i), time.Minute, time.Minute, "2"))
		c.ask(dying, "l", fmt.Sprintf("dying%d", i), time.Minute, time.Minute, "2")
	}
	c.stop(dying)
	c.leader()
	// Only the others are left when the absence has lasted long enough.
	c.eventually(func() error {
		if _, waiters := c.group(alive[0]).LockCounts(); waiters != len(queue) {
			return fmt.Errorf("%d waiters, want %d", waiters, len(queue))
		}
		return nil
	})
	holder, fence := "holder", uint64(0)
	for i, w := range queue {
		for _, later := range queue[i:] {
			later.wantNothing(t)
		}
		c.want(alive[(i+1)%2], "UNLOCK l "+holder, ":1\r\n")
		holder, fence = w.token, w.wantGrant(t, fence)
	}
	c.want(alive[0], "UNLOCK l "+holder, ":1\r\n")
	if held, waiters := c.group(c.leader()).LockCounts(); held != 0 || waiters != 0 {
		t.Errorf("%d locks are held and %d wait after the last release", held, waiters)
	}
}

// TestHolderOutlivesTheElection: while there is no leader nobody can renew, so a
// lock whose time passed meanwhile is still held when there is one again, for its
// whole ttl and no longer.
func TestHolderOutlivesTheElection(t *testing.T) {
	const ttl = 2 * time.Second // enough to cut the nodes off in
	c := newCluster(t, 3, nil)
	leader := c.leader()
	survivor, other := c.others(leader)[0], c.others(leader)[1]
	c.ask(survivor, "l", "holder", ttl, 0, "1")
	granted := time.Now()
	for _, id := range c.ids { // at once: no other leader counts time
		for _, p := range c.others(id) {
			c.faults[id].Set(p, transport.Both, transport.Drop)
		}
	}
	c.stop(leader)
	c.stop(other)
	c.faults[survivor].Heal()
	c.eventually(func() error {
		if over := time.Since(granted) - ttl; over < ttl/2 {
			return fmt.Errorf("%v too early", ttl/2-over)
		}
		return nil
	})
	c.start(other)
	renewed := time.Now()
	c.want(survivor, fmt.Sprintf("LOCKRENEW l holder %d", ttl.Milliseconds()), ":1\r\n")
	next := c.ask(survivor, "l", "next", time.Minute, time.Minute, "2")
	next.wantGrant(t, 0)
	if held := time.Since(renewed); held < ttl*8/10 || held > 20*ttl { // the clock of the log may be a tenth faster
		t.Errorf("the holder that no longer renewed kept the lock for %v, its ttl is %v", held, ttl)
	}
	c.want(survivor, "UNLOCK l holder", ":0\r\n")
}

// TestUnreachableNodesWaitersAreSkipped: a node that is cut off for long loses its
// clients' places, so that nobody waits for a holder that cannot know; it learns
// that when it is back.
func TestUnreachableNodesWaitersAreSkipped(t *testing.T) {
	c := newCluster(t, 3, patient)
	leader := c.leader()
	cut, other := c.others(leader)[0], c.others(leader)[1]
	c.ask(leader, "l", "holder", time.Minute, 0, "1")
	lost := c.ask(cut, "l", "lost", time.Minute, time.Minute, "2")
	next := c.ask(other, "l", "next", time.Minute, time.Minute, "2")
	for _, p := range c.others(cut) {
		c.faults[cut].Set(p, transport.Inbound, transport.Drop)
		c.faults[cut].Set(p, transport.Outbound, transport.Drop)
	}
	c.eventually(func() error {
		if _, waiters := c.group(leader).LockCounts(); waiters != 1 {
			return fmt.Errorf("%d waiters", waiters)
		}
		return nil
	})
	c.want(leader, "UNLOCK l holder", ":1\r\n")
	next.wantGrant(t, 0)
	lost.wantNothing(t)
	c.faults[cut].Heal()
	if e := lost.next(t); e.Kind != lock.EventWaiterGone || e.Reason != lock.NodeGone {
		t.Errorf("the node that was cut off learned %+v", e)
	}
}

// TestGrantIsPushed: the node of a waiter is told of the grant although its own
// replica has yet to apply the entry.
func TestGrantIsPushed(t *testing.T) {
	c := newCluster(t, 3, patient)
	leader := c.leader()
	slow := c.others(leader)[0]
	c.ask(leader, "l", "holder", time.Minute, 0, "1")
	w := c.ask(slow, "l", "waiter", time.Minute, time.Minute, "2")
	c.eventually(func() error { // its replica has got so far
		if _, waiters := c.group(slow).LockCounts(); waiters != 1 {
			return fmt.Errorf("%d waiters", waiters)
		}
		return nil
	})
	watched, stop := c.group(slow).Watch(lock.Topic("l"))
	defer stop()
	var fence uint64
	c.group(slow).fsm.InspectLocks(func(*lock.Table) { // nothing is applied meanwhile
		c.want(leader, "UNLOCK l holder", ":1\r\n")
		fence = w.wantGrant(t, 0)
		select {
		case e := <-watched:
			t.Errorf("the replica told %+v, so the push was not needed", e)
		default:
		}
	})
	// The log tells those who watch, in order and without the holder's secret.
	for _, want := range []lock.Event{
		{Kind: lock.EventLost, Reason: lock.Released, Name: "l", Owner: "me"},
		{Kind: lock.EventGranted, Name: "l", Owner: "me", Fence: fence},
	} {
		select {
		case told := <-watched:
			e := told.What.(lock.Event)
			if e.Kind != want.Kind || e.Reason != want.Reason || e.Owner != want.Owner || e.Token != "" || want.Fence != 0 && e.Fence != want.Fence {
				t.Errorf("watching shows %+v, want %+v", e, want)
			}
		case <-time.After(grantPatience):
			t.Fatal("watching shows nothing")
		}
	}
}

// TestLockPassesOnWhenItsTimeIsOver: nobody has to write for a lock, or a wait for
// one, to be over.
func TestLockPassesOnWhenItsTimeIsOver(t *testing.T) {
	c := newCluster(t, 3, patient)
	leader := c.leader()
	c.ask(leader, "l", "holder", time.Minute, 0, "1")
	next := c.ask(c.others(leader)[0], "l", "next", time.Minute, time.Minute, "2")
	gone := c.ask(c.others(leader)[1], "l", "gone", time.Minute, 100*time.Millisecond, "2")
	if e := gone.next(t); e.Kind != lock.EventWaiterGone || e.Reason != lock.TimedOut {
		t.Errorf("whose wait is over hears %+v", e)
	}
	asked := time.Now()
	c.want(leader, "LOCKRENEW l holder 300", ":1\r\n")
	next.wantGrant(t, 0)
	c.eventually(func() error {
		if got := c.lockEvents(leader); got["granted"] != 2 || got["expired"] != 1 || got["timed_out"] != 1 {
			return fmt.Errorf("the metrics count %v", got)
		}
		return nil
	})
	if passed := time.Since(asked); passed < 250*time.Millisecond {
		t.Errorf("the lock was passed on after %v", passed)
	}
}

// lockEvents reads what a node's metrics say of locks.
func (c *cluster) lockEvents(node string) map[string]float64 {
	c.t.Helper()
	families, err := c.group(node).opt.Metrics.(prometheus.Gatherer).Gather()
	if err != nil {
		c.t.Fatal(err)
	}
	counts := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "lockstep_shard_lock_events_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			counts[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
		}
	}
	return counts
}
