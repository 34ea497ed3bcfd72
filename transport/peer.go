package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

const (
	tickInterval = 250 * time.Millisecond
	// After so many ticks without a byte from a peer that was probed each time,
	// it is taken for dead. Ticks are counted, not time, so that a process that
	// was itself stopped does not blame its peers when it goes on.
	dialedSilentTicks = 6
	// A large message may keep a busy peer from answering on the connection for
	// big ones. A dead peer is found out by the control link, which takes the
	// others with it.
	bigSilentTicks = 40
	// An acceptor is told of a dead peer by its own connection to it; this only
	// clears away what is left.
	acceptedSilentTicks = 60

	dialTimeout      = time.Second
	handshakeTimeout = 2 * time.Second
	minBackoff       = 20 * time.Millisecond
	maxBackoff       = time.Second
)

// linkClass separates calls that must not wait for each other.
type linkClass uint32

const (
	linkControl linkClass = iota // methods whose handlers never block
	linkBulk                     // other methods
	linkBig                      // messages above bigBytes
	linkHuge                     // requests above hugeBytes
	linkClasses
)

// bigBytes is the size above which a message does not go with the others, hugeBytes that
// above which it may take so long that others of some size must not wait for it.
const (
	bigBytes  = 256 << 10
	hugeBytes = 2 << 20
)

// peer is what this node knows of another one.
type peer struct {
	t     *Transport
	id    string
	addr  atomic.Pointer[string] // a change of members may change it
	links [linkClasses]link

	clock    clockWindow
	rafts    raftConns
	accepted accepted
	secret   atomic.Pointer[[]byte] // the one that the peer has accepted last

	mu sync.Mutex
	up chan struct{} // guarded by mu; closed while the control link is connected

	downTicks int // ticks since the control link broke; owned by the ticker
}

// link keeps one connection to a peer up.
type link struct {
	p     *peer
	class linkClass
	conn  atomic.Pointer[conn]
	down  atomic.Pointer[error] // what Call answers while conn is nil
	kick  chan struct{}         // the peer is reachable: dial now
}

func newPeer(t *Transport, id, addr string) *peer {
	p := &peer{t: t, id: id, up: make(chan struct{})}
	p.addr.Store(&addr)
	for class := range p.links {
		l := &p.links[class]
		l.p, l.class, l.kick = p, linkClass(class), make(chan struct{}, 1)
		l.setDown(ErrPeerDown)
	}
	return p
}

// address is where the peer is reached.
func (p *peer) address() string { return *p.addr.Load() }

func (l *link) setDown(cause error) {
	err := fmt.Errorf("%w: node %s: %w", ErrNotSent, l.p.id, cause)
	l.down.Store(&err)
}

// run dials, reads until the connection ends, and begins again.
func (l *link) run() {
	backoff := minBackoff
	var news linkNews
	for l.p.t.ctx.Err() == nil {
		began := time.Now()
		err := l.runOnce(news.connected)
		if l.p.t.ctx.Err() != nil {
			return
		}
		l.setDown(err)
		if l.class == linkControl {
			l.p.t.log.Log(l.p.t.ctx, news.lost(err), "no connection to node",
				"peer", l.p.id, "address", l.p.address(), "error", err)
		}
		if time.Since(began) > maxBackoff+dialTimeout {
			backoff = minBackoff
		}
		backoff = l.wait(backoff)
	}
}

// linkNews decides how loud the loss of a connection is: once each time, and not at all
// loud for a peer that has not been there yet, as when nodes start one after the other.
type linkNews struct {
	been    bool   // connected at some time
	told    bool   // since it was connected last
	refusal string // the newest one that was told
}

func (n *linkNews) connected() { *n = linkNews{been: true} }

func (n *linkNews) lost(err error) slog.Level {
	level := levelOf(err)
	switch {
	case level == slog.LevelError && err.Error() != n.refusal:
		n.refusal, n.told = err.Error(), true
		return level
	case n.told:
		return slog.LevelDebug
	case n.been:
		n.told = true
		return level
	}
	n.told = true
	return slog.LevelInfo
}

