package transport

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// raftConn is a Raft stream that this node dialed. It belongs to one user at a
// time: a request and its response, a snapshot, or a pipeline.
type raftConn struct {
	nc       net.Conn
	br       *bufio.Reader
	g        *Group
	p        *peer
	snapshot atomic.Bool
	enc      codec

	// Silence is judged by the ticker, which saves setting a deadline per
	// request: waiting requests without progress for limit.
	waiting  atomic.Int64
	progress atomic.Uint64
	limit    atomic.Int64 // a time.Duration
	seen     uint64       // progress at the last tick; owned by the ticker
	stuck    int          // ticks without progress; owned by the ticker

	mu  sync.Mutex
	err error // guarded by mu; why the stream is closed
}

// fail implements closer.
func (c *raftConn) fail(reason error) {
	c.mu.Lock()
	first := c.err == nil
	if first {
		c.err = reason
	}
	c.mu.Unlock()
	if first {
		closeConn(c.nc)
		c.forget()
	}
}

// reason prefers why the stream was closed to how the user noticed it.
func (c *raftConn) reason(noticed error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		noticed = c.err
	}
	return fmt.Errorf("node %s: %w", c.p.id, noticed)
}

func (c *raftConn) alive() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err == nil
}

// tick implements closer.
func (c *raftConn) tick() {
	progress := c.progress.Load()
	if c.waiting.Load() == 0 || progress != c.seen {
		c.seen, c.stuck = progress, 0
		return
	}
	if c.stuck++; time.Duration(c.stuck)*tickInterval >= time.Duration(c.limit.Load()) {
		c.fail(ErrSilent)
	}
}

// begin and end enclose a request.
func (c *raftConn) begin() {
	c.progress.Add(1)
	c.waiting.Add(1)
}

func (c *raftConn) end() {
	c.progress.Add(1)
	c.waiting.Add(-1)
}

func (c *raftConn) send(tag rpcType, m any) error {
	segs, err := c.enc.encodeRaft(uint8(tag), m)
	if err != nil {
		return err
	}
	return writeSegments(c.nc, segs)
}

func writeSegments(nc net.Conn, segs [][]byte) error {
	if len(segs) == 1 {
		_, err := nc.Write(segs[0])
		return err
	}
	bufs := net.Buffers(segs)
	_, err := bufs.WriteTo(nc)
	return err
}

// raftRemoteError is an error that the peer's Raft answered. The stream is in order.
type raftRemoteError struct{ text string }

func (e *raftRemoteError) Error() string { return e.text }

// receive reads a response.
func (c *raftConn) receive(m any) error {
	tag, body, err := readRaft(c.br)
	if err != nil {
		return err
	}
	if tag == raftError {
		return &raftRemoteError{text: string(body)}
	}
	if err := decodeRaft(body, m); err != nil {
		return err
	}
	return c.g.plausible(m)
}

func readRaft(br *bufio.Reader) (tag uint8, body []byte, err error) {
	head, err := br.Peek(raftHeaderBytes)
	if err != nil {
		return 0, nil, err
	}
	size := int(binary.BigEndian.Uint32(head))
	tag = head[4]
	if size > maxPayload {
		return 0, nil, fmt.Errorf("%w: message of %d bytes", errBadRaftMessage, size)
	}
	if _, err := br.Discard(raftHeaderBytes); err != nil {
		return 0, nil, err
	}
	body, err = readPayload(br, size)
	return tag, body, err
}

// roundTrip sends a request and waits for its response. Afterwards the stream
// is either pooled or closed.
func (c *raftConn) roundTrip(tag rpcType, req, resp any) error {
	c.begin()
	err := c.send(tag, req)
	if err == nil {
		err = c.receive(resp)
	}
	c.end()
	var remote *raftRemoteError
	if err == nil || errors.As(err, &remote) {
		c.g.pool.put(c)
		return err
	}
	err = c.reason(err)
	c.fail(err)
	return err
}

// raftConns are the open Raft streams to a peer.
type raftConns struct {
	mu    sync.Mutex
	conns map[*raftConn]struct{} // guarded by mu
}

func (s *raftConns) add(c *raftConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		s.conns = map[*raftConn]struct{}{}
	}
	s.conns[c] = struct{}{}
}

func (s *raftConns) remove(c *raftConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// closeAll ends the streams because the peer is gone. Snapshots under way are
// spared at first: a peer that is merely slow for a moment should not have to
// begin gigabytes again.
func (s *raftConns) closeAll(snapshotsToo bool) {
	s.mu.Lock()
	var doomed []*raftConn
	for c := range s.conns {
		if snapshotsToo || !c.snapshot.Load() {
			doomed = append(doomed, c)
		}
	}
	s.mu.Unlock()
	for _, c := range doomed {
		c.fail(ErrPeerDown)
	}
}

// poolSize is how many idle streams per group and peer are kept: one for
// heartbeats, one for appends outside the pipeline, one for elections.
const poolSize = 3

// raftPool keeps a group's idle streams.
type raftPool struct {
	mu     sync.Mutex
	closed bool                   // guarded by mu
	idle   map[string][]*raftConn // guarded by mu; by peer
}

// get returns an idle stream, or nil.
func (p *raftPool) get(peer string) *raftConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		idle := p.idle[peer]
		if len(idle) == 0 {
			return nil
		}
		c := idle[len(idle)-1]
		p.idle[peer] = idle[:len(idle)-1]
		if c.alive() {
			return c
		}
	}
}

func (p *raftPool) put(c *raftConn) {
	p.mu.Lock()
	if p.idle == nil {
		p.idle = map[string][]*raftConn{}
	}
	keep := !p.closed && c.alive() && len(p.idle[c.p.id]) < poolSize
	if keep {
		p.idle[c.p.id] = append(p.idle[c.p.id], c)
	}
	p.mu.Unlock()
	if !keep {
		c.fail(ErrClosed)
	}
}

func (p *raftPool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.idle = nil // the group closes all its streams
}

// adopt makes a stream of a new connection. It enters all lists before it looks
// whether one of them was closed meanwhile.
func (g *Group) adopt(nc net.Conn, p *peer) (*raftConn, error) {
	c := &raftConn{nc: nc, br: bufio.NewReaderSize(nc, 4096), g: g, p: p}
	p.rafts.add(c)
	g.mu.Lock()
	open := !g.closed
	g.dialed[c] = struct{}{}
	g.mu.Unlock()
	if !g.t.register(c) || !open {
		c.fail(ErrClosed)
	}
	if !c.alive() {
		c.forget() // again: it failed while it entered the lists
		return nil, c.reason(ErrClosed)
	}
	return c, nil
}

// forget takes c off all lists.
func (c *raftConn) forget() {
	c.p.rafts.remove(c)
	c.g.mu.Lock()
	delete(c.g.dialed, c)
	c.g.mu.Unlock()
	c.g.t.unregister(c)
}

func (g *Group) addStream(s *raftStream) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.streams[s] = struct{}{}
	}
	return !g.closed
}

func (g *Group) removeStream(s *raftStream) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.streams, s)
}
