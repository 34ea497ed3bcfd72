package rdb

import (
	"encoding/binary"
	"io"
	"strconv"
	"unsafe"
)

const (
	encoderBuffer = 256 << 10
	// directWrite is the size from which a value goes to the writer as it is,
	// instead of through the buffer.
	directWrite = 64 << 10
)

// encoder writes the primitives of RDB, buffered, and sums what it wrote. The
// first error sticks; it is asked for where it matters. Without a writer the buffer
// grows instead, and holds everything.
type encoder struct {
	w       io.Writer
	buf     []byte // not yet summed, not yet written
	crc     uint64
	written int64
	err     error
}

func newEncoder(w io.Writer) *encoder {
	return &encoder{w: w, buf: make([]byte, 0, encoderBuffer)}
}

// flush hands the buffer to the writer.
func (e *encoder) flush() error {
	if e.w == nil {
		return e.err
	}
	e.send(e.buf)
	e.buf = e.buf[:0]
	return e.err
}

func (e *encoder) send(p []byte) {
	if e.err != nil || len(p) == 0 {
		return
	}
	e.crc = crc64Update(e.crc, p)
	n, err := e.w.Write(p)
	e.written += int64(n)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	e.err = err
}

// room makes sure that n more bytes (n <= encoderBuffer) need no growth.
func (e *encoder) room(n int) {
	if cap(e.buf)-len(e.buf) < n {
		e.flush() // the error sticks
	}
}

func (e *encoder) byte(b byte) {
	e.room(1)
	e.buf = append(e.buf, b)
}

func (e *encoder) length(n uint64) {
	e.room(9)
	switch {
	case n < 1<<6:
		e.buf = append(e.buf, byte(n))
	case n < 1<<14:
		e.buf = append(e.buf, len14<<6|byte(n>>8), byte(n))
	case n <= 1<<32-1:
		e.buf = binary.BigEndian.AppendUint32(append(e.buf, len32Byte), uint32(n))
	default:
		e.buf = binary.BigEndian.AppendUint64(append(e.buf, len64Byte), n)
	}
}

// uint64 writes eight bytes, little endian: expiry times and the checksum.
func (e *encoder) uint64(n uint64) {
	e.room(8)
	e.buf = binary.LittleEndian.AppendUint64(e.buf, n)
}

// raw writes p as it is.
func (e *encoder) raw(p []byte) {
	if len(p) >= directWrite && e.w != nil {
		e.flush() // the error sticks
		e.send(p)
		return
	}
	e.room(len(p))
	e.buf = append(e.buf, p...)
}

// string writes p as Redis does: short canonical decimal numbers as integers.
func (e *encoder) string(p []byte) {
	if len(p) <= maxInt32Digits {
		if n, ok := canonicalInt32(p); ok {
			e.int(n)
			return
		}
	}
	e.length(uint64(len(p)))
	e.raw(p)
}

// key writes a key; string does the same for bytes.
func (e *encoder) key(key string) {
	e.string(unsafe.Slice(unsafe.StringData(key), len(key)))
}

func (e *encoder) int(n int32) {
	e.room(5)
	switch {
	case n == int32(int8(n)):
		e.buf = append(e.buf, lenEnc<<6|encInt8, byte(n))
	case n == int32(int16(n)):
		e.buf = binary.LittleEndian.AppendUint16(append(e.buf, lenEnc<<6|encInt16), uint16(n))
	default:
		e.buf = binary.LittleEndian.AppendUint32(append(e.buf, lenEnc<<6|encInt32), uint32(n))
	}
}

func (e *encoder) aux(key string, value []byte) {
	e.byte(opAux)
	e.key(key)
	e.string(value)
}

// auxParts is aux for a value in parts.
func (e *encoder) auxParts(key string, parts [][]byte) {
	if len(parts) == 1 {
		e.aux(key, parts[0])
		return
	}
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	e.byte(opAux)
	e.key(key)
	e.length(uint64(n))
	for _, p := range parts {
		e.raw(p)
	}
}

func (e *encoder) auxInt(key string, n int64) {
	e.aux(key, strconv.AppendInt(nil, n, 10))
}

// finish writes the end of the file and returns the first error of all.
func (e *encoder) finish() error {
	e.byte(opEOF)
	if err := e.flush(); err != nil {
		return err
	}
	e.uint64(e.crc)
	return e.flush()
}

// maxInt32Digits is the length of "-2147483648".
const maxInt32Digits = 11

// canonicalInt32 reports whether p is exactly how a 32-bit integer is printed,
// so that nothing is lost when only the number is kept.
func canonicalInt32(p []byte) (int32, bool) {
	digits := p
	negative := len(p) > 0 && p[0] == '-'
	if negative {
		digits = p[1:]
	}
	if len(digits) == 0 || len(digits) > 10 {
		return 0, false
	}
	if digits[0] == '0' {
		return 0, len(p) == 1
	}
	var n int64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if negative {
		n = -n
	}
	return int32(n), n == int64(int32(n))
}