// levelOf tells mistakes of configuration, which stay until somebody acts,
// from peers that are merely away.
func levelOf(err error) slog.Level {
	for _, refusal := range []error{ErrWrongVersion, ErrWrongCluster, ErrWrongNode, ErrUnknownPeer, ErrRefused, ErrSecret, ErrNotLockstep, ErrWrongCertificate} {
		if errors.Is(err, refusal) {
			return slog.LevelError
		}
	}
	return slog.LevelWarn
}

// wait sleeps for about backoff and returns the next, longer one.
func (l *link) wait(backoff time.Duration) time.Duration {
	timer := time.NewTimer(backoff/2 + rand.N(backoff))
	defer timer.Stop()
	select {
	case <-timer.C:
		return min(2*backoff, maxBackoff)
	case <-l.kick:
		return minBackoff
	case <-l.p.t.ctx.Done():
		return backoff
	}
}

// runOnce returns why there is no connection (any more).
func (l *link) runOnce(connected func()) error {
	t := l.p.t
	nc, err := t.dial(l.p, kindRPC, uint32(l.class))
	if err != nil {
		return err
	}
	c := l.p.t.newConn(nc, l.p.id, l.class)
	if l.class >= linkBig {
		c.silentTicks = bigSilentTicks
	}
	if !t.register(c) {
		nc.Close()
		return ErrClosed
	}
	defer t.unregister(c)
	connected()
	l.conn.Store(c)
	if l.class == linkControl {
		t.log.Info("connected to node", "peer", l.p.id, "address", l.p.address())
		l.p.setUp()
	}
	c.fail(c.readReplies(l.p))
	err = c.err // the first reason, which need not be the reader's
	l.setDown(err)
	l.conn.Store(nil)
	if l.class == linkControl {
		l.p.setDown(err)
	}
	c.finish()
	return err
}

func (p *peer) setUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.up)
}

// setDown also ends the other links and the Raft streams, so that nobody waits
// any longer for an answer and all try again as soon as the peer is back.
func (p *peer) setDown(reason error) {
	p.mu.Lock()
	p.up = make(chan struct{})
	p.mu.Unlock()
	for i := range p.links {
		if c := p.links[i].conn.Load(); c != nil {
			c.fail(reason)
		}
	}
	p.rafts.closeAll(false)
}

// upCh is closed while the peer is connected.
func (p *peer) upCh() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.up
}

// tick probes the peer.
func (p *peer) tick(probe uint64) {
	for i := range p.links {
		if c := p.links[i].conn.Load(); c != nil {
			p.ping(c, probe)
		}
	}
	if p.links[linkControl].conn.Load() != nil {
		p.downTicks = 0
	} else if p.downTicks++; time.Duration(p.downTicks)*tickInterval == p.t.raftTimeout.Round(tickInterval) {
		p.rafts.closeAll(true)
	}
}

// kickLinks makes waiting links dial at once: the peer has just dialed us.
func (p *peer) kickLinks() {
	for i := range p.links {
		select {
		case p.links[i].kick <- struct{}{}:
		default:
		}
	}
}

// call sends a request over the link of its class.
func (p *peer) call(ctx context.Context, class linkClass, m Method, req ...[]byte) ([]byte, error) {
	if n := sizeOf(req); n > hugeBytes {
		class = linkHuge
	} else if n > bigBytes {
		class = linkBig
	}
	l := &p.links[class]
	c := l.conn.Load()
	if c == nil {
		return nil, *l.down.Load()
	}
	reply, err := c.call(ctx, m, req...)
	var parked *parkedError
	if errors.As(err, &parked) {
		return p.fetch(ctx, parked)
	}
	return reply, err
}

// fetch gets a large reply over the link that is made for it. The request was
// handled, so whatever goes wrong leaves the caller in doubt.
func (p *peer) fetch(ctx context.Context, parked *parkedError) ([]byte, error) {
	reply, err := p.call(ctx, linkBig, methodFetch, parked.ticket)
	if err != nil {
		return nil, fmt.Errorf("%w: reply of node %s not fetched: %v", ErrInDoubt, p.id, err)
	}
	return reply, nil
}
