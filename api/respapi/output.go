package respapi

import (
	"errors"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lockstepkv/lockstep/api/clientmem"
)

// pieceBytes is how much of the replies is kept and written in one piece.
const pieceBytes = 64 << 10

// pieces are used again: a long reply would leave all of it behind as garbage.
var pieces = sync.Pool{New: func() any { return new([pieceBytes]byte) }}

func newPiece() []byte { return pieces.Get().(*[pieceBytes]byte)[:0] }

// piece is up to pieceBytes of the replies.
type piece struct {
	b   []byte
	own bool // from newPiece; otherwise part of a value, where that lies
}

// errUnread is why a client that does not read its replies is cut off.
var errUnread = errors.New("replies are not read and exceed the output limit")

// output is what the client has not taken yet of its replies. As long as it takes
// them they are written by the connection's own goroutine; what does not fit into
// the socket is kept, and a goroutine writes it while the connection reads on: the
// client may send all its commands before it reads a reply.
//
// At the limit the connection waits. It is cut when the client then takes nothing
// for a while.
type output struct {
	c     *conn
	raw   syscall.RawConn       // nil: only blocking writes, such as TLS
	try   func(fd uintptr) bool // made once
	part  []byte                // what try writes
	wrote int                   // what try wrote

	mu      sync.Mutex
	rest    []piece       // guarded by mu; the first one is being written
	held    int64         // guarded by mu; what rest takes
	busy    bool          // guarded by mu; the goroutine runs
	err     error         // guarded by mu
	changed chan struct{} // guarded by mu; closed at progress when somebody waits, else nil
}

func newOutput(c *conn) *output {
	o := &output{c: c}
	if sc, ok := c.nc.(syscall.Conn); ok {
		o.raw, _ = sc.SyscallConn()
		o.try = o.tryWrite
	}
	return o
}

// Write implements io.Writer. conn.outMu is held. It copies what it keeps.
func (o *output) Write(p []byte) (int, error) { return o.write(p, true) }

// WriteShared implements resp.SharedWriter: nobody changes p, so it is not copied.
func (o *output) WriteShared(p []byte) (int, error) { return o.write(p, false) }

func (o *output) write(p []byte, copied bool) (int, error) {
	n := 0
	if o.raw != nil && o.empty() {
		var err error
		if n, err = o.now(p); err != nil {
			return n, err
		}
	}
	for n < len(p) {
		part := p[n:min(n+pieceBytes, len(p))]
		if err := o.keep(piece{part, copied}); err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, nil
}

func (o *output) empty() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.busy && o.err == nil
}

// now writes what the socket takes without waiting.
func (o *output) now(p []byte) (int, error) {
	for n := 0; ; {
		o.part = p[n:]
		if err := o.raw.Write(o.try); err != nil {
			return n, err
		}
		if n += o.wrote; o.wrote <= 0 || n == len(p) {
			o.part = nil
			o.c.bytesOut += int64(n)
			return n, nil
		}
	}
}

// tryWrite leaves errors other than "not now" to the write that follows.
func (o *output) tryWrite(fd uintptr) bool {
	n, err := unix.Write(int(fd), o.part)
	for err == unix.EINTR {
		n, err = unix.Write(int(fd), o.part)
	}
	o.wrote = max(n, 0)
	return true
}

// keep adds p to the rest, when there is room: a copy if it must be of its own.
func (o *output) keep(p piece) error {
	for {
		o.mu.Lock()
		if o.err != nil {
			o.mu.Unlock()
			return o.err
		}
		if o.hasRoom() {
			o.add(p)
			o.mu.Unlock()
			return nil
		}
		changed := o.progress()
		o.mu.Unlock()
		if !wait(changed, o.c.srv.opt.OutputPatience) {
			o.c.srv.opt.Backend.CountOutputCut()
			o.fail(errUnread)
			o.c.expel(errUnread.Error())
			return errUnread
		}
	}
}

// hasRoom: one piece always has, so that what is at the limit goes on at all.
func (o *output) hasRoom() bool {
	if len(o.rest) == 0 {
		return true
	}
	limit, total := o.c.srv.outputLimits()
	return o.held+pieceBytes <= limit && o.c.srv.unread.Load()+pieceBytes <= total
}

// add appends to the last piece, unless it is the one being written.
func (o *output) add(p piece) {
	last := len(o.rest) - 1
	switch {
	case p.own && last > 0 && o.rest[last].own && len(o.rest[last].b)+len(p.b) <= pieceBytes:
		o.rest[last].b = append(o.rest[last].b, p.b...)
	case p.own:
		o.rest = append(o.rest, piece{append(newPiece(), p.b...), true})
		o.charge(pieceBytes)
	default:
		o.rest = append(o.rest, p)
		o.charge(pieceBytes)
	}
	if !o.busy {
		o.busy = true
		go o.drain()
	}
}

func (o *output) charge(n int64) {
	o.held += n
	o.c.srv.unread.Add(n)
	o.c.mem.Pieces.Store(o.held / pieceBytes)
	o.c.mem.Add(clientmem.Unread, n)
}

// progress returns what is closed at the next change.
func (o *output) progress() chan struct{} {
	if o.changed == nil {
		o.changed = make(chan struct{})
	}
	return o.changed
}

func (o *output) tell() {
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
}

// drain writes the rest and ends.
func (o *output) drain() {
	for p := o.first(); p != nil; p = o.next() {
		o.c.writing.Store(o.c.srv.ticks.Load() + 1)
		n, err := o.c.nc.Write(p)
		o.c.writing.Store(0)
		o.c.srv.opt.Backend.CountNetwork(0, int64(n))
		if err != nil {
			o.fail(err)
		}
	}
}

func (o *output) first() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.rest) == 0 {
		o.busy = false
		o.tell()
		return nil
	}
	return o.rest[0].b
}

func (o *output) next() []byte {
	o.mu.Lock()
	if len(o.rest) > 0 {
		if p := o.rest[0]; p.own {
			pieces.Put((*[pieceBytes]byte)(p.b[:pieceBytes]))
		}
		o.rest[0] = piece{}
		o.rest = o.rest[1:]
		o.charge(-pieceBytes)
		o.tell()
	}
	o.mu.Unlock()
	return o.first()
}

// fail drops the rest. Nothing is written after it.
func (o *output) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = err
	}
	o.charge(-o.held)
	o.rest = nil
	o.tell()
}

// finish waits until the client has everything, or cannot be written to. The
// janitor ends the wait for one that does not read.
func (o *output) finish() error {
	for {
		o.mu.Lock()
		err, busy := o.err, o.busy
		changed := o.progress()
		o.mu.Unlock()
		if !busy {
			return err
		}
		<-changed
	}
}

// wait reports whether ch was closed in time.
func wait(ch <-chan struct{}, patience time.Duration) bool {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-ch:
		return true
	case <-timer.C:
		return false
	}
}
