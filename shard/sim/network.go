package sim

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"time"
)

// Network connects the nodes of a simulation. A connection's bytes arrive in order
// and late; while a direction is cut they are held back, as by a cable that is out,
// and a connection that is broken loses what is under way.
type Network struct {
	mu        sync.Mutex
	rng       *rand.Rand           // guarded by mu
	listeners map[string]*listener // guarded by mu; by address, which is a node's id
	cut       map[[2]string]bool   // guarded by mu; from, to
	changed   chan struct{}        // guarded by mu; closed at each change of cut
	conns     map[*conn]struct{}   // guarded by mu
	latency   func(*rand.Rand) time.Duration
}

// NewNetwork returns a network without nodes.
func NewNetwork(seed uint64) *Network {
	return &Network{
		rng: rand.New(rand.NewPCG(seed, 1)), listeners: map[string]*listener{}, cut: map[[2]string]bool{},
		changed: make(chan struct{}), conns: map[*conn]struct{}{}, latency: usualLatency,
	}
}

// usualLatency is that of a local network on which a packet is lost now and then.
func usualLatency(rng *rand.Rand) time.Duration {
	switch rng.IntN(100) {
	case 0:
		return time.Duration(20+rng.IntN(200)) * time.Millisecond
	case 1, 2, 3:
		return time.Duration(2+rng.IntN(8)) * time.Millisecond
	}
	return time.Duration(100+rng.IntN(400)) * time.Microsecond
}

var errRefused = errors.New("connection refused")

// dialTimeout is how long a connection over a link that is cut is tried.
const dialTimeout = time.Second

// Listen opens the port of a node.
func (n *Network) Listen(id string) net.Listener {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := &listener{n: n, id: id, queue: make(chan *conn, 16), done: make(chan struct{})}
	n.listeners[id] = l
	return l
}

// Dial connects node from to node to.
func (n *Network) Dial(ctx context.Context, from, to string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	for {
		n.mu.Lock()
		l, blocked, changed := n.listeners[to], n.cut[[2]string{from, to}] || n.cut[[2]string{to, from}], n.changed
		n.mu.Unlock()
		if !blocked && l == nil {
			return nil, errRefused
		}
		if !blocked {
			return n.connect(ctx, l, from, to)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (n *Network) connect(ctx context.Context, l *listener, from, to string) (net.Conn, error) {
	there, back := newPipe(n, from, to), newPipe(n, to, from)
	a, b := &conn{n: n, in: back, out: there, local: from, remote: to}, &conn{n: n, in: there, out: back, local: to, remote: from}
	select {
	case l.queue <- b:
	case <-l.done:
		return nil, errRefused
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.conns[a], n.conns[b] = struct{}{}, struct{}{}
	return a, nil
}

// Cut holds back what goes from one node to another, until Heal.
func (n *Network) Cut(from, to string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[[2]string{from, to}] = true
	n.change()
}

// Mend ends the cuts between two nodes.
func (n *Network) Mend(a, b string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.cut, [2]string{a, b})
	delete(n.cut, [2]string{b, a})
	n.change()
}

// Heal ends all cuts.
func (n *Network) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.cut)
	n.change()
}

// change is called with mu held.
func (n *Network) change() {
	close(n.changed)
	n.changed = make(chan struct{})
}

// Break ends the connections between two nodes, or all of a node when the other
// is empty. What is under way is lost.
func (n *Network) Break(a, b string) {
	n.mu.Lock()
	var doomed []*conn
	for c := range n.conns {
		if c.local == a && (b == "" || c.remote == b) || c.remote == a && (b == "" || c.local == b) {
			doomed = append(doomed, c)
		}
	}
	n.mu.Unlock()
	for _, c := range doomed {
		c.Close()
	}
}

func (n *Network) delay() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.latency(n.rng)
}

func (n *Network) open(from, to string) (open bool, changed <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.cut[[2]string{from, to}], n.changed
}

type listener struct {
	n     *Network
	id    string
	queue chan *conn
	done  chan struct{}
	once  sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() {
		l.n.mu.Lock()
		if l.n.listeners[l.id] == l {
			delete(l.n.listeners, l.id)
		}
		l.n.mu.Unlock()
		close(l.done)
	})
	return nil
}

func (l *listener) Addr() net.Addr { return addr(l.id) }

type addr string

func (a addr) Network() string { return "sim" }
func (a addr) String() string  { return string(a) }

// pipe is one direction of a connection. Writing never waits: a writer that held a
// lock meanwhile would stop virtual time.
type pipe struct {
	n        *Network
	from, to string

	mu       sync.Mutex
	queue    []segment     // guarded by mu
	last     time.Time     // guarded by mu; when the newest segment arrives
	closed   bool          // guarded by mu
	deadline time.Time     // guarded by mu; of the reader
	wake     chan struct{} // capacity 1: something of the above changed
}

type segment struct {
	at   time.Time
	data []byte
}

func newPipe(n *Network, from, to string) *pipe {
	return &pipe{n: n, from: from, to: to, wake: make(chan struct{}, 1)}
}

func (p *pipe) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *pipe) write(b []byte) (int, error) {
	delay := p.n.delay()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return 0, net.ErrClosed
	}
	if at := time.Now().Add(delay); at.After(p.last) {
		p.last = at
	}
	p.queue = append(p.queue, segment{at: p.last, data: append([]byte(nil), b...)})
	p.nudge()
	return len(b), nil
}

func (p *pipe) read(b []byte) (int, error) {
	for {
		open, changed := p.n.open(p.from, p.to)
		n, wait, err := p.take(b, open)
		if n > 0 || err != nil {
			return n, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-p.wake:
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// take reads what has arrived, or says how long to wait for more.
func (p *pipe) take(b []byte, open bool) (n int, wait time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	switch {
	case p.closed:
		return 0, 0, io.EOF
	case !p.deadline.IsZero() && !now.Before(p.deadline):
		return 0, 0, os.ErrDeadlineExceeded
	}
	wait = time.Hour
	if !p.deadline.IsZero() {
		wait = p.deadline.Sub(now)
	}
	if len(p.queue) == 0 || !open {
		return 0, wait, nil
	}
	head := &p.queue[0]
	if until := head.at.Sub(now); until > 0 {
		return 0, min(wait, until), nil
	}
	n = copy(b, head.data)
	if head.data = head.data[n:]; len(head.data) == 0 {
		p.queue = p.queue[1:]
	}
	return n, 0, nil
}

func (p *pipe) close() {
	p.mu.Lock()
	p.closed, p.queue = true, nil
	p.mu.Unlock()
	p.nudge()
}

// conn is one end of a connection.
type conn struct {
	n             *Network
	in, out       *pipe
	local, remote string
}

func (c *conn) Read(b []byte) (int, error)  { return c.in.read(b) }
func (c *conn) Write(b []byte) (int, error) { return c.out.write(b) }

func (c *conn) Close() error {
	c.n.mu.Lock()
	delete(c.n.conns, c)
	c.n.mu.Unlock()
	c.in.close()
	c.out.close()
	return nil
}

func (c *conn) LocalAddr() net.Addr  { return addr(c.local) }
func (c *conn) RemoteAddr() net.Addr { return addr(c.remote) }

func (c *conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

func (c *conn) SetReadDeadline(t time.Time) error {
	c.in.mu.Lock()
	c.in.deadline = t
	c.in.mu.Unlock()
	c.in.nudge()
	return nil
}

func (c *conn) SetWriteDeadline(time.Time) error { return nil } // writing never waits
