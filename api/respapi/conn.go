package respapi

import (
	"bytes"
	"container/list"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockstepkv/lockstep/api/clientmem"
	"github.com/lockstepkv/lockstep/api/request"
	"github.com/lockstepkv/lockstep/internal/hangup"
	"github.com/lockstepkv/lockstep/internal/linger"
	"github.com/lockstepkv/lockstep/resp"
)

const (
	chunkCommands = 1024    // of a pipeline in one DoPipeline
	chunkBytes    = 1 << 20 // of arguments in one DoPipeline

	thinBytes   = 3 << 10 // what an idle connection's buffers may hold
	bigBytes    = 128 << 10
	shrinkTicks = 2 // ticks without a byte after which buffers are given back
	yieldTicks  = 3 // ticks without a byte after which a long request makes room for others that wait

	refusalPatience = 250 * time.Millisecond
)

// What a connection's goroutine does, for the janitor.
const (
	phaseRun  uint32 = iota // anything but reading
	phaseWait               // waits for a client that sends nothing
	phaseRead               // waits for the rest of a request
)

// conn is one connection. Its goroutine owns everything but the atomics and
// what outMu guards.
type conn struct {
	srv  *Server
	nc   net.Conn
	sess Session
	r    *resp.Reader

	stranger bool // see settle

	outMu sync.Mutex
	w     *resp.Writer // guarded by outMu
	out   *output      // written to under outMu
	push  *pushes      // taken from under outMu

	phase   atomic.Uint32
	since   atomic.Uint32 // tick at which the read began that is blocked now
	writing atomic.Uint32 // likewise for a write, plus one; 0: no write is blocked

	mem *clientmem.Account // what the connection holds

	strange *list.Element // in srv.strangers; guarded by srv.mu
	met     uint32        // tick since which it is a stranger; guarded by srv.mu

	bytesIn  int64 // since the last report
	bytesOut int64 // guarded by outMu
}

// batch is the scratch space of one chunk. Connections share them, so that
// idle ones hold none.
type batch struct {
	cmds [][][]byte
	out  []resp.Value
}

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{srv: s, nc: nc}
	c.since.Store(s.ticks.Load())
	c.r = resp.NewReader(source{c}, s.opt.Limits)
	c.out = newOutput(c)
	c.w = resp.NewWriter(c.out)
	c.push = &pushes{c: c}
	c.sess = s.opt.Backend.Open(nc.RemoteAddr().String(), nc.LocalAddr().String(), peer{c})
	c.mem = c.sess.Memory()
	c.mem.Add(clientmem.Base, restBytes)
	c.push.begin()
	return c
}

// peer is the connection as its session sees it.
type peer struct{ c *conn }

func (p peer) Kill()                    { p.c.expel("it was told to go") }
func (p peer) Gone() bool               { return hangup.Seen(p.c.nc) }
func (p peer) Push(encoded []byte) bool { return p.c.push.add(encoded) }

// restBytes is about what a connection takes besides its buffers: its goroutine's
// stack, the socket, the session.
const restBytes = 6 << 10

// commandBytes is about what a command takes while its chunk runs: its arguments' slice,
// its place in a run, its reply.
const commandBytes = 160

// noteMemory is called before a read and before a chunk runs that has so many commands
// with so many bytes of arguments.
func (c *conn) noteMemory(commands, args int) {
	c.mem.Set(clientmem.Query, c.r.Held()+int64(commands)*commandBytes)
	c.mem.Filled.Store(c.r.Filled())
	c.mem.Args.Store(int64(args))
}

// elemBytes is about what an element of a reply takes: the resp.Value, and a short
// string. Long strings are the store's own.
const elemBytes = 80

// noteReplies counts replies with many elements while they are encoded.
func (c *conn) noteReplies(out []resp.Value) {
	n := int64(0)
	for i := range out {
		if len(out[i].Elems) > 0 {
			n += elements(&out[i])
		}
	}
	c.mem.Set(clientmem.Reply, int64(c.w.Held())+n*elemBytes)
}

