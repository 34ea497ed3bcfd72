package shard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/locks"
	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/shard/view"
)

// partly is a view of the cluster in which the given nodes have a replica of each shard.
func partly(o *Options, epoch uint64, nodes ...string) *view.View {
	peers := make([]view.Peer, len(o.Members))
	for i, m := range o.Members {
		peers[i] = view.Peer{ID: m.ID, Addr: m.Peer}
	}
	v, err := view.New(view.Parts{
		Epoch: epoch, Peers: peers, Holders: slices.Repeat([][]string{nodes}, o.Shards), ShardOf: view.RingOf(o.Shards).ShardOf,
	})
	if err != nil {
		panic(err)
	}
	return v
}

// fiveNodes are five of which n1, n2 and n3 have replicas.
func fiveNodes(t *testing.T, more func(*Options)) *cluster {
	return newCluster(t, 5, func(o *Options) {
		o.View = view.NewCurrent(partly(o, 1, "n1", "n2", "n3"))
		if more != nil {
			more(o)
		}
	})
}

// remote is shard 0 at a node that has no replica.
func (c *cluster) remote(id string) *Remote { return c.node(id).Remotes()[0] }

// through runs a command through a node without a replica.
func (c *cluster) through(id, line string) (resp.Value, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), 30*time.Second)
	defer cancel()
	var args command.Args
	for _, w := range strings.Fields(line) {
		args = append(args, []byte(w))
	}
	r := c.remote(id)
	if r.node.opt.Table.Lookup(args[0]).Flags.Has(command.Write) {
		var b command.Batch
		b.Add(args)
		replies, err := r.Propose(ctx, b)
		if err != nil {
			return resp.Value{}, err
		}
		return replies[0], nil
	}
	q := command.Single{Args: args}
	_, err := r.Read(ctx, command.ReadOptions{}, &q)
	return q.Reply, err
}

func (c *cluster) wantThrough(id, line, want string) {
	c.t.Helper()
	v, err := c.through(id, line)
	if got := string(resp.Append(nil, v, 2)); err != nil || got != want {
		c.t.Fatalf("%s through %s: %q, %v; want %q", clipped(line), id, clipped(got), err, clipped(want))
	}
}

func TestNodeWithoutReplica(t *testing.T) {
	c := fiveNodes(t, nil)
	if c.group("n4") != nil || len(c.node("n4").Groups()) != 0 || c.group("n1") == nil {
		t.Fatal("the view does not decide who has a replica")
	}
	if got := c.group(c.leader()).voters.now().size(); got != 3 {
		t.Fatalf("%d voters", got)
	}
	c.wantThrough("n4", "SET k v", "+OK\r\n")
	c.wantThrough("n5", "GET k", "$1\r\nv\r\n")
	c.want("n1", "GET k", "$1\r\nv\r\n")
	c.wantThrough("n5", "INCR n", ":1\r\n")
	c.wantThrough("n4", "GET n", "$1\r\n1\r\n")
	c.wantThrough("n4", "DBSIZE", ":2\r\n")
	c.wantThrough("n4", "STRLEN", "-ERR wrong number of arguments for 'strlen' command\r\n")
	c.wantThrough("n4", "ONCE id INCR n", ":2\r\n")
	c.wantThrough("n5", "ONCE id INCR n", ":2\r\n")

	leader := c.leader()
	c.eventually(func() error {
		if got := c.remote("n4").Leader(); got != leader {
			return fmt.Errorf("n4 takes %q for the leader", got)
		}
		return nil
	})
	other := c.others(leader)[0]
	if err := c.node("n5").TransferLeadership(t.Context(), 0, other); err != nil {
		t.Fatal(err)
	}
	c.wantThrough("n5", "GET n", "$1\r\n2\r\n")
	if err := c.node("n5").TransferLeadership(t.Context(), 0, "n4"); !errors.Is(err, ErrNoSuchNode) {
		t.Errorf("a node without a replica is to lead: %v", err)
	}
}

// TestStaleReadsFromAfar: the age and the index that are asked for hold as on a node with a replica.
func TestStaleReadsFromAfar(t *testing.T) {
	c := fiveNodes(t, nil)
	var index uint64
	var b command.Batch
	b.Add(command.Args{[]byte("SET"), []byte("k"), []byte("v")})
	b.Index = &index
	if _, err := c.remote("n4").Propose(t.Context(), b); err != nil || index == 0 {
		t.Fatal(index, err)
	}
	q := command.Single{Args: command.Args{[]byte("GET"), []byte("k")}}
	info, err := c.remote("n4").Read(t.Context(), command.ReadOptions{Consistency: command.Stale, MinIndex: index}, &q)
	if err != nil || string(q.Reply.Str) != "v" || info.Index < index {
		t.Errorf("%+v, %q, %v", info, q.Reply.Str, err)
	}
	c.eventually(func() error {
		_, err := c.remote("n4").Read(t.Context(), command.ReadOptions{Consistency: command.Stale, MaxStaleness: time.Nanosecond}, &q)
		if !errors.Is(err, command.ErrTooStale) {
			return fmt.Errorf("a nanosecond: %v", err)
		}
		return nil
	})
}

