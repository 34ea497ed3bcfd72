package resp

import (
	"io"

	"github.com/lockstepkv/lockstep/internal/bulk"
)

// KeptBytes is the length from which the memory of an argument is not used again.
const KeptBytes = maxBuffer

const (
	minBuffer = 1 << 10  // an idle connection holds this much
	maxBuffer = 64 << 10 // pipelines make the buffer grow to this; more only for longer arguments
	freeBytes = 2 * maxBuffer
	// readStep is how much of a long argument is read at once.
	readStep = 1 << 20
	// keepArgs bounds the argument headers that are kept for reuse.
	keepArgs = 8192
	argBytes = 24 // of one argument header
)

// Reader reads the commands of one client: arrays of bulk strings and inline
// commands, with the limits and error words of Redis 7.0. Arguments are not
// copied: they point into the Reader's buffers and stay valid until Release, those of
// KeptBytes or more for ever. It is not safe for concurrent use.
//
// Memory grows with the bytes that really came, never with an announced
// length. Reading can be resumed after an error of the underlying reader
// (such as a deadline); a ProtocolError is final.
//
// 22 fields: where a parser stands that can stop at any byte, and whose memory is lent; no part of it is used alone.
type Reader struct {
	src        io.Reader
	srcErr     error // came together with data; returned by the next fill
	lim        Limits
	restricted bool

	buf     []byte
	r, w    int  // buf[r:w] is not parsed yet
	pinned  bool // arguments point into buf: its bytes must stay where they are
	readied int  // buf[:readied] was made ready for writing
	full    bool // the last read left no room: a larger buffer saves system calls

	args  [][]byte // arguments of all commands since Release, then of the current one
	first int      // args[first:] belong to the current command
	start int      // where the current command began in buf; -1: in an earlier buffer
	want  int      // arguments of the current command still missing
	bulk  int      // length of the argument being read, -1: not known yet
	need  int      // bytes from r on without which parsing is useless; 0: not known
	size  int64    // bytes of the current command
	ready bool     // args[first:] is a complete command that was not returned yet
	fail  error    // final

	retired    int64 // bytes of earlier buffers that arguments since Release point into
	retiredCur int64 // the part of retired that the current command points into
	held       int64 // taken from lim.Budget
}

// NewReader returns a Reader of r.
func NewReader(r io.Reader, lim Limits) *Reader {
	return &Reader{src: r, lim: lim.withDefaults(), bulk: -1}
}

// Restrict sets whether the commands that follow are held to the limits of a
// client that has not authenticated (10 arguments, 16 KiB each).
func (r *Reader) Restrict(on bool) { r.restricted = on }