func elements(v *resp.Value) int64 {
	n := int64(len(v.Elems))
	for i := range v.Elems {
		if len(v.Elems[i].Elems) > 0 {
			n += elements(&v.Elems[i])
		}
	}
	return n
}

// serve runs the connection to its end.
func (c *conn) serve() {
	defer c.finish()
	if err := c.greet(); err != nil {
		c.srv.opt.Logger.Debug("closing a client", "client", c.nc.RemoteAddr(), "reason", err)
		return
	}
	c.stranger = true // admit may have counted it so
	for !c.srv.closing() {
		auth := c.settle()
		c.r.Restrict(auth)
		first, err := c.r.ReadCommand()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			c.resume()
		case err != nil:
			c.fail(err)
			return
		case !c.chunk(first, auth):
			return
		}
	}
}

// finish lets the client have its replies, though it sends nothing any more.
func (c *conn) finish() {
	c.push.end()
	_ = c.out.finish()
	c.srv.forget(c)
	c.sess.Close()
	c.r.Close()
	_ = c.nc.Close()
}

// chunk runs first and the commands that came with it. It returns false when
// the connection is at its end.
func (c *conn) chunk(first [][]byte, auth bool) bool {
	b := c.srv.batches.Get().(*batch)
	hostile := c.gather(b, first, auth)
	ok := c.run(b) && !hostile
	clear(b.cmds)
	clear(b.out)
	b.cmds, b.out = b.cmds[:0], b.out[:0]
	c.srv.batches.Put(b)
	c.r.Release()
	return ok
}

// gather collects what can be read without waiting. A client that has yet to
// authenticate goes one by one, because that decides how much it may send.
// The last result tells that a web browser was made to speak to us: what it
// sends is neither run nor answered.
func (c *conn) gather(b *batch, first [][]byte, auth bool) (hostile bool) {
	cmd, size := first, 0
	for {
		if isHTTP(cmd[0]) {
			c.srv.opt.Logger.Warn("a client speaks HTTP to the Redis port, as in a cross protocol scripting attack",
				"client", c.nc.RemoteAddr())
			return true
		}
		b.cmds = append(b.cmds, cmd)
		for _, arg := range cmd {
			size += len(arg)
		}
		if auth || len(b.cmds) == chunkCommands || size >= chunkBytes || !c.r.Buffered() {
			break
		}
		var err error
		if cmd, err = c.r.ReadCommand(); err != nil {
			break // it comes again once these commands are answered
		}
	}
	c.noteMemory(len(b.cmds), size)
	return false
}

// isHTTP recognizes the first words that Redis takes for an attack.
func isHTTP(name []byte) bool {
	switch len(name) {
	case 4:
		return name[0]|0x20 == 'p' && bytes.EqualFold(name, []byte("post"))
	case 5:
		return name[4] == ':' && bytes.EqualFold(name, []byte("host:"))
	}
	return false
}

// run executes the chunk and writes the replies.
func (c *conn) run(b *batch) bool {
	for rest := b.cmds; len(rest) > 0; rest = rest[len(b.out):] {
		b.out = c.sess.DoPipeline(c.srv.ctx, rest, b.out[:0])
		if len(b.out) == 0 {
			c.srv.opt.Logger.Error("a pipeline got no reply", "client", c.nc.RemoteAddr())
			return false
		}
		c.settle() // before the client reads that it is in: strangers make room for others
		if c.write(b.out) != nil {
			return false
		}
		if c.sess.Closing() {
			c.linger()
			return false
		}
	}
	return c.flush() == nil
}

// settle counts the connection among the strangers, or no longer, and reports whether it
// is one.
func (c *conn) settle() (stranger bool) {
	if stranger = c.sess.NeedsAuth(); stranger != c.stranger {
		c.stranger = stranger
		c.srv.encounter(c, stranger)
	}
	return stranger
}

