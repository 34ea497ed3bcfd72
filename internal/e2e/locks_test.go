package e2e

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// locker holds a lock, or waits for it, on a connection of its own.
type locker struct {
	*Wire
	node  *Node
	token string
	fence int64
}

// lock sends LOCK.
func (n *Node) lock(name string, ttl, wait time.Duration) *locker {
	n.t.Helper()
	l := &locker{Wire: n.Dial(), node: n}
	l.SendRaw(Request("LOCK", name, fmt.Sprint(ttl.Milliseconds()), "WAIT", fmt.Sprint(wait.Milliseconds()), "OWNER", n.ID))
	return l
}

// granted reads the reply to lock.
func (l *locker) granted(patience time.Duration) error {
	head, err := l.TryReply(patience)
	if err != nil || head != "*2" {
		return fmt.Errorf("a client of %s: %q, %w", l.node.ID, head, err)
	}
	if l.token, err = l.TryReply(patience); err != nil {
		return err
	}
	fence, err := l.TryReply(patience)
	if err != nil {
		return err
	}
	l.fence, err = strconv.ParseInt(strings.TrimPrefix(fence, ":"), 10, 64)
	return err
}

// take is lock with the wait for the grant.
func (n *Node) take(name string, ttl time.Duration) *locker {
	n.t.Helper()
	l := n.lock(name, ttl, 0)
	if err := l.granted(patience); err != nil {
		n.t.Fatal(err)
	}
	return l
}

func (l *locker) unlock(name string) {
	l.t.Helper()
	if got := l.Do("UNLOCK", name, l.token); got != ":1" {
		l.t.Fatalf("UNLOCK by the holder on %s: %q", l.node.ID, got)
	}
}

// awaitWaiters waits until as many wait for a lock.
func (n *Node) awaitWaiters(name string, want int) {
	n.t.Helper()
	w := n.Dial()
	defer w.Close()
	Eventually(n.t, patience, func() error {
		reply := w.Do("LOCKINFO", name)
		if reply != "*14" {
			return fmt.Errorf("LOCKINFO on %s: %q", n.ID, reply)
		}
		for range 14 {
			reply = w.Reply() // waiters come last
		}
		if reply != fmt.Sprint(":", want) {
			return fmt.Errorf("%s wait, want %d", reply, want)
		}
		return nil
	})
}

// Twenty clients of three nodes wait for one lock. The leader is killed between
// hand-overs, twice: the clients of living nodes get the lock in their order, no
// fence comes twice, and whoever holds the lock renews it over the election.
func TestLockQueueOverKilledLeaders(t *testing.T) {
	c := StartCluster(t, Options{})
	const name, ttl, long = "queue", 5 * time.Second, 10 * time.Minute
	first := c.Leader(0)
	holder := c.Others(first)[0].take(name, long)
	var queue []*locker
	for i := range 20 {
		queue = append(queue, c.Nodes[i%3].lock(name, long, 10*time.Minute))
		c.Nodes[i%3].awaitWaiters(name, i+1)
	}
	// pass lets the holder go, and the next in the queue hold the lock.
	pass := func() {
		t.Helper()
		next, before := queue[0], holder.fence
		queue = queue[1:]
		holder.unlock(name)
		if err := next.granted(patience); err != nil {
			t.Fatalf("with %d behind it: %v", len(queue), err)
		}
		if next.fence <= before {
			t.Errorf("fence %d after %d", next.fence, before)
		}
		holder = next
	}
	for range 2 {
		pass()
		leader := c.Leader(0)
		for holder.node == leader {
			pass()
		}
		if got := holder.Do("LOCKRENEW", name, holder.token, fmt.Sprint(ttl.Milliseconds())); got != ":1" {
			t.Fatalf("the holder on %s renews: %q", holder.node.ID, got)
		}
		leader.Kill()
		killed := time.Now()
		queue = slices.DeleteFunc(queue, func(l *locker) bool { return l.node == leader })
		renew := func(ttl time.Duration) {
			t.Helper()
			if got := holder.Do("LOCKRENEW", name, holder.token, fmt.Sprint(ttl.Milliseconds())); got != ":1" {
				t.Fatalf("the holder on %s renews: %q, %v after the kill", holder.node.ID, got, since(killed))
			}
		}
		for time.Since(killed) < 2*ttl { // the holder does not notice
			renew(ttl)
		}
		renew(long)
		holder.node.awaitWaiters(name, len(queue))
		pass()
		leader.Start()
		c.WaitWhole()
	}
	for len(queue) > 0 {
		pass()
	}
	holder.unlock(name)
	first.awaitWaiters(name, 0)
}

