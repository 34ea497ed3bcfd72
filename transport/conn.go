package transport

import (
	"context"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
)

// conn is one multiplexed connection. It has exactly one reading goroutine,
// which owns it. There is no writing goroutine: whoever has a frame writes it
// himself, together with what others added meanwhile, as long as the socket
// takes it without waiting. Only when it does not, a goroutine is started that
// writes until the queue is empty. So an idle connection costs a caller one
// system call and no hand-over, a busy one writes many frames per system call,
// and a peer that does not read blocks nobody.
type conn struct {
	nc    net.Conn
	try   *tryWriter // nil: TLS or faults, which cannot write without waiting
	peer  string
	pool  *callPool
	class linkClass

	// ctx ends with the connection; handlers get a child of it.
	ctx    context.Context
	cancel context.CancelFunc

	heard atomic.Bool // something arrived (or a long write advanced) since the last tick
	quiet int         // ticks without that; owned by the ticker
	// silentTicks is how many of those end the connection.
	silentTicks int

	running atomic.Int32 // handlers

	mu      sync.Mutex
	idle    sync.Cond // signalled when writing ends; uses mu
	out     outbox    // guarded by mu
	writing bool      // guarded by mu; somebody is writing
	err     error     // guarded by mu; why the connection is closed
	calls   callTable // guarded by mu
}

func (t *Transport) newConn(nc net.Conn, peer string, class linkClass) *conn {
	c := &conn{nc: nc, pool: &t.calls, try: newTryWriter(nc), peer: peer, class: class, silentTicks: dialedSilentTicks}
	c.idle.L = &c.mu
	c.ctx, c.cancel = context.WithCancel(t.ctx)
	return c
}

// send queues a frame and sees to it that it is written. Its error is the one
// that closed the connection; then nothing was queued.
func (c *conn) send(h header, payload []byte) error {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return c.err
	}
	c.out.add(h, payload)
	c.unlockAndWrite()
	return nil
}

// queue adds a frame that leaves with the next write.
func (c *conn) queue(h header, payload []byte) {
	c.mu.Lock()
	if c.err == nil {
		c.out.add(h, payload)
	}
	c.mu.Unlock()
}

// kick writes what is queued.
func (c *conn) kick() {
	c.mu.Lock()
	if c.out.empty() {
		c.mu.Unlock()
		return
	}
	c.unlockAndWrite()
}

// unlockAndWrite must be called with mu held and a frame queued. It lets go of mu.
func (c *conn) unlockAndWrite() {
	if c.writing {
		c.mu.Unlock()
		return
	}
	c.writing = true
	busy := c.calls.used > 1 || c.running.Load() > 1
	c.mu.Unlock()
	if busy {
		// Others are at work: those that are ready to send join this write.
		runtime.Gosched()
	}
	// A caller does not serve others for ever.
	for range 3 {
		segs, last, more := c.next()
		if !more {
			return
		}
		if c.try == nil || len(segs) > 0 {
			go c.drain(segs, last)
			return
		}
		n, err := c.try.write(last)
		if err != nil {
			c.fail(err)
		} else if n < len(last) {
			go c.drain(nil, last[n:])
			return
		}
		c.recycle(last)
	}
	go c.drain(nil, nil)
}

// next takes the queue, or ends writing when there is none.
func (c *conn) next() (segs [][]byte, last []byte, more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out.empty() || c.err != nil {
		c.writing = false
		c.idle.Broadcast()
		return nil, nil, false
	}
	segs, last = c.out.take()
	return segs, last, true
}

func (c *conn) recycle(b []byte) {
	c.mu.Lock()
	c.out.recycle(b)
	c.mu.Unlock()
}

// drain writes, waiting for the socket where needed, until the queue is empty.
func (c *conn) drain(segs [][]byte, last []byte) {
	for {
		for i, seg := range append(segs, last) {
			if err := c.writeChunks(seg, i == len(segs)); err != nil {
				c.fail(err)
				break
			}
		}
		var more bool
		if segs, last, more = c.next(); !more {
			return
		}
	}
}

// writeChunks writes b. All but the end of the queue's last segment counts as
// a sign of life, because the socket had room for more.
func (c *conn) writeChunks(b []byte, isLast bool) error {
	for len(b) > 0 {
		n, err := c.nc.Write(b[:min(len(b), chunkBytes)])
		if err != nil {
			return err
		}
		if b = b[n:]; len(b) > 0 || !isLast {
			c.heard.Store(true)
		}
	}
	return nil
}

// fail closes the connection and fails the calls in flight. The first reason
// is kept.
func (c *conn) fail(reason error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = reason
	waiting := c.calls.takeAll()
	c.out = outbox{}
	c.mu.Unlock()
	c.cancel()
	closeConn(c.nc)
	for _, cl := range waiting {
		cl.err = reason
		cl.done <- struct{}{}
	}
}

// finish waits until nobody writes any more. Its caller has made c fail.
func (c *conn) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.writing {
		c.idle.Wait()
	}
}

// tick implements closer.
func (c *conn) tick() {
	if c.heard.Swap(false) {
		c.quiet = 0
		return
	}
	if c.quiet++; c.quiet >= c.silentTicks {
		c.fail(ErrSilent)
	}
}

// Read reads from the connection and notes the sign of life.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.nc.Read(p)
	if n > 0 && !c.heard.Load() {
		c.heard.Store(true)
	}
	return n, err
}
