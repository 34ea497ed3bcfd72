package resp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
)

// Bounds on replies: a peer that exceeds them is broken or hostile.
const (
	maxReplyDepth = 64
	maxReplyBulk  = 1 << 30
	maxReplyElems = 1 << 24 // in all levels together
	maxReplyLine  = 64 << 10
	readPiece     = 1 << 20 // a long string is allocated as its bytes come
)

// ErrMalformedReply means that the server's answer is not RESP or exceeds the
// bounds of this decoder.
var ErrMalformedReply = errors.New("malformed reply")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrMalformedReply}, args...)...)
}

// ReadValue reads one reply of protocol 2 or 3, as a client does. The Value
// owns its memory. Attributes are skipped. RESP2 and RESP3 spell some kinds
// the same way, so a double that was sent by RESP2 is read as a bulk string.
//
// An error reply is a Value, not an error. The error is io.EOF when the stream
// ended before the reply, io.ErrUnexpectedEOF within it, or wraps
// ErrMalformedReply.
func ReadValue(r *bufio.Reader) (Value, error) {
	d := replyReader{r: r, elems: maxReplyElems}
	v, err := d.value(0)
	if err == io.EOF && d.began {
		err = io.ErrUnexpectedEOF
	}
	return v, err
}

type replyReader struct {
	r     *bufio.Reader
	elems int64 // how many more elements are allowed
	began bool
}

func (d *replyReader) value(depth int) (Value, error) {
	if depth > maxReplyDepth {
		return Value{}, malformed("nested deeper than %d", maxReplyDepth)
	}
	for {
		line, err := d.line()
		if err != nil {
			return Value{}, err
		}
		if line[0] != '|' {
			return d.typed(line[0], line[1:], depth)
		}
		// An attribute: a map that says something about the value after it.
		n, err := d.count(line[1:], 2)
		if err != nil {
			return Value{}, err
		}
		if _, err := d.many(KindMap, n, depth); err != nil {
			return Value{}, err
		}
	}
}

func (d *replyReader) typed(kind byte, rest []byte, depth int) (Value, error) {
	switch kind {
	case '+':
		return Value{Kind: KindSimple, Str: clone(rest)}, nil
	case '-':
		return Value{Kind: KindError, Str: clone(rest)}, nil
	case '(':
		return Value{Kind: KindBigNumber, Str: clone(rest)}, nil
	case ':':
		n, ok := strictInt(rest)
		if !ok {
			return Value{}, malformed("integer %q", rest)
		}
		return Int(n), nil
	case '_':
		return Nil, nil
	case ',':
		f, err := strconv.ParseFloat(string(rest), 64)
		if err != nil && !math.IsInf(f, 0) {
			return Value{}, malformed("double %q", rest)
		}
		return Double(f), nil
	case '#':
		if len(rest) != 1 || (rest[0] != 't' && rest[0] != 'f') {
			return Value{}, malformed("boolean %q", rest)
		}
		return Bool(rest[0] == 't'), nil
	case '$', '!', '=':
		return d.blob(kind, rest)
	case '*', '~', '>', '%':
		return d.aggregate(kind, rest, depth)
	}
	return Value{}, malformed("type %q", kind)
}

func (d *replyReader) blob(kind byte, rest []byte) (Value, error) {
	n, ok := strictInt(rest)
	switch {
	case ok && n == -1 && kind == '$':
		return Nil, nil
	case !ok || n < 0 || n > maxReplyBulk:
		return Value{}, malformed("length %q", rest)
	}
	b, err := d.bytes(int(n))
	if err != nil {
		return Value{}, err
	}
	switch {
	case kind == '!':
		return Value{Kind: KindError, Str: b}, nil
	case kind == '$':
		return Bulk(b), nil
	case len(b) < 4 || b[3] != ':':
		return Value{}, malformed("verbatim string without format")
	}
	return Value{Kind: KindVerbatim, Str: b[4:]}, nil
}

func (d *replyReader) aggregate(kind byte, rest []byte, depth int) (Value, error) {
	if kind == '*' && string(rest) == "-1" {
		return NilArray, nil
	}
	k, per := KindArray, int64(1)
	switch kind {
	case '~':
		k = KindSet
	case '>':
		k = KindPush
	case '%':
		k, per = KindMap, 2
	}
	n, err := d.count(rest, per)
	if err != nil {
		return Value{}, err
	}
	return d.many(k, n, depth)
}

// count reads the number of an aggregate's elements and takes them from what
// the whole reply may have.
func (d *replyReader) count(b []byte, per int64) (int, error) {
	n, ok := strictInt(b)
	if !ok || n < 0 || n > d.elems/per {
		return 0, malformed("count %q", b)
	}
	d.elems -= n * per
	return int(n * per), nil
}

func (d *replyReader) many(k Kind, n, depth int) (Value, error) {
	elems := make([]Value, 0, min(n, 1024))
	for range n {
		v, err := d.value(depth + 1)
		if err != nil {
			return Value{}, err
		}
		elems = append(elems, v)
	}
	return Value{Kind: k, Elems: elems}, nil
}

// line reads up to "\r\n" and returns what is before, at least one byte, valid
// until the next read.
func (d *replyReader) line() ([]byte, error) {
	b, err := d.r.ReadSlice('\n')
	d.began = d.began || len(b) > 0
	if err == bufio.ErrBufferFull {
		b, err = d.longLine(clone(b))
	}
	if err != nil {
		return nil, err
	}
	if len(b) < 3 || b[len(b)-2] != '\r' {
		return nil, malformed("line %.32q", b)
	}
	return b[:len(b)-2], nil
}

func (d *replyReader) longLine(b []byte) ([]byte, error) {
	for len(b) <= maxReplyLine {
		more, err := d.r.ReadSlice('\n')
		b = append(b, more...)
		if err != bufio.ErrBufferFull {
			return b, err
		}
	}
	return nil, malformed("line longer than %d", maxReplyLine)
}

// bytes reads n bytes and "\r\n".
func (d *replyReader) bytes(n int) ([]byte, error) {
	b := make([]byte, 0, min(n+2, readPiece))
	for len(b) < n+2 {
		if len(b) == cap(b) {
			grown := make([]byte, len(b), min(n+2, 2*cap(b)))
			copy(grown, b)
			b = grown
		}
		got, err := io.ReadFull(d.r, b[len(b):cap(b)])
		b = b[:len(b)+got]
		if err != nil {
			return nil, err
		}
	}
	if b[n] != '\r' || b[n+1] != '\n' {
		return nil, malformed("string of %d bytes does not end there", n)
	}
	return b[:n:n], nil
}

func clone(b []byte) []byte { return append([]byte{}, b...) }
