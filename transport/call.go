package transport

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"
)

// call is a request that waits for its reply. done is signalled exactly once,
// by whoever takes the call out of its table.
type call struct {
	done    chan struct{}
	status  uint8
	payload []byte
	err     error // the connection broke
}

// callPool keeps calls that are over, for the connections of a transport.
type callPool struct{ free sync.Pool }

func (p *callPool) get() *call {
	if cl, ok := p.free.Get().(*call); ok {
		return cl
	}
	return &call{done: make(chan struct{}, 1)}
}

func (p *callPool) put(cl *call) {
	cl.payload, cl.err = nil, nil
	p.free.Put(cl)
}

// callTable finds calls by id. An id is a slot and how often that slot was
// used, so that a late reply never meets another call.
type callTable struct {
	slots []callSlot
	free  []uint32
	used  int
}

type callSlot struct {
	cl  *call
	gen uint32
}

func (t *callTable) add(cl *call) (id uint64) {
	var i uint32
	if n := len(t.free); n > 0 {
		i, t.free = t.free[n-1], t.free[:n-1]
	} else {
		i = uint32(len(t.slots))
		t.slots = append(t.slots, callSlot{})
	}
	s := &t.slots[i]
	s.cl = cl
	s.gen++
	t.used++
	return uint64(s.gen)<<32 | uint64(i)
}

// take removes the call with that id; nil when there is none any more.
func (t *callTable) take(id uint64) *call {
	i, gen := uint32(id), uint32(id>>32)
	if uint64(i) >= uint64(len(t.slots)) || t.slots[i].gen != gen || t.slots[i].cl == nil {
		return nil
	}
	cl := t.slots[i].cl
	t.slots[i].cl = nil
	t.free = append(t.free, i)
	t.used--
	return cl
}

func (t *callTable) takeAll() []*call {
	var all []*call
	for _, s := range t.slots {
		if s.cl != nil {
			all = append(all, s.cl)
		}
	}
	*t = callTable{}
	return all
}

// call sends a request and waits for the reply or ctx's end.
func (c *conn) call(ctx context.Context, m Method, req ...[]byte) ([]byte, error) {
	h := header{kind: frameRequest, code: uint8(m)}
	if deadline, ok := ctx.Deadline(); ok {
		h.timeout = time.Until(deadline)
		if h.timeout <= 0 {
			return nil, fmt.Errorf("%w: %w", ErrNotSent, context.DeadlineExceeded)
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	cl := c.pool.get()
	c.mu.Lock()
	if c.err != nil || c.out.bytes > backlogBytes {
		err := c.err
		c.mu.Unlock()
		c.pool.put(cl)
		if err == nil {
			err = fmt.Errorf("more than %d bytes are waiting", backlogBytes)
		}
		return nil, fmt.Errorf("%w: node %s: %w", ErrNotSent, c.peer, err)
	}
	h.id = c.calls.add(cl)
	c.out.add(h, req...)
	c.unlockAndWrite()

	select {
	case <-cl.done:
	case <-ctx.Done():
		c.mu.Lock()
		mine := c.calls.take(h.id) != nil
		c.mu.Unlock()
		if mine {
			c.pool.put(cl)
			return nil, fmt.Errorf("%w: node %s: %w", ErrInDoubt, c.peer, ctx.Err())
		}
		<-cl.done // the reply came first after all
	}
	status, payload, err := cl.status, cl.payload, cl.err
	c.pool.put(cl)
	return c.result(m, status, payload, err)
}

func (c *conn) result(m Method, status uint8, payload []byte, err error) ([]byte, error) {
	if err != nil {
		return nil, fmt.Errorf("%w: connection to node %s lost: %w", ErrInDoubt, c.peer, err)
	}
	switch status {
	case statusOK:
		return payload, nil
	case statusError:
		return nil, &RemoteError{Peer: c.peer, Method: m, Text: string(payload)}
	case statusNoHandler:
		return nil, fmt.Errorf("%w: node %s has no method %d", ErrNotSent, c.peer, m)
	case statusOverloaded:
		return nil, fmt.Errorf("%w: node %s runs too many requests", ErrNotSent, c.peer)
	case statusExpired:
		return nil, fmt.Errorf("%w: node %s: %w", ErrInDoubt, c.peer, context.DeadlineExceeded)
	case statusParked:
		if len(payload) == ticketBytes {
			return nil, &parkedError{ticket: payload}
		}
	}
	return nil, fmt.Errorf("%w: node %s sent a reply of unknown status %d", ErrInDoubt, c.peer, status)
}

// readReplies is the reading goroutine of a connection that this node dialed.
// It returns why the connection ended.
func (c *conn) readReplies(p *peer) error {
	br := bufio.NewReaderSize(c, readBufferBytes)
	for {
		h, err := readHeader(br)
		if err != nil {
			return err
		}
		payload, err := readPayload(br, h.size)
		if err != nil {
			return err
		}
		switch h.kind {
		case frameReply:
			c.deliver(h, payload)
		case framePong:
			if len(payload) != 8 {
				return fmt.Errorf("%w: pong of %d bytes", errBadFrame, len(payload))
			}
			p.pong(c, h.id, int64(binary.BigEndian.Uint64(payload)))
		default:
			return fmt.Errorf("%w: kind %d from an acceptor", errBadFrame, h.kind)
		}
	}
}

func (c *conn) deliver(h header, payload []byte) {
	c.mu.Lock()
	cl := c.calls.take(h.id)
	c.mu.Unlock()
	if cl != nil {
		cl.status, cl.payload = h.code, payload
		cl.done <- struct{}{}
	}
}
