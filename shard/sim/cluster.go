package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockstepkv/lockstep/fsm/commandset"
	"github.com/lockstepkv/lockstep/shard"
	"github.com/lockstepkv/lockstep/shard/raftlog"
	"github.com/lockstepkv/lockstep/shard/view"
)

// Options of a simulation.
type Options struct {
	Nodes int
	// Replicas is how many of the nodes have a replica, the first ones; 0: all.
	Replicas int
	Seed     uint64
	Dir      string        // for snapshots and metadata
	Lease    time.Duration // 0: reads by quorum
	Log      io.Writer     // of the nodes; nil: nowhere
}

// Cluster is the nodes of a simulation, which come and go. Its methods but those
// that say so are for one goroutine.
type Cluster struct {
	opt    Options
	Net    *Network
	Rng    *rand.Rand // of whoever injects faults
	IDs    []string
	disks  map[string]*Disk
	clocks map[string]*Clock
	began  time.Time

	mu    sync.Mutex
	nodes map[string]*shard.Node // guarded by mu
	trace []string               // guarded by mu; the newest
}

// New returns a cluster without a running node. It must be called in the bubble.
func New(o Options) *Cluster {
	c := &Cluster{
		opt: o, Net: NewNetwork(o.Seed), Rng: rand.New(rand.NewPCG(o.Seed, 3)), began: time.Now(),
		disks: map[string]*Disk{}, clocks: map[string]*Clock{}, nodes: map[string]*shard.Node{},
	}
	for i := range o.Nodes {
		id := fmt.Sprintf("n%d", i+1)
		c.IDs = append(c.IDs, id)
		c.disks[id] = NewDisk(o.Seed + uint64(i))
		c.clocks[id] = &Clock{}
	}
	return c
}

// Clock is a node's clock: virtual time, of which the wall clock can be set wrong.
type Clock struct{ off atomic.Int64 }

// clockBase makes the bubble's time, which begins in 2000, one of today.
const clockBase = 27 * 365 * 24 * 3600 * 1000

// WallMillis implements clock.Clock.
func (c *Clock) WallMillis() int64 { return time.Now().UnixMilli() + clockBase + c.off.Load() }

// Mono implements clock.Clock.
func (c *Clock) Mono() time.Duration { return time.Duration(time.Now().UnixNano()) }

// Set sets the wall clock wrong.
func (c *Clock) Set(off time.Duration) { c.off.Store(off.Milliseconds()) }

// Clock returns that of a node.
func (c *Cluster) Clock(id string) *Clock { return c.clocks[id] }

// Disk returns that of a node.
func (c *Cluster) Disk(id string) *Disk { return c.disks[id] }

// stubborn is the heartbeat timeout of the first node. As a leader that is cut off it
// goes on for five times as long, while the others elect a new one: what a process does that
// was stopped, or is starved.
const stubborn = 300 * time.Millisecond

func (c *Cluster) options(id string) shard.Options {
	out := c.opt.Log
	if out == nil {
		out = io.Discard
	}
	o := shard.Options{
		NodeID: id, ClusterName: "sim", Shards: 1, DataDir: filepath.Join(c.opt.Dir, id), LogEngine: raftlog.EngineWAL,
		Clock: c.clocks[id], Table: commandset.New(),
		HeartbeatTimeout: 200 * time.Millisecond, ElectionTimeout: 200 * time.Millisecond, LeaseDuration: c.opt.Lease,
		MaxClockOffset: 500 * time.Millisecond, SnapshotLogBytes: 8 << 10, MaxWaitingBytes: 1 << 20,
		Listener: c.Net.Listen(id),
		Dial:     func(ctx context.Context, to string) (net.Conn, error) { return c.Net.Dial(ctx, id, to) },
		OpenLog:  func(raftlog.Options) (shard.LogStore, error) { return c.disks[id].Open(), nil },
		Logger:   slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug})).With("node", id),
		Metrics:  prometheus.NewRegistry(),
		Fatal:    func(err error) { c.Note("%s: fatal: %v", id, err) },
	}
	if id == c.IDs[0] {
		o.HeartbeatTimeout, o.ElectionTimeout = stubborn, stubborn
	}
	for _, m := range c.IDs {
		o.Members = append(o.Members, shard.Member{ID: m, Peer: m})
	}
	o.View = c.view()
	return o
}

// view says who has a replica.
func (c *Cluster) view() *view.Current {
	var peers []view.Peer
	for _, id := range c.IDs {
		peers = append(peers, view.Peer{ID: id, Addr: id})
	}
	v, err := view.New(view.Parts{Epoch: 1, Peers: peers, Holders: [][]string{c.Holders()}, ShardOf: func(uint16) int { return 0 }})
	if err != nil {
		panic(err)
	}
	return view.NewCurrent(v)
}

// Holders lists the nodes that have a replica.
func (c *Cluster) Holders() []string {
	if n := c.opt.Replicas; n > 0 {
		return c.IDs[:n]
	}
	return c.IDs
}

// Start starts nodes together and returns when they run.
func (c *Cluster) Start(ids ...string) error {
	errs := make([]error, len(ids))
	var wg sync.WaitGroup
	for i, id := range ids {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			n, err := shard.Open(ctx, c.options(id))
			if errs[i] = err; err == nil {
				c.Note("%s started", id)
				c.mu.Lock()
				c.nodes[id] = n
				c.mu.Unlock()
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Crash ends a node at once: what its disk has not flushed is lost.
func (c *Cluster) Crash(id string) {
	c.mu.Lock()
	n := c.nodes[id]
	delete(c.nodes, id)
	c.mu.Unlock()
	if n == nil {
		return
	}
	c.Note("%s crashes", id)
	for _, o := range c.IDs {
		c.Net.Cut(id, o)
		c.Net.Cut(o, id)
	}
	c.disks[id].Crash()
	// The process is gone for everybody else. What is committed and not applied must
	// not be there when Raft stops: it never answers those who wait for it.
	time.Sleep(500 * time.Millisecond)
	_ = n.Close() // what it says of its data means nothing
	c.Net.Break(id, "")
	c.Net.Heal()
}

// Node returns a node, nil while it is down. Any goroutine may call it.
func (c *Cluster) Node(id string) *shard.Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[id]
}

// Up lists the nodes that run. Any goroutine may call it.
func (c *Cluster) Up() (ids []string) {
	for _, id := range c.IDs {
		if c.Node(id) != nil {
			ids = append(ids, id)
		}
	}
	return ids
}

// Leader returns a node that says that it serves, or "".
func (c *Cluster) Leader() string {
	for _, id := range c.Up() {
		if n := c.Node(id); n != nil && n.Group(0) != nil && n.Group(0).Serving() {
			return id
		}
	}
	return ""
}

// Await polls until fn is true, for at most a minute of virtual time.
func (c *Cluster) Await(what string, fn func() bool) error {
	for until := time.Now().Add(time.Minute); !fn(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			return fmt.Errorf("after a minute still: %s", what)
		}
	}
	return nil
}

// Close ends all nodes.
func (c *Cluster) Close() {
	c.Net.Heal()
	for _, id := range c.IDs {
		c.Crash(id)
	}
}

// traced is how much of the trace is kept.
const traced = 120

// Note adds to the trace. Any goroutine may call it.
func (c *Cluster) Note(format string, args ...any) {
	line := fmt.Sprintf("%10.4f ", time.Since(c.began).Seconds()) + fmt.Sprintf(format, args...)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.trace = append(c.trace, line); len(c.trace) > traced {
		c.trace = c.trace[1:]
	}
}

// Trace returns what happened last.
func (c *Cluster) Trace() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.trace, "\n")
}
