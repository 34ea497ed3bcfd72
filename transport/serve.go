package transport

import (
	"bufio"
	"context"
	"fmt"
)

const (
	readBufferBytes = 64 << 10
	// maxRunning bounds the handlers that one connection has running.
	maxRunning = 16 << 10
)

// Method names what a call is about. 255 is taken.
type Method uint8

// Handler answers a request of the node from. req is the handler's to keep;
// the reply must not be changed afterwards. ctx ends with the caller's
// deadline, the connection and the transport; Close waits for handlers.
type Handler func(ctx context.Context, from string, req []byte) ([]byte, error)

type handler struct {
	fn     Handler
	inline bool
}

// Handle sets the handler of m. It runs in a goroutine of its own.
func (t *Transport) Handle(m Method, h Handler) { t.setHandler(m, handler{fn: h}) }

// HandleInline sets the handler of m, which runs on the goroutine that reads
// the connection: it must never block, and req is valid only until it returns.
// Calls of m travel on a connection of their own, apart from other methods', if
// the calling node handles m inline as well.
func (t *Transport) HandleInline(m Method, h Handler) { t.setHandler(m, handler{fn: h, inline: true}) }

func (t *Transport) setHandler(m Method, h handler) {
	if m == methodFetch {
		panic("transport: method 255 is taken")
	}
	t.handlers[m].Store(&h)
}

// serve is the reading goroutine of a connection that a peer dialed. Replies
// that are ready while more requests are waiting to be read leave together.
func (t *Transport) serve(c *conn, in *inbound) error {
	br := bufio.NewReaderSize(c, readBufferBytes)
	for {
		if br.Buffered() < headerBytes {
			c.kick()
		}
		h, err := readHeader(br)
		if err != nil {
			return err
		}
		in.touch()
		switch h.kind {
		case frameRequest:
			err = t.serveRequest(c, br, h)
		case framePing:
			if _, err = br.Discard(h.size); err == nil {
				c.queue(header{kind: framePong, id: h.id}, pongPayload(t.clock.WallMillis()))
			}
		default:
			err = fmt.Errorf("%w: kind %d from a dialer", errBadFrame, h.kind)
		}
		if err != nil {
			return err
		}
	}
}

func (t *Transport) serveRequest(c *conn, br *bufio.Reader, h header) error {
	hd := t.handlers[h.code].Load()
	if hd != nil && hd.inline && h.size <= readBufferBytes {
		if br.Buffered() < h.size {
			c.kick()
		}
		req, err := br.Peek(h.size)
		if err != nil {
			return err
		}
		t.runInline(c, hd.fn, h, req)
		_, err = br.Discard(h.size)
		return err
	}
	if br.Buffered() < h.size {
		c.kick()
	}
	req, err := readPayload(br, h.size)
	if err != nil {
		return err
	}
	switch {
	case hd == nil:
		c.queue(header{kind: frameReply, code: statusNoHandler, id: h.id}, nil)
	case hd.inline:
		t.runInline(c, hd.fn, h, req)
	case c.running.Add(1) > maxRunning:
		c.running.Add(-1)
		c.queue(header{kind: frameReply, code: statusOverloaded, id: h.id}, nil)
	default:
		t.wg.Add(1)
		go t.runHandler(c, hd.fn, h, req)
	}
	return nil
}

func (t *Transport) runInline(c *conn, fn Handler, h header, req []byte) {
	ctx := newRequestCtx(c.ctx, h.timeout)
	reply, err := fn(ctx, c.peer, req)
	defer ctx.finish()
	c.queue(t.replyFrame(c, ctx, h, reply, err))
}

func (t *Transport) runHandler(c *conn, fn Handler, h header, req []byte) {
	defer t.wg.Done()
	defer c.running.Add(-1)
	ctx := newRequestCtx(c.ctx, h.timeout)
	reply, err := fn(ctx, c.peer, req)
	defer ctx.finish()
	_ = c.send(t.replyFrame(c, ctx, h, reply, err)) // the caller noticed that the connection broke
}

func (t *Transport) replyFrame(c *conn, ctx *requestCtx, h header, reply []byte, err error) (header, []byte) {
	out := header{kind: frameReply, id: h.id}
	switch {
	case ctx.gaveUp(err):
		out.code, reply = statusExpired, nil
	case err != nil:
		out.code, reply = statusError, []byte(err.Error())
	case len(reply) > maxPayload:
		out.code, reply = statusError, fmt.Appendf(nil, "reply of %d bytes is above the limit of %d", len(reply), maxPayload)
	case len(reply) > bigBytes && c.class < linkBig:
		out.code, reply = statusParked, t.parking.put(c.peer, reply)
	}
	return out, reply
}
