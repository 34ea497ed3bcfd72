package transport

import (
	"errors"
	"maps"
	"net"
	"os"
	"sync"
	"time"
)

// Direction tells from this node's view which way bytes travel.
type Direction uint8

// Directions can be combined.
const (
	Inbound  Direction = 1 << iota // from the peer to this node
	Outbound                       // from this node to the peer
	Both     = Inbound | Outbound
)

// Fault is what happens to the traffic with a peer.
type Fault uint8

const (
	// Healthy lets everything through.
	Healthy Fault = iota
	// Drop lets no byte through while connections stay, like a cable that was
	// cut. As TCP sends again what was lost, bytes of a connection that
	// outlives the fault arrive after it.
	Drop
	// Refuse breaks the connections that were dialed in the direction and
	// refuses new ones, like a firewall that answers or a process that died.
	Refuse
)

var errFaultRefused = errors.New("connection refused (injected fault)")

// Faults is the switchboard of a node's connections for tests and the
// fault-injection harness. It is safe for concurrent use.
type Faults struct {
	mu      sync.Mutex
	in, out map[string]Fault        // guarded by mu; by peer
	held    map[string]int64        // guarded by mu; how often a drop held up what came from a peer
	conns   map[*faultConn]struct{} // guarded by mu
	changed chan struct{}           // guarded by mu; closed at each change
}

// NewFaults returns a switchboard with everything healthy.
func NewFaults() *Faults {
	return &Faults{
		in: map[string]Fault{}, out: map[string]Fault{}, held: map[string]int64{},
		conns: map[*faultConn]struct{}{}, changed: make(chan struct{}),
	}
}

// Set changes what happens to the traffic with peer in the given directions.
func (f *Faults) Set(peer string, dir Direction, fault Fault) {
	f.mu.Lock()
	if dir&Inbound != 0 {
		f.in[peer] = fault
	}
	if dir&Outbound != 0 {
		f.out[peer] = fault
	}
	var broken []*faultConn
	for c := range f.conns {
		if fault == Refuse && c.peer == peer && dir&c.dialed != 0 {
			broken = append(broken, c)
		}
	}
	close(f.changed)
	f.changed = make(chan struct{})
	f.mu.Unlock()
	for _, c := range broken {
		c.Close()
	}
}

// Heal makes everything healthy again.
func (f *Faults) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.in)
	clear(f.out)
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *Faults) fault(peer string, dir Direction) (Fault, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if dir == Inbound {
		return f.in[peer], f.changed
	}
	return f.out[peer], f.changed
}

// Held returns how often a drop has held up bytes or connections between this node
// and each peer, by what came from the peer.
func (f *Faults) Held() map[string]int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.held)
}

func (f *Faults) noteHeld(peer string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held[peer]++
}

// dial is asked before a connection to peer is made. It returns nil when f is
// nil or the way is free, and waits as long as a SYN would without an answer.
func (f *Faults) dial(peer string, timeout time.Duration, stop <-chan struct{}) error {
	if f == nil {
		return nil
	}
	if fault, _ := f.fault(peer, Outbound); fault == Refuse {
		return errFaultRefused
	}
	deadline := time.Now().Add(timeout)
	for _, dir := range []Direction{Outbound, Inbound} {
		if err := f.pass(peer, dir, deadline, stop); err != nil {
			return err
		}
	}
	return nil
}

// pass returns when bytes may travel in dir.
func (f *Faults) pass(peer string, dir Direction, deadline time.Time, stop <-chan struct{}) error {
	for first := true; ; first = false {
		fault, changed := f.fault(peer, dir)
		if fault != Drop {
			return nil
		}
		if first && dir == Inbound {
			f.noteHeld(peer)
		}
		var expired <-chan time.Time
		var timer *time.Timer
		if !deadline.IsZero() {
			timer = time.NewTimer(time.Until(deadline))
			expired = timer.C
		}
		select {
		case <-changed:
		case <-stop:
			return net.ErrClosed
		case <-expired:
			return os.ErrDeadlineExceeded
		}
		if timer != nil {
			timer.Stop()
		}
	}
}

// wrap puts conn under f's control; with a nil f it is conn itself. dialed is
// Outbound when this node dialed it.
func (f *Faults) wrap(conn net.Conn, peer string, dialed Direction) (net.Conn, error) {
	if f == nil {
		return conn, nil
	}
	if fault, _ := f.fault(peer, dialed); fault == Refuse {
		return nil, errFaultRefused
	}
	c := &faultConn{Conn: conn, f: f, peer: peer, dialed: dialed, closed: make(chan struct{})}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conns[c] = struct{}{}
	return c, nil
}

// faultConn is a connection whose bytes pass only while its directions do.
type faultConn struct {
	net.Conn
	f      *Faults
	peer   string
	dialed Direction
	once   sync.Once
	closed chan struct{}

	mu            sync.Mutex
	readDeadline  time.Time // guarded by mu
	writeDeadline time.Time // guarded by mu
}

func (c *faultConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	deadline := c.readDeadline
	c.mu.Unlock()
	// After a deadline the bytes are lost; like after any failed read, whoever
	// reads gives the connection up.
	if perr := c.f.pass(c.peer, Inbound, deadline, c.closed); perr != nil {
		return 0, perr
	}
	return n, err
}

func (c *faultConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	deadline := c.writeDeadline
	c.mu.Unlock()
	if err := c.f.pass(c.peer, Outbound, deadline, c.closed); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (c *faultConn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.f.mu.Lock()
		delete(c.f.conns, c)
		c.f.mu.Unlock()
	})
	return c.Conn.Close()
}

func (c *faultConn) SetDeadline(at time.Time) error {
	c.mu.Lock()
	c.readDeadline, c.writeDeadline = at, at
	c.mu.Unlock()
	return c.Conn.SetDeadline(at)
}

func (c *faultConn) SetReadDeadline(at time.Time) error {
	c.mu.Lock()
	c.readDeadline = at
	c.mu.Unlock()
	return c.Conn.SetReadDeadline(at)
}

func (c *faultConn) SetWriteDeadline(at time.Time) error {
	c.mu.Lock()
	c.writeDeadline = at
	c.mu.Unlock()
	return c.Conn.SetWriteDeadline(at)
}