// ReadCommand returns the next command, which has at least one argument. It
// blocks until one is complete. It returns io.EOF when the client closed the
// connection between commands, a *ProtocolError, an error that wraps
// ErrBudget, or an error of the underlying reader.
func (r *Reader) ReadCommand() ([][]byte, error) {
	for !r.Buffered() {
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
	if r.fail != nil {
		return nil, r.fail
	}
	r.ready = false
	return r.args[r.first:len(r.args):len(r.args)], nil
}

// Buffered reports whether ReadCommand would return without blocking.
func (r *Reader) Buffered() bool {
	return r.ready || r.fail != nil || r.parse()
}

// Partial reports whether a command is read in part.
func (r *Reader) Partial() bool { return r.want > 0 || r.w > r.r }

// Release declares that the commands returned so far are done with. Their
// memory is reused or given back.
func (r *Reader) Release() {
	if r.start >= 0 && (r.ready || r.want > 0) {
		r.rewind()
	}
	r.keepCurrent()
	if len(r.args) == 0 {
		r.pinned = false
		r.recycle()
	}
	r.retired = r.retiredCur
	r.settle()
}

// rewind forgets the command in the making, which lies in this buffer as a
// whole. It is parsed again later; until then it does not pin the buffer.
func (r *Reader) rewind() {
	r.r, r.want, r.bulk, r.need, r.ready = r.start, 0, -1, 0, false
	clear(r.args[r.first:])
	r.args = r.args[:r.first]
}

// keepCurrent drops all arguments but those of the command in the making.
func (r *Reader) keepCurrent() {
	var kept int
	if r.ready || r.want > 0 {
		kept = copy(r.args, r.args[r.first:])
	} else {
		r.retiredCur = 0
	}
	clear(r.args[kept:])
	r.args, r.first = r.args[:kept], 0
}

// recycle readies an unpinned buffer for the next read.
func (r *Reader) recycle() {
	switch unread := r.w - r.r; {
	case len(r.buf) > maxBuffer: // whoever got a long argument may keep it
		r.resize(max(minBuffer, unread))
	case r.full && len(r.buf) < maxBuffer:
		r.resize(min(4*len(r.buf), maxBuffer))
	case unread == 0:
		r.r, r.w, r.start = 0, 0, -1
	}
	r.full = false
	if cap(r.args) > keepArgs {
		r.args = nil
	}
}

// Shrink gives back what an idle connection does not need. Call it after
// Release, when nothing came for a while.
func (r *Reader) Shrink() {
	if r.pinned || len(r.args) > 0 {
		return
	}
	if n := max(minBuffer, r.w-r.r); n < len(r.buf) {
		r.resize(n)
	}
	r.args = nil
	r.settle()
}

// Held returns the bytes of memory that the Reader takes.
func (r *Reader) Held() int64 {
	return r.retired + int64(len(r.buf)) + argBytes*int64(cap(r.args))
}

// Filled returns the part of Held that requests fill: those returned since Release,
// and what is not parsed yet.
func (r *Reader) Filled() int64 {
	if r.pinned || len(r.args) > 0 {
		return r.retired + int64(r.w)
	}
	return int64(r.w - r.r)
}

// Close gives back the Reader's share of the budget. It does not close the
// underlying reader.
func (r *Reader) Close() {
	*r = Reader{fail: io.ErrClosedPipe, lim: r.lim, held: r.held}
	r.settle()
}

// settle returns to the budget what is no longer held.
func (r *Reader) settle() {
	if over := r.held - max(0, r.Held()-freeBytes); over > 0 {
		r.lim.Budget.release(over)
		r.held -= over
	}
}

// charge takes from the budget what the Reader holds plus extra bytes.
func (r *Reader) charge(extra int64) error {
	more := r.Held() + extra - freeBytes - r.held
	if more <= 0 {
		return nil
	}
	if err := r.lim.Budget.acquire(more); err != nil {
		r.fail = err
		return err
	}
	r.held += more
	return nil
}

// fill reads once, after making room for it.
func (r *Reader) fill() error {
	if err := r.srcErr; err != nil {
		r.srcErr = nil
		return r.endOf(err)
	}
	if err := r.makeRoom(); err != nil {
		return err
	}
	const tries = 100 // as bufio: a reader that returns nothing without an error is broken
	for range tries {
		n, err := r.src.Read(r.room())
		r.w += n
		r.full = r.full || r.w == len(r.buf)
		if n > 0 {
			r.srcErr = err // judged when what came with it has been parsed
			return nil
		}
		if err != nil {
			return r.endOf(err)
		}
	}
	return io.ErrNoProgress
}

// room returns where the next read goes: in a large buffer not all that is free,
// because memory that was never used is slow to write to.
func (r *Reader) room() []byte {
	free := r.buf[r.w:]
	if len(r.buf) <= maxBuffer {
		return free
	}
	free = free[:min(len(free), readStep)]
	if end := r.w + len(free); end > r.readied {
		from := max(r.w, r.readied)
		bulk.Ready(r.buf[from:min(from+readStep, len(r.buf))])
		r.readied = min(from+readStep, len(r.buf))
	}
	return free
}

// longBuffer returns the size of the next buffer for an argument that needs need
// bytes of which some have come: as much as is allowed, but so that the last of
// the buffers is exactly as large as is needed and the others, which are copied,
// are small beside it.
func longBuffer(need, come int) int {
	return max(bulk.NextSize(need, max(come, maxBuffer/8)), maxBuffer)
}

// endOf tells an end within a command from one between commands.
func (r *Reader) endOf(err error) error {
	if err == io.EOF && r.Partial() {
		return io.ErrUnexpectedEOF
	}
	return err
}

// makeRoom makes sure that a read gets the bytes that parsing waits for, as
// far as that is reasonable.
func (r *Reader) makeRoom() error {
	unread := r.w - r.r
	if unread == 0 && !r.pinned {
		r.r, r.w, r.start = 0, 0, -1
	}
	growing := r.r == 0 && !r.pinned && len(r.buf) >= maxBuffer
	if r.w < len(r.buf) && (r.r+r.need <= len(r.buf) || growing) {
		return r.charge(0)
	}
	// Only a command in the making may be parsed again, never one that was returned.
	if r.pinned && r.first == 0 && r.start >= 0 && r.Partial() && r.need <= maxBuffer && r.w-r.start <= len(r.buf)/2 {
		r.rewind()
		r.pinned, unread = false, r.w-r.r
	}
	if r.r > 0 && !r.pinned && r.need <= len(r.buf) && unread <= len(r.buf)/2 {
		r.resize(len(r.buf))
		return nil
	}
	size := min(2*len(r.buf), maxBuffer)
	if r.need > maxBuffer {
		size = longBuffer(r.need, unread)
	}
	size = max(size, minBuffer, min(r.need, maxBuffer))
	if size <= unread {
		size = 2 * unread
	}
	// An unpinned buffer is charged as if it grew in place: else a request could
	// wait for the memory of its own copy.
	extra := int64(size)
	if !r.pinned {
		extra -= int64(len(r.buf))
	}
	if err := r.charge(extra); err != nil {
		return err
	}
	if r.pinned {
		r.retired += int64(len(r.buf))
		r.retiredCur += int64(len(r.buf))
	}
	r.resize(size)
	return nil
}

// resize moves the unread bytes to the front of a buffer of n bytes: a new
// one, or the same if that is allowed and fits.
func (r *Reader) resize(n int) {
	to := r.buf
	if r.pinned || n != len(r.buf) {
		to = make([]byte, n)
	}
	moved := r.r
	r.w = bulk.Copy(to, r.buf[r.r:r.w])
	r.readied = r.w
	r.r = 0
	if r.pinned || r.start < moved {
		r.start = -1
	} else {
		r.start -= moved
	}
	r.buf, r.pinned = to, false
}
