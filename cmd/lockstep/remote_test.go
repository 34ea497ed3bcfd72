package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockstepkv/lockstep/api/rooms"
	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/internal/clock"
	"github.com/lockstepkv/lockstep/internal/config"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/shard"
	"github.com/lockstepkv/lockstep/shard/view"
	"github.com/lockstepkv/lockstep/store/keyslot"
)

// scattered is a cluster of five nodes in this process with a router each. Shard 0 has its replicas
// on n1, n2 and n3, shard 1 on n2, n3 and n4; n5 has none.
type scattered struct {
	t       *testing.T
	nodes   map[string]*shard.Node
	seen    map[string]*node
	routers map[string]*router.Router
	closed  map[string]bool
}

func newScattered(t *testing.T) *scattered {
	c := &scattered{t: t, nodes: map[string]*shard.Node{}, seen: map[string]*node{}, routers: map[string]*router.Router{}, closed: map[string]bool{}}
	listeners := map[string]net.Listener{}
	var members []shard.Member
	for i := range 5 {
		id := fmt.Sprintf("n%d", i+1)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listeners[id] = l
		members = append(members, shard.Member{ID: id, Peer: l.Addr().String()})
	}
	dir := t.TempDir()
	var mu sync.Mutex
	var wg sync.WaitGroup
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, m := range members {
		o := shard.Options{
			NodeID: m.ID, ClusterName: "scattered", Members: members, Shards: 2, View: scatteredView(t, members), DataDir: filepath.Join(dir, m.ID),
			LogEngine: "wal", HTTPAddr: "http-" + m.ID + ":1", RESPAddr: "resp-" + m.ID + ":1", Listener: listeners[m.ID], Clock: clock.System(), Table: rooms.Table(),
			HeartbeatTimeout: 200 * time.Millisecond, ElectionTimeout: 200 * time.Millisecond, MaxClockOffset: time.Second,
			SnapshotLogBytes: 64 << 20, MaxWaitingBytes: 64 << 20, LogCacheBytes: 16 << 20,
			Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Metrics: prometheus.NewRegistry(), Fatal: func(err error) { t.Errorf("%s: %v", m.ID, err) },
		}
		wg.Go(func() {
			n, err := shard.Open(ctx, o)
			if err != nil {
				t.Errorf("%s: %v", m.ID, err)
				return
			}
			seen := newNode(router.NodeInfo{ID: m.ID}, o.View)
			seen.opened(n)
			r, err := router.New(seen, o.Table, router.Config{Cluster: router.ClusterOn, Redirect: router.RedirectForward, SpanShards: true, RequestTimeout: 20 * time.Second, Rooms: rooms.All()})
			mu.Lock()
			defer mu.Unlock()
			if c.nodes[m.ID], c.seen[m.ID], c.routers[m.ID] = n, seen, r; err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	t.Cleanup(func() {
		for _, m := range members {
			c.close(m.ID)
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	c.eventually("all nodes are ready", func() bool {
		for _, n := range c.nodes {
			if n.Ready() != nil {
				return false
			}
		}
		return true
	})
	return c
}

func scatteredView(t *testing.T, members []shard.Member) *view.Current {
	var peers []view.Peer
	for _, m := range members {
		peers = append(peers, view.Peer{ID: m.ID, Addr: m.Peer})
	}
	v, err := view.New(view.Parts{
		Epoch: 1, Peers: peers, Holders: [][]string{{"n1", "n2", "n3"}, {"n2", "n3", "n4"}}, ShardOf: view.RingOf(2).ShardOf,
	})
	if err != nil {
		t.Fatal(err)
	}
	return view.NewCurrent(v)
}

func (c *scattered) close(id string) {
	if n := c.nodes[id]; n != nil && !c.closed[id] {
		c.closed[id] = true
		if err := n.Close(); err != nil {
			c.t.Error(err)
		}
	}
}

func (c *scattered) eventually(what string, fn func() bool) {
	c.t.Helper()
	for until := time.Now().Add(time.Minute); !fn(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(until) {
			c.t.Fatalf("after a minute still not: %s", what)
		}
	}
}

func words(line string) (args [][]byte) {
	for _, w := range strings.Fields(line) {
		args = append(args, []byte(w))
	}
	return args
}

// client is a session at a node.
func (c *scattered) client(id string) func(line string) resp.Value {
	s := c.routers[id].NewSession("127.0.0.1:1", router.KindRESP)
	c.t.Cleanup(s.Close)
	return func(line string) resp.Value { return c.routers[id].Do(context.Background(), s, words(line)) }
}

func text(v resp.Value) string { return string(resp.Append(nil, v, 2)) }

// TestEveryKindOfCommandFromAfar runs commands of every kind at a node that holds nothing.
func TestEveryKindOfCommandFromAfar(t *testing.T) {
	c := newScattered(t)
	at5, at4, at1 := c.client("n5"), c.client("n4"), c.client("n1")
	for _, step := range []struct{ line, want string }{
		{"SET a 1", "+OK\r\n"},
		{"SET b 2", "+OK\r\n"}, // a and b are on different shards
		{"GET a", "$1\r\n1\r\n"},
		{"MSET a 1 b 2 c 3 d 4", "+OK\r\n"},
		{"MGET a b c d nothing", "*5\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n4\r\n$-1\r\n"},
		{"DEL c d", ":2\r\n"},
		{"DBSIZE", ":2\r\n"},
		{"ONCE id INCR a", ":2\r\n"},
		{"ONCE id INCR a", ":2\r\n"},
		{"WATCH a", "+OK\r\n"},
		{"MULTI", "+OK\r\n"},
		{"INCR a", "+QUEUED\r\n"},
		{"GET a", "+QUEUED\r\n"},
		{"EXEC", "*2\r\n:3\r\n$1\r\n3\r\n"},
		{"MULTI", "+OK\r\n"},
		{"GET a", "+QUEUED\r\n"},
		{"EXEC", "*1\r\n$1\r\n3\r\n"},
		{"EXPIRE a 100", ":1\r\n"},
		{"PERSIST a", ":1\r\n"},
		{"CLUSTER COUNTKEYSINSLOT 15495", ":1\r\n"},
		{"CLUSTER GETKEYSINSLOT 15495 9", "*1\r\n$1\r\na\r\n"},
		{"UNLOCK l wrong", ":0\r\n"},
	} {
		if got := text(at5(step.line)); got != step.want {
			t.Fatalf("%s: %q, want %q", step.line, got, step.want)
		}
	}
	at5("WATCH a")
	at1("SET a 9")
	at5("MULTI")
	at5("GET a")
	if got := text(at5("EXEC")); got != "*-1\r\n" {
		t.Errorf("a key that was watched has changed: %q", got)
	}
	keys := at5("KEYS *").Elems
	if len(keys) != 2 {
		t.Errorf("KEYS: %v", keys)
	}
	var scanned []string
	for cursor := "0"; ; {
		v := at5("SCAN " + cursor)
		for _, k := range v.Elems[1].Elems {
			scanned = append(scanned, string(k.Str))
		}
		if cursor = string(v.Elems[0].Str); cursor == "0" {
			break
		}
	}
	if slices.Sort(scanned); !slices.Equal(scanned, []string{"a", "b"}) {
		t.Errorf("SCAN: %v", scanned)
	}
	for _, do := range []func(string) resp.Value{at4, at1} { // they hold one shard each
		if got := text(do("MGET a b")); got != "*2\r\n$1\r\n9\r\n$1\r\n2\r\n" {
			t.Errorf("%q", got)
		}
	}
	if info := string(at5("INFO").Str); !strings.Contains(info, "db0:keys=2,") || !strings.Contains(info, "used_memory:0\r\n") {
		t.Errorf("INFO of a node that holds nothing: %s", info)
	}
	if got := text(at5("RANDOMKEY")); got != "$1\r\na\r\n" && got != "$1\r\nb\r\n" {
		t.Errorf("RANDOMKEY: %q", got)
	}
	if got := text(at5("FLUSHALL")); got != "+OK\r\n" {
		t.Errorf("FLUSHALL: %q", got)
	}
	if got := text(at1("DBSIZE")); got != ":0\r\n" {
		t.Errorf("%q keys after FLUSHALL", got)
	}
	for _, id := range []string{"n1", "n5"} {
		for _, sh := range c.seen[id].Cluster().Shards {
			if sh.Leader == "" || sh.Term == 0 || len(sh.Replicas) != 3 || len(sh.States) != 3 || len(sh.Slots) == 0 {
				t.Errorf("%s sees shard %d as %+v", id, sh.ID, sh)
			}
		}
	}
	if nodes := string(at5("CLUSTER NODES").Str); strings.Count(nodes, "\n") != 5 || !strings.Contains(nodes, "myself,master") {
		t.Errorf("CLUSTER NODES: %s", nodes)
	}
	for id, want := range map[string][]int{"n1": {0}, "n4": {1}, "n5": nil} {
		for i := range 2 {
			if holds := c.seen[id].Holds(i); holds != slices.Contains(want, i) {
				t.Errorf("%s holds shard %d: %v", id, i, holds)
			}
		}
	}
}

// TestLocksFromAfar: a client at a node that holds nothing waits for a lock and gets it, also when the
// leader dies meanwhile, and its fence counts.
func TestLocksFromAfar(t *testing.T) {
	c := newScattered(t)
	at5, also5 := c.client("n5"), c.client("n5")
	first := at5("LOCK l 60000")
	if len(first.Elems) != 2 {
		t.Fatal(text(first))
	}
	reply := make(chan resp.Value, 1)
	go func() { reply <- also5("LOCK l 60000 WAIT 60000") }()
	of := c.seen["n5"].view.Get().ShardOf(keyslot.OfString("l"))
	waiting := func(n int) func() bool {
		return func() bool {
			for id, node := range c.nodes {
				if g := node.Group(of); g != nil && !c.closed[id] && g.Serving() {
					_, waiters := g.LockCounts()
					return waiters == n
				}
			}
			return false
		}
	}
	c.eventually("it waits", waiting(1))
	for id, node := range c.nodes {
		if g := node.Group(of); g != nil && g.Serving() {
			c.close(id)
			break
		}
	}
	c.eventually("it waits at the new leader", waiting(1))
	if got := text(at5("UNLOCK l " + string(first.Elems[0].Str))); got != ":1\r\n" {
		t.Fatalf("UNLOCK: %q", got)
	}
	select {
	case v := <-reply:
		if len(v.Elems) != 2 || v.Elems[1].Int <= first.Elems[1].Int {
			t.Fatalf("the lock is not granted with a higher fence: %q", text(v))
		}
		if got := text(at5(fmt.Sprintf("FENCED l %d SET {l}k v", v.Elems[1].Int))); got != "+OK\r\n" {
			t.Errorf("FENCED: %q", got)
		}
		if got := text(at5(fmt.Sprintf("FENCED l %d SET {l}k v", first.Elems[1].Int))); !strings.HasPrefix(got, "-") {
			t.Errorf("FENCED with an old fence: %q", got)
		}
	case <-time.After(time.Minute):
		t.Fatal("nobody tells the client that it has the lock")
	}
}

// TestBackupOfAShardElsewhere: the answer is who has it.
func TestBackupOfAShardElsewhere(t *testing.T) {
	c := newScattered(t)
	s := &server{cfg: config.Config{}, node: c.seen["n5"]}
	s.cfg.Node.ID = "n5"
	var out bytes.Buffer
	if err := s.backup(t.Context(), 0, &out); err == nil || !strings.Contains(err.Error(), "ask one of n1, n2, n3") || out.Len() > 0 {
		t.Errorf("%v", err)
	}
	if _, err := s.digest(1); err == nil || !strings.Contains(err.Error(), "ask one of n2, n3, n4") {
		t.Errorf("%v", err)
	}
}
