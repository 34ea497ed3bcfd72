package transport

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockstepkv/lockstep/internal/clock"
)

// Transport is a node's side of the connections to its peers.
//
// 27 fields: eleven are what New was given and never change; the others are one part each of what is open.
type Transport struct {
	id, cluster string
	listener    net.Listener
	connect     func(ctx context.Context, addr string) (net.Conn, error)
	tls         func() *tls.Config // nil: none
	secrets     func() [][]byte    // nil: none
	tlsNames    []string
	log         *slog.Logger
	faults      *Faults
	clock       clock.Clock
	raftTimeout time.Duration

	peers    atomic.Pointer[map[string]*peer] // all nodes but this one; a change makes another map
	handlers [256]atomic.Pointer[handler]
	parking  parking

	strangers *strangers
	crowded   atomic.Int64
	refusals  refusalLog

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // all goroutines

	mu      sync.Mutex
	closed  bool                // guarded by mu
	conns   map[closer]struct{} // guarded by mu; open connections
	groups  map[uint32]*Group   // guarded by mu
	calls   callPool
	closing sync.Once
	err     error // of the listener's Close
}

// closer is a connection of either kind.
type closer interface {
	// fail closes the connection for a reason.
	fail(error)
	// tick is called every tickInterval.
	tick()
}

// New starts the transport of a node. Calls reach a peer as soon as a
// connection to it is up.
func New(o Options) (*Transport, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	t := &Transport{
		id: o.NodeID, cluster: o.ClusterID, listener: o.Listener,
		secrets: o.Secrets, log: o.Logger, tls: o.TLS, tlsNames: o.TLSNames, faults: o.Fault, clock: o.Clock, connect: o.Dial, raftTimeout: o.RaftTimeout,
		conns: map[closer]struct{}{}, groups: map[uint32]*Group{},
		strangers: newStrangers(),
	}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.handlers[methodFetch].Store(&handler{fn: t.parking.fetch, inline: true})
	t.peers.Store(&map[string]*peer{})
	t.SetPeers(o.Peers)
	t.wg.Go(t.accept)
	t.wg.Go(t.tickLoop)
	return t, nil
}

// all returns the peers by id. Nobody changes the map.
func (t *Transport) all() map[string]*peer { return *t.peers.Load() }

// SetPeers says which nodes there are, and where they are reached from now on. Connections that
// work go on. Nodes that are missing stay known: what they may do is not for the transport to say.
func (t *Transport) SetPeers(addrs map[string]string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	peers := maps.Clone(t.all())
	for id, addr := range addrs {
		switch p := peers[id]; {
		case id == t.id:
		case p == nil:
			p = newPeer(t, id, addr)
			peers[id] = p
			for i := range p.links {
				t.wg.Go(p.links[i].run)
			}
		case p.address() != addr:
			p.addr.Store(&addr)
			p.kickLinks()
		}
	}
	t.peers.Store(&peers)
}

// Close ends all connections and groups and waits until handlers have returned.
func (t *Transport) Close() error {
	t.closing.Do(func() {
		t.mu.Lock()
		t.closed = true
		var conns []closer
		for c := range t.conns {
			conns = append(conns, c)
		}
		var groups []*Group
		for _, g := range t.groups {
			groups = append(groups, g)
		}
		t.mu.Unlock()
		t.err = t.listener.Close()
		for _, g := range groups {
			_ = g.Close() // cannot fail
		}
		// Before the handlers' contexts end: what a handler answers because of
		// that must not reach the caller as if it were a verdict.
		for _, c := range conns {
			c.fail(ErrClosed)
		}
		t.cancel()
	})
	t.wg.Wait()
	return t.err
}

// Call sends req to a peer's handler of m and waits for the reply, which is the
// caller's. req must not be changed afterwards, even if Call gave up. Errors are
// ErrNotSent, ErrInDoubt or *RemoteError, see the package comment. A call to
// this node itself runs the handler directly.
func (t *Transport) Call(ctx context.Context, to string, m Method, req []byte) ([]byte, error) {
	return t.CallParts(ctx, to, m, req)
}

// CallParts is Call with a request in parts. Long ones are sent from where they are.
func (t *Transport) CallParts(ctx context.Context, to string, m Method, req ...[]byte) ([]byte, error) {
	if n := sizeOf(req); n > maxPayload {
		return nil, fmt.Errorf("%w: request of %d bytes is above the limit of %d", ErrNotSent, n, maxPayload)
	}
	hd := t.handlers[m].Load()
	if p := t.all()[to]; p != nil {
		class := linkBulk
		if hd != nil && hd.inline {
			class = linkControl
		}
		return p.call(ctx, class, m, req...)
	}
	if to != t.id {
		return nil, fmt.Errorf("%w: %w: %s", ErrNotSent, ErrUnknownPeer, to)
	}
	if hd == nil {
		return nil, fmt.Errorf("%w: this node has no method %d", ErrNotSent, m)
	}
	reply, err := hd.fn(ctx, t.id, slices.Concat(req...))
	if err != nil {
		return nil, &RemoteError{Peer: t.id, Method: m, Text: err.Error()}
	}
	return reply, nil
}

// start runs fn in a goroutine that Close waits for; false when t is closed.
func (t *Transport) start(fn func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.wg.Go(fn)
	}
	return !t.closed
}

// Connections returns the number of open connections of peers, in either direction.
func (t *Transport) Connections() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.conns)
}

// register counts c among the open connections; false when t is closed.
func (t *Transport) register(c closer) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.conns[c] = struct{}{}
	}
	return !t.closed
}

func (t *Transport) unregister(c closer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.conns, c)
}

// tickLoop probes the peers and ends connections that have fallen silent.
func (t *Transport) tickLoop() {
	ticker := time.NewTicker(tickInterval)
	defer ticker.Stop()
	for id := uint64(1); ; id++ {
		select {
		case <-ticker.C:
		case <-t.ctx.Done():
			return
		}
		for _, p := range t.all() {
			p.tick(id)
		}
		t.parking.tick()
		t.mu.Lock()
		conns := make([]closer, 0, len(t.conns))
		for c := range t.conns {
			conns = append(conns, c)
		}
		t.mu.Unlock()
		for _, c := range conns {
			c.tick()
		}
	}
}
