package transport

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/lockstepkv/lockstep/internal/procs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// logBuffer collects logs from many goroutines.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// cluster is a set of transports on loopback.
type cluster struct {
	tb    testing.TB
	peers map[string]string
	nodes map[string]*Transport
	logs  logBuffer

	silence time.Duration // of a leader that Raft bears; 0: a second
}

// newCluster takes ports for n1..nN and starts none of them.
func newCluster(tb testing.TB, n int) *cluster {
	c := &cluster{tb: tb, peers: map[string]string{}, nodes: map[string]*Transport{}}
	var ports procs.Ports
	tb.Cleanup(ports.Close)
	addrs, err := ports.Addrs(n)
	if err != nil {
		tb.Fatal(err)
	}
	for i, addr := range addrs {
		c.peers[fmt.Sprintf("n%d", i+1)] = addr
	}
	return c
}

// start runs a node; change may alter its options.
func (c *cluster) start(id string, change ...func(*Options)) *Transport {
	c.tb.Helper()
	l, err := net.Listen("tcp", c.peers[id])
	if err != nil {
		c.tb.Fatal(err)
	}
	o := Options{
		NodeID: id, ClusterID: "test", Listener: l, Peers: c.peers,
		Logger: slog.New(slog.NewTextHandler(&c.logs, nil)),
	}
	for _, f := range change {
		f(&o)
	}
	t, err := New(o)
	if err != nil {
		c.tb.Fatal(err)
	}
	c.nodes[id] = t
	c.tb.Cleanup(func() { t.Close() })
	return t
}

// startAll runs all nodes with the same options and waits until they are connected.
func (c *cluster) startAll(change ...func(*Options)) {
	c.tb.Helper()
	for id := range c.peers {
		c.start(id, change...)
	}
	for _, t := range c.nodes {
		for id := range c.nodes {
			c.connected(t, id)
		}
	}
}

// connected waits until all links from t to a peer are up.
func (c *cluster) connected(t *Transport, id string) {
	c.tb.Helper()
	if id == t.id {
		return
	}
	p := t.all()[id]
	eventually(c.tb, t.id+" connects to "+id, func() bool {
		for i := range p.links { // of the pointer: its array is not copied
			if p.links[i].conn.Load() == nil {
				return false
			}
		}
		return true
	})
}

func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			tb.Fatalf("did not happen: %s", what)
		}
		<-time.After(2 * time.Millisecond)
	}
}

func within(tb testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	tb.Cleanup(cancel)
	return ctx
}

func echo(_ context.Context, _ string, req []byte) ([]byte, error) {
	return append([]byte(nil), req...), nil
}