// Ten thousand clients of three nodes wait for one lock: others are served as
// before, memory stays small, the queue moves on, and clients that vanish all at
// once hold nothing up.
func TestTenThousandWaiters(t *testing.T) {
	const name, total, handOvers = "crowd", 10000, 200
	c := StartCluster(t, Options{Flags: steady})
	holder := c.Nodes[0].take(name, 10*time.Minute)
	var before [3]int64
	for i, n := range c.Nodes {
		before[i] = residentBytes(t, n)
	}
	began := time.Now()
	queue := []*locker{}
	for i := range handOvers { // their order is known
		queue = append(queue, c.Nodes[i%3].lock(name, 10*time.Minute, 10*time.Minute))
		c.Nodes[i%3].awaitWaiters(name, i+1)
	}
	rest := make([]*locker, total-handOvers)
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := w; i < len(rest); i += 16 {
				rest[i] = c.Nodes[i%3].lock(name, 10*time.Minute, 10*time.Minute)
			}
		})
	}
	wg.Wait()
	c.Nodes[1].awaitWaiters(name, total)
	t.Logf("%d clients wait, after %v", total, since(began))
	for i, n := range c.Nodes {
		grown := residentBytes(t, n) - before[i]
		t.Logf("%s: %d MiB more, %d bytes for each of its clients", n.ID, grown>>20, grown/(total/3))
		if grown > 512<<20 {
			t.Errorf("%s grew by %d MiB", n.ID, grown>>20)
		}
	}
	load := StartLoad("beside", loadOn(c.Nodes[0], 2, 1)...)
	began = time.Now()
	for i, next := range queue {
		holder.unlock(name)
		if err := next.granted(patience); err != nil {
			t.Fatalf("hand-over %d: %v", i, err)
		}
		holder = next
	}
	t.Logf("%d hand-overs with %d behind them took %v", handOvers, len(rest), since(began))
	load.WaitAcks(t, 300)
	began = time.Now()
	for _, l := range rest {
		l.Close()
	}
	c.Nodes[2].awaitWaiters(name, 0)
	t.Logf("all those who vanished are out of the queue after %v", since(began))
	if err := load.Stop(); err != nil {
		t.Errorf("others were disturbed: %v", err)
	}
	t.Logf("meanwhile others: %d writes, longest gap %v", load.Acks(), load.Gap(began).Round(time.Millisecond))
	holder.unlock(name)
	c.Nodes[2].take(name, time.Second)
}

// A hundred thousand locks are held at once, renewed, and end: half of them are
// released, the others' time is over together.
func TestHundredThousandLocks(t *testing.T) {
	const total, workers = 100000, 96
	c := StartCluster(t, Options{Flags: steady})
	leader := c.Leader(0)
	before := residentBytes(t, leader)
	tokens := make([]string, total)
	each := func(what string, do func(w *Wire, i int) error) {
		t.Helper()
		began := time.Now()
		var wg sync.WaitGroup
		for worker := range workers {
			wire := c.Nodes[worker%3].Dial()
			wg.Go(func() {
				for i := worker; i < total; i += workers {
					if err := do(wire, i); err != nil {
						t.Errorf("%s of lock %d: %v", what, i, err)
						return
					}
				}
			})
		}
		wg.Wait()
		t.Logf("%s of %d locks took %v", what, total, since(began))
	}
	// want sends a command that must be answered so.
	want := func(w *Wire, reply string, args ...string) error {
		if _, err := w.Write([]byte(Request(args...))); err != nil {
			return err
		}
		if got, err := w.TryReply(patience); err != nil || got != reply {
			return fmt.Errorf("%q, %w, want %q", got, err, reply)
		}
		return nil
	}
	each("LOCK", func(w *Wire, i int) error {
		l := locker{Wire: w, node: leader}
		if err := want(w, "*2", "LOCK", fmt.Sprint("l", i), "600000", "OWNER", "me"); err != nil {
			return err
		}
		var err error
		if tokens[i], err = l.TryReply(patience); err == nil {
			_, err = l.TryReply(patience)
		}
		return err
	})
	grown := residentBytes(t, leader) - before
	t.Logf("resident memory of the leader grew by %d MiB, %d bytes a lock", grown>>20, grown/total)
	if grown > 512<<20 {
		t.Errorf("the leader grew by %d MiB", grown>>20)
	}
	end := time.Now().Add(patience)
	each("LOCKRENEW or UNLOCK", func(w *Wire, i int) error {
		if i%2 == 0 {
			return want(w, ":1", "UNLOCK", fmt.Sprint("l", i), tokens[i])
		}
		ttl := max(time.Until(end), time.Second) // the same end for all, unless this takes too long
		return want(w, ":1", "LOCKRENEW", fmt.Sprint("l", i), tokens[i], fmt.Sprint(ttl.Milliseconds()))
	})
	load := StartLoad("beside", loadOn(c.Nodes[0], 2, 1)...)
	began := time.Now()
	wire := c.Nodes[1].Dial()
	for i := 0; i < total; i += 499 {
		for { // until its time is over
			wire.SendRaw(Request("LOCK", fmt.Sprint("l", i), "1000"))
			head := wire.Reply()
			if head == "*2" {
				wire.Reply()
				wire.Reply()
				break
			}
			if head != "*-1" || since(began) > 2*patience {
				t.Fatalf("lock %d is still held %v after the last renewal: %q", i, since(began), head)
			}
		}
	}
	if err := load.Stop(); err != nil {
		t.Errorf("others were disturbed: %v", err)
	}
	t.Logf("meanwhile others: %d writes, longest gap %v", load.Acks(), load.Gap(began).Round(time.Millisecond))
}