func (c *conn) write(out []resp.Value) error {
	c.outMu.Lock()
	defer c.outMu.Unlock()
	if err := c.push.write(); err != nil {
		return err
	}
	if c.sess.Muted() {
		return nil
	}
	c.w.SetProto(c.sess.Proto())
	c.noteReplies(out)
	for i := range out {
		if err := c.w.WriteValue(out[i]); err != nil {
			return err
		}
	}
	return nil
}

func (c *conn) flush() error {
	c.outMu.Lock()
	defer c.outMu.Unlock()
	err := c.w.Flush()
	c.mem.Set(clientmem.Reply, int64(c.w.Held()))
	c.srv.opt.Backend.CountNetwork(c.bytesIn, c.bytesOut)
	c.bytesIn, c.bytesOut = 0, 0
	return err
}

// fail answers what cannot be read, and closes.
func (c *conn) fail(err error) {
	var wrong *resp.ProtocolError
	var reply resp.Value
	switch {
	case errors.As(err, &wrong):
		reply = resp.Err(wrong.Text)
	case errors.Is(err, resp.ErrBudget):
		reply = request.CodeOverloaded.Reply("this node holds too many bytes of unfinished requests, nothing was executed")
	default:
		return // the client is gone
	}
	c.srv.opt.Logger.Debug("closing a client", "client", c.nc.RemoteAddr(), "reason", err)
	if c.write([]resp.Value{reply}) == nil {
		c.linger()
	}
}

// linger sends the last replies so that the client can read them: a socket that is
// closed with unread input would reset the connection and might take them along.
func (c *conn) linger() {
	if c.flush() == nil && c.out.finish() == nil {
		c.phase.Store(phaseRun)
		c.r.Close() // others may wait for its memory
		c.noteMemory(0, 0)
		bounds := linger.Client()
		if c.stranger {
			bounds = linger.Stranger()
		}
		c.srv.discarded.Add(linger.End(c.nc, bounds.Least(c.srv.opt.patience), c.srv.closing))
	}
}

// resume follows a read that was broken off by wake.
func (c *conn) resume() {
	c.r.Shrink()
	c.outMu.Lock()
	c.w.Shrink()
	c.mem.Set(clientmem.Reply, int64(c.w.Held()))
	c.outMu.Unlock()
	// Server.Close sets its mark before the deadline: whichever way these two
	// meet, either the deadline stays or serve sees the mark.
	_ = c.nc.SetReadDeadline(time.Time{})
}

// wake breaks off a read that is blocked. Safe from any goroutine.
func (c *conn) wake() { _ = c.nc.SetReadDeadline(time.Unix(1, 0)) }

// inspect is the janitor's look at the connection. idle and stall are in ticks,
// 0 for never.
func (c *conn) inspect(now, idle, stall uint32) {
	if began := c.writing.Load(); began != 0 && now-(began-1) >= stall {
		c.expel("replies are not read")
		return
	}
	if c.push.overdue(now) {
		c.push.cut()
		return
	}
	phase, age := c.phase.Load(), now-c.since.Load()
	held := c.mem.Of(clientmem.Query)
	switch {
	case phase == phaseRun:
	case phase == phaseRead && held > bigBytes && age >= stall:
		c.expel("a long request does not go on")
	case phase == phaseRead && held > bigBytes && age >= yieldTicks && c.srv.opt.Limits.Budget.Wanted():
		c.expel("a long request stands still while others wait for its memory")
	case idle > 0 && age >= idle:
		c.expel("idle")
	case phase == phaseWait && held+c.mem.Of(clientmem.Reply) > thinBytes && age >= shrinkTicks:
		c.wake()
	}
}

func (c *conn) expel(why string) {
	c.srv.opt.Logger.Debug("closing a client", "client", c.nc.RemoteAddr(), "reason", why)
	if secured, ok := c.nc.(*tls.Conn); ok {
		_ = secured.NetConn().Close() // without the farewell, which could wait for the client
		return
	}
	_ = c.nc.Close()
}
