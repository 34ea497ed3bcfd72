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

// Writer encodes replies into a buffer and writes it when it is full or on
// Flush. It is not safe for concurrent use. After an error it only returns
// that error.
type Writer struct {
	w     io.Writer
	buf   []byte
	proto int
	err   error
}

// NewWriter returns a Writer that speaks protocol 2.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w, proto: 2} }

// SetProto chooses the protocol, 2 or 3, of the replies that follow.
func (w *Writer) SetProto(v int) { w.proto = v }

// WriteValue encodes v. It may write to the underlying writer.
func (w *Writer) WriteValue(v Value) error {
	switch v.Kind {
	case KindArray, KindMap, KindSet, KindPush:
		w.buf = appendAggregate(w.buf, v, w.proto)
		for i := range v.Elems {
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
	w.writeDirect(b)
	w.buf = append(w.buf, '\r', '\n')
	return w.err
}

// writeDirect writes what is buffered, and b after it.
func (w *Writer) writeDirect(b []byte) {
	_ = w.Flush()
	for len(b) > 0 && w.err == nil {
		n := min(len(b), directPiece)
		w.write(b[:n])
		b = b[n:]
	}
}

// WriteEncoded writes replies that are encoded already. It may write to the underlying
// writer.
func (w *Writer) WriteEncoded(b []byte) error {
	if len(b) >= directBytes {
		w.writeDirect(b)
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
		w.write(w.buf)
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

func (w *Writer) write(b []byte) {
	if w.err != nil {
		return
	}
	n, err := w.w.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	w.err = err
}
