package shard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/commandset"
	"github.com/lockstepkv/lockstep/internal/clock"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store/keyslot"
	"github.com/lockstepkv/lockstep/transport"
)

// cluster is three nodes in this process, over loopback.
type cluster struct {
	t      *testing.T
	dir    string
	modify func(*Options)
	ids    []string
	addrs  map[string]string
	faults map[string]*transport.Faults
	mu     sync.Mutex
	nodes  map[string]*Node
	// ports are kept from when they were found to the first start; guarded by mu.
	ports map[string]net.Listener
}

func newCluster(t *testing.T, size int, modify func(*Options)) *cluster {
	c := &cluster{
		t: t, dir: t.TempDir(), modify: modify, addrs: map[string]string{},
		faults: map[string]*transport.Faults{}, nodes: map[string]*Node{},
	}
	c.addresses(size)
	t.Cleanup(c.stopAll)
	c.start(c.ids...)
	c.eventually(func() error {
		for _, id := range c.ids {
			if err := c.node(id).Ready(); err != nil {
				return fmt.Errorf("%s: %w", id, err)
			}
		}
		return nil
	})
	return c
}

// addresses names the nodes and finds ports for them, below those that the system
// gives to connections: a node that is restarted must find its port free.
func (c *cluster) addresses(size int) {
	for len(c.ids) < size {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(10000)))
		if err != nil {
			continue
		}
		id := fmt.Sprintf("n%d", len(c.ids)+1)
		c.ids = append(c.ids, id)
		c.addrs[id] = l.Addr().String()
		if c.ports == nil {
			c.ports = map[string]net.Listener{}
		}
		c.ports[id] = l
	}
}

// listen opens a node's port. Between runs of a node somebody else may have it for a moment.
func (c *cluster) listen(id string) (net.Listener, error) {
	c.mu.Lock()
	kept := c.ports[id]
	delete(c.ports, id)
	c.mu.Unlock()
	if kept != nil {
		return kept, nil
	}
	for deadline := time.Now().Add(time.Minute); ; {
		l, err := net.Listen("tcp", c.addrs[id])
		if err == nil || time.Now().After(deadline) {
			return l, err
		}
		<-time.After(50 * time.Millisecond)
	}
}

func (c *cluster) options(id string) Options {
	c.faults[id] = transport.NewFaults()
	level := slog.LevelError + 4
	if os.Getenv("LOCKSTEP_TEST_LOG") != "" {
		level = slog.LevelDebug
	}
	o := Options{
		NodeID: id, ClusterName: "test", Shards: 1, DataDir: filepath.Join(c.dir, id), LogEngine: "wal",
		HTTPAddr: "http-" + id, RESPAddr: "resp-" + id, Faults: c.faults[id],
		Clock: clock.System(), Table: commandset.New(),
		HeartbeatTimeout: 200 * time.Millisecond, ElectionTimeout: 200 * time.Millisecond,
		MaxClockOffset: time.Second, SnapshotLogBytes: 64 << 20, MaxWaitingBytes: 64 << 20, LogCacheBytes: 16 << 20,
		Logger:  slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})).With("node", id),
		Metrics: prometheus.NewRegistry(),
		Fatal:   func(err error) { c.t.Errorf("%s: fatal: %v", id, err) },
	}
	for _, m := range c.ids {
		o.Members = append(o.Members, Member{ID: m, Peer: c.addrs[m]})
	}
	if c.modify != nil {
		c.modify(&o)
	}
	return o
}

// start starts nodes together: at the first start they wait for each other.
func (c *cluster) start(ids ...string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	for _, id := range ids {
		o := c.options(id)
		wg.Go(func() {
			var err error
			if o.Listener, err = c.listen(id); err != nil {
				c.t.Error(err)
				return
			}
			n, err := Open(ctx, o)
			if err != nil {
				c.t.Errorf("open %s: %v", id, err)
				return
			}
			c.mu.Lock()
			c.nodes[id] = n
			c.mu.Unlock()
		})
	}
	wg.Wait()
	if c.t.Failed() {
		c.t.FailNow()
	}
}

func (c *cluster) stop(id string) {
	c.mu.Lock()
	n := c.nodes[id]
	delete(c.nodes, id)
	c.mu.Unlock()
	if n != nil {
		if err := n.Close(); err != nil {
			c.t.Errorf("close %s: %v", id, err)
		}
	}
}

func (c *cluster) stopAll() {
	for _, id := range c.ids {
		c.stop(id)
	}
	c.letPortsGo()
}

// letPortsGo closes the ports of nodes that were never started.
func (c *cluster) letPortsGo() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.ports {
		l.Close()
	}
	c.ports = nil
}

func (c *cluster) node(id string) *Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[id]
}

func (c *cluster) group(id string) *Group { return c.node(id).Group(0) }

// leader returns the node that serves shard 0.
func (c *cluster) leader() (id string) {
	c.t.Helper()
	c.eventually(func() error {
		for _, n := range c.ids {
			if c.node(n) != nil && c.node(n).Group(0) != nil && c.group(n).Serving() {
				id = n
				return nil
			}
		}
		return errors.New("no leader")
	})
	return id
}

func (c *cluster) others(id string) (out []string) {
	for _, n := range c.ids {
		if n != id {
			out = append(out, n)
		}
	}
	return out
}

func (c *cluster) eventually(fn func() error) {
	c.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		err := fn()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("after a minute still: %v", err)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// run executes a command through a node: writes are proposed, reads read.
func (c *cluster) run(id, cmd string) (resp.Value, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var args command.Args
	for _, w := range strings.Fields(cmd) {
		args = append(args, []byte(w))
	}
	g := c.group(id)
	if g.opt.Table.Lookup(args[0]).Flags.Has(command.Write) {
		var b command.Batch
		b.Add(args)
		replies, err := g.Propose(ctx, b)
		if err != nil {
			return resp.Value{}, err
		}
		return replies[0], nil
	}
	var v resp.Value
	_, err := g.Read(ctx, command.ReadOptions{}, func(ctx *command.Ctx) { v = ctx.Table.Exec(ctx, args) })
	return v, err
}

func (c *cluster) want(id, cmd, want string) {
	c.t.Helper()
	v, err := c.run(id, cmd)
	if err != nil {
		c.t.Fatalf("%s on %s: %v", clipped(cmd), id, err)
	}
	if got := string(resp.Append(nil, v, 2)); got != want {
		c.t.Fatalf("%s on %s: %q, want %q", clipped(cmd), id, clipped(got), clipped(want))
	}
}

// clipped keeps large values out of what a test prints.
func clipped(s string) string {
	if len(s) <= 200 {
		return s
	}
	return fmt.Sprintf("%s... (%d bytes)", s[:200], len(s))
}

func TestClipped(t *testing.T) {
	if got := clipped("SET big " + strings.Repeat("x", 24<<20)); len(got) > 250 || !strings.HasSuffix(got, "(25165832 bytes)") {
		t.Errorf("%d bytes: %q", len(got), got[max(0, len(got)-50):])
	}
	if got := clipped("SET k v"); got != "SET k v" {
		t.Errorf("%q", got)
	}
}

// keyOf returns a key whose slot is on the given shard.
func (c *cluster) keyOf(shard int) string {
	for i := 0; ; i++ {
		if key := fmt.Sprint("k", i); c.node("n1").View().ShardOf(keyslot.OfString(key)) == shard {
			return key
		}
	}
}
