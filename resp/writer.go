package resp

import "io"

const (
	// flushBytes is how much output gathers before it is written.
	flushBytes = 64 << 10
	// directBytes: longer strings go to the socket as they are, uncopied.
	directBytes = 32 << 10
	// directPiece bounds one write of a long string, so that the sink can see
	// progress on a slow connection.
	directPiece = 1 << 20
)

// SharedWriter is an io.Writer that may keep what it is given by WriteShared, which nobody
// changes any more.
type SharedWriter interface {
	io.Writer
	WriteShared(p []byte) (n int, err error)
}

// Writer encodes replies into a buffer and writes it when it is full or on
// Flush. It is not safe for concurrent use. After an error it only returns
// that error.
type Writer struct {
	w     io.Writer
	long  func(p []byte) (int, error) // writes long strings
	buf   []byte
	proto int
	err   error
}

// NewWriter returns a Writer that speaks protocol 2.
// Strings of KeptBytes or more go to the WriteShared of a SharedWriter.
func NewWriter(w io.Writer) *Writer {
	out := &Writer{w: w, long: w.Write, proto: 2}
	if s, ok := w.(SharedWriter); ok {
		out.long = s.WriteShared
	}
	return out
}

// SetProto chooses the protocol, 2 or 3, of the replies that follow.
func (w *Writer) SetProto(v int) { w.proto = v }

// WriteValue encodes v. It may write to the underlying writer.
func (w *Writer) WriteValue(v Value) error {
	switch v.Kind {
	case KindArray, KindMap, KindSet, KindPush, KindPairs:
		w.buf = appendAggregate(w.buf, v, w.proto)
		for i := range v.Elems {
			w.buf = appendPair(w.buf, v.Kind, i, w.proto)
			if err := w.WriteValue(v.Elems[i]); err != nil {
				return err
			}
		}
		return w.err
	case KindBulk:
		if len(v.Str) >= directBytes {
			return w.writeLong(v.Str)
		}
	}
	w.buf = Append(w.buf, v, w.proto)
	if len(w.buf) >= flushBytes {
		return w.Flush()
	}
	return w.err
}

func (w *Writer) writeLong(b []byte) error {
	w.buf = appendHeader(w.buf, '$', int64(len(b)))
	to := w.w.Write
	if len(b) >= KeptBytes { // a shorter one may be an argument, whose memory is used again
		to = w.long
	}
	w.writeDirect(b, to)
	w.buf = append(w.buf, '\r', '\n')
	return w.err
}

// writeDirect writes what is buffered, and b after it by to.
func (w *Writer) writeDirect(b []byte, to func([]byte) (int, error)) {
	if w.Flush() != nil {
		return
	}
	for len(b) > 0 && w.err == nil {
		n := min(len(b), directPiece)
		w.write(b[:n], to)
		b = b[n:]
	}
}

// WriteEncoded writes replies that are encoded already. It may write to the underlying
// writer.
func (w *Writer) WriteEncoded(b []byte) error {
	if len(b) >= directBytes {
		w.writeDirect(b, w.w.Write)
		return w.err
	}
	w.buf = append(w.buf, b...)
	if len(w.buf) >= flushBytes {
		return w.Flush()
	}
	return w.err
}

// Flush writes what is buffered.
func (w *Writer) Flush() error {
	if len(w.buf) > 0 {
		w.write(w.buf, w.w.Write)
		w.buf = w.buf[:0]
		if cap(w.buf) > 4*flushBytes {
			w.buf = nil
		}
	}
	return w.err
}

// Held returns the bytes of memory that the buffer takes.
func (w *Writer) Held() int { return cap(w.buf) }

// Shrink gives the memory of an empty buffer back.
func (w *Writer) Shrink() {
	if len(w.buf) == 0 {
		w.buf = nil
	}
}

func (w *Writer) write(b []byte, to func([]byte) (int, error)) {
	if w.err != nil {
		return
	}
	n, err := to(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	w.err = err
}