// TestQueriesOnlyRead: a node does not write what another one asks it to read.
func TestQueriesOnlyRead(t *testing.T) {
	c := fiveNodes(t, nil)
	q := command.Single{Args: command.Args{[]byte("SET"), []byte("k"), []byte("v")}}
	if _, err := c.remote("n4").Read(t.Context(), command.ReadOptions{}, &q); !errors.Is(err, command.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	c.wantThrough("n4", "GET k", "$-1\r\n")
}

// TestLeaderDiesUnderRemoteClients: what clients of a node without a replica were told holds, each
// increment happens once, and none of them sees an error while a majority is there.
func TestLeaderDiesUnderRemoteClients(t *testing.T) {
	c := fiveNodes(t, nil)
	const clients, each = 4, 40
	var wg sync.WaitGroup
	errs := make(chan error, clients*each)
	for i := range clients {
		id := []string{"n4", "n5"}[i%2]
		wg.Go(func() {
			last := int64(0)
			for range each {
				v, err := c.through(id, "INCR n")
				if err != nil {
					errs <- err
					return
				}
				got, err := c.through(id, "GET n")
				if err != nil {
					errs <- err
					return
				}
				var n int64
				fmt.Sscan(string(got.Str), &n)
				if n < v.Int || v.Int <= last {
					errs <- fmt.Errorf("INCR answers %d after %d, then GET %d", v.Int, last, n)
				}
				last = v.Int
			}
		})
	}
	c.eventually(func() error {
		if v, err := c.through("n4", "GET n"); err != nil || string(v.Str) < "2" {
			return fmt.Errorf("%q, %v", v.Str, err)
		}
		return nil
	})
	c.stop(c.leader())
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	c.wantThrough("n5", "GET n", fmt.Sprintf("$3\r\n%d\r\n", clients*each))
}

// TestGrantsComeFromAfar: a client that waits for a lock at a node without a replica is told when it
// has it, and one that watches a lock of what happens to it.
func TestGrantsComeFromAfar(t *testing.T) {
	c := fiveNodes(t, nil)
	node, boot := c.remote("n4").Origin()
	ask := func(token string, waitMillis int) int64 {
		t.Helper()
		v, err := c.through("n4", fmt.Sprintf("LS.LOCK l 60000 owner %d %s %s %d", waitMillis, token, node, boot))
		if err != nil || len(v.Elems) < 5 {
			t.Fatal(v, err)
		}
		return v.Elems[0].Int
	}
	if ask("first", 0) != locks.Granted {
		t.Fatal("a free lock is not granted")
	}
	happens, stop := c.remote("n5").Watch(lock.Topic("l"))
	defer func() { stop() }()
	select {
	case _, ok := <-happens: // once the other node knows of it, what was before is missed
		if ok {
			t.Fatal("an event of before")
		}
	case <-time.After(time.Minute):
		t.Fatal("the feed is not made")
	}
	stop()
	happens, stop = c.remote("n5").Watch(lock.Topic("l"))
	outcome, end := c.remote("n4").Watch(lock.Outcome("second"))
	defer func() { end() }()
	if ask("second", 60000) != locks.Queued {
		t.Fatal("it does not wait")
	}
	c.wantThrough("n5", "UNLOCK l first", ":1\r\n")
	for granted := false; !granted; {
		select {
		case e, ok := <-outcome:
			if granted = ok && e.What.(lock.Event).Kind == lock.EventGranted; !granted { // it missed something, and looks
				end()
				outcome, end = c.remote("n4").Watch(lock.Outcome("second"))
				granted = ask("second", 60000) == locks.Granted
			}
		case <-time.After(time.Minute):
			t.Fatal("nobody tells of the grant")
		}
	}
	for _, want := range []lock.EventKind{lock.EventLost, lock.EventGranted} {
		select {
		case e, ok := <-happens:
			if !ok || e.What.(lock.Event).Kind != want || e.What.(lock.Event).Name != "l" {
				t.Fatalf("%+v, %v; want %v", e, ok, want)
			}
		case <-time.After(time.Minute):
			t.Fatal("nobody tells what happens to the lock")
		}
	}
}

// TestWatchersLearnThatTheirFeedIsGone: they look for themselves then.
func TestWatchersLearnThatTheirFeedIsGone(t *testing.T) {
	c := fiveNodes(t, nil)
	r := c.remote("n4")
	awaitClosed := func() {
		t.Helper()
		events, stop := r.Watch(lock.Topic("l"))
		defer stop()
		select {
		case <-events:
		case <-time.After(time.Minute):
			t.Fatal("the channel stays open")
		}
	}
	awaitClosed() // the feed has begun
	events, stop := r.Watch(lock.Topic("l"))
	defer stop()
	c.stop(r.finder.Order()[0])
	select {
	case _, ok := <-events:
		if ok {
			t.Error("an event")
		}
	case <-time.After(time.Minute):
		t.Fatal("nobody is told that the other node is gone")
	}
}

// TestLargeValuesFromAfar go in fragments to the leader, and in one answer back.
func TestLargeValuesFromAfar(t *testing.T) {
	c := fiveNodes(t, nil)
	value := strings.Repeat("0123456789abcdef", 5<<20/16)
	c.wantThrough("n4", "SET big "+value, "+OK\r\n")
	c.wantThrough("n5", "GET big", fmt.Sprintf("$%d\r\n%s\r\n", len(value), value))
	c.wantThrough("n4", "STRLEN big", fmt.Sprintf(":%d\r\n", len(value)))
}

// TestOldView: the sender goes by a view that is no longer true. Those it asks say so, nothing has
// happened, and with the new view it goes on.
func TestOldView(t *testing.T) {
	var mu sync.Mutex
	views := map[string]*view.Current{}
	c := newCluster(t, 5, func(o *Options) {
		mu.Lock()
		defer mu.Unlock()
		o.View = view.NewCurrent(partly(o, 1, "n1", "n2", "n3"))
		views[o.NodeID] = o.View
	})
	o := c.node("n4").opt
	c.wantThrough("n4", "SET k v", "+OK\r\n")
	if _, err := views["n4"].Set(partly(&o, 2, "n5")); err != nil {
		t.Fatal(err)
	}
	c.eventually(func() error {
		if leader := c.remote("n4").Leader(); leader != "" {
			return fmt.Errorf("%s leads", leader)
		}
		return nil
	})
	q := command.Single{Args: command.Args{[]byte("GET"), []byte("k")}}
	if _, err := c.remote("n4").Read(t.Context(), command.ReadOptions{}, &q); !errors.Is(err, command.ErrUnavailable) {
		t.Errorf("nobody has a replica: %v", err)
	}
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	var b command.Batch
	b.Add(command.Args{[]byte("INCR"), []byte("n")})
	if _, err := c.remote("n4").Propose(short, b); !errors.Is(err, command.ErrUnavailable) {
		t.Errorf("a write that nobody was given: %v", err)
	}
	done := make(chan error, 2)
	go func() {
		v, err := c.through("n4", "INCR n")
		if err == nil && v.Int != 1 {
			err = fmt.Errorf("INCR answers %d: the one that was refused has happened", v.Int)
		}
		done <- err
	}()
	if _, err := views["n4"].Set(partly(&o, 3, "n1", "n2", "n3")); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	c.wantThrough("n4", "GET k", "$1\r\nv\r\n")
}

// TestFormerLifeLeavesTheQueues: a node without a replica that comes back takes its former clients out
// of the queues, which nobody else notices.
func TestFormerLifeLeavesTheQueues(t *testing.T) {
	c := fiveNodes(t, nil)
	node, boot := c.remote("n4").Origin()
	for i, token := range []string{"holds", "waits"} {
		if _, err := c.through("n4", fmt.Sprintf("LS.LOCK l 60000 owner %d %s %s %d", 60000*i, token, node, boot)); err != nil {
			t.Fatal(err)
		}
	}
	if _, waiters := c.group("n1").LockCounts(); waiters > 1 {
		t.Fatalf("%d wait", waiters)
	}
	c.stop("n4")
	c.start("n4")
	c.eventually(func() error {
		if _, waiters := c.group(c.leader()).LockCounts(); waiters != 0 {
			return fmt.Errorf("%d wait", waiters)
		}
		return nil
	})
}

// TestAddressesFollowTheView: a node is reached where the newest view says, and what one has told that
// is no longer in it counts for nothing.
func TestAddressesFollowTheView(t *testing.T) {
	var current *view.Current
	c := newCluster(t, 5, func(o *Options) {
		v := view.NewCurrent(partly(o, 1, "n1", "n2", "n3"))
		if o.NodeID == "n5" {
			moved := *o
			moved.Members = slices.Clone(o.Members)
			moved.Members[3].Peer = "127.0.0.1:1"
			v = view.NewCurrent(partly(&moved, 1, "n1", "n2", "n3"))
			current = v
		}
		o.View = v
	})
	n := c.node("n5")
	if n.net.Health("n4").Connected {
		t.Fatal("n4 is reached where it is not")
	}
	o := n.opt
	if _, err := current.Set(partly(&o, 2, "n1", "n2", "n3")); err != nil {
		t.Fatal(err)
	}
	told := func(id string, want bool) func() error {
		return func() error {
			n.mu.RLock()
			defer n.mu.RUnlock()
			if _, told := n.peers[id]; told != want || want && !n.net.Health(id).Connected {
				return fmt.Errorf("what %s has told is known: %v", id, told)
			}
			return nil
		}
	}
	c.eventually(told("n4", true))
	o.Members = slices.Delete(slices.Clone(o.Members), 3, 4)
	if _, err := current.Set(partly(&o, 3, "n1", "n2", "n3")); err != nil {
		t.Fatal(err)
	}
	c.eventually(told("n4", false))
}
