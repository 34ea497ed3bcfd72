package transport

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// copyBytes is the size up to which a payload is copied next to its frame
	// header, so that many frames leave in one system call. Larger ones are
	// sent from where they are.
	copyBytes = 64 << 10
	// spareBytes bounds the buffer that is kept for later frames.
	spareBytes = 256 << 10
	// backlogBytes bounds what may wait for a slow peer.
	backlogBytes = 64 << 20
	// chunkBytes is how much goes into one write of a long queue, so that
	// progress shows.
	chunkBytes = 256 << 10
)

// outbox collects the frames that wait to be written. Its owner locks.
type outbox struct {
	segs  [][]byte // complete segments, in order, before tail
	tail  []byte   // collects small frames
	spare []byte   // an empty buffer for the next tail
	bytes int      // in segs and tail
}

func (o *outbox) add(h header, payload ...[]byte) {
	h.size = sizeOf(payload)
	if o.tail == nil {
		o.tail, o.spare = o.spare, nil
	}
	o.tail = appendHeader(o.tail, h)
	o.bytes += headerBytes + h.size
	for _, p := range payload {
		if len(p) <= copyBytes {
			o.tail = append(o.tail, p...)
			continue
		}
		o.segs = append(o.segs, o.tail, p)
		o.tail = nil
	}
}

func sizeOf(parts [][]byte) (n int) {
	for _, p := range parts {
		n += len(p)
	}
	return n
}

func (o *outbox) empty() bool { return o.bytes == 0 }

// take empties o. last is the newest segment, and the only one unless a large
// payload waits.
func (o *outbox) take() (segs [][]byte, last []byte) {
	segs, last = o.segs, o.tail
	o.segs, o.tail, o.bytes = nil, nil, 0
	return segs, last
}

// recycle gives a written tail back.
func (o *outbox) recycle(b []byte) {
	if o.spare == nil && cap(b) <= spareBytes {
		o.spare = b[:0]
	}
}

// tryWriter writes to a socket without ever waiting for it.
type tryWriter struct {
	raw syscall.RawConn
	fn  func(fd uintptr) bool // made once, to save an allocation per write
	buf []byte
	n   int
	err error
}

// newTryWriter returns nil when conn is not a plain TCP connection.
func newTryWriter(conn net.Conn) *tryWriter {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	w := &tryWriter{raw: raw}
	w.fn = func(fd uintptr) bool {
		for {
			w.n, w.err = unix.Write(int(fd), w.buf)
			if w.err != unix.EINTR {
				return true
			}
		}
	}
	return w
}

// write returns how much the socket took at once, which may be nothing.
func (w *tryWriter) write(b []byte) (int, error) {
	w.buf = b
	err := w.raw.Write(w.fn)
	w.buf = nil
	switch {
	case err != nil:
		return 0, err
	case w.err == unix.EAGAIN:
		return 0, nil
	case w.err != nil:
		return 0, w.err
	}
	return w.n, nil
}
