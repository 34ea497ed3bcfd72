package rdb

import (
	"errors"
	"io"
)

const (
	sourceBuffer = 256 << 10
	// growStep bounds what is allocated for bytes that are announced but have
	// not arrived: a damaged length must not take memory.
	growStep = 1 << 20
)

// source is a buffered reader that sums what is consumed and knows where it is. One
// whose reader is at its end from the start reads the buffer alone, and changes nothing in it.
type source struct {
	r       io.Reader
	buf     []byte
	pos     int   // next byte to hand out
	end     int   // end of valid bytes
	summed  int   // buf[:summed] is in crc
	base    int64 // offset in the file of buf[0]
	crc     uint64
	readErr error // what the reader said last; comes after the buffered bytes
}

func newSource(r io.Reader) *source {
	return &source{r: r, buf: make([]byte, sourceBuffer)}
}

func (s *source) offset() int64 { return s.base + int64(s.pos) }

// sum returns the checksum of all bytes consumed so far.
func (s *source) sum() uint64 {
	s.crc = crc64Update(s.crc, s.buf[s.summed:s.pos])
	s.summed = s.pos
	return s.crc
}

// fill makes at least n bytes available, n <= len(buf), or fails.
func (s *source) fill(n int) error {
	if s.end-s.pos >= n {
		return nil
	}
	if s.readErr != nil { // there is no more; what is here stays where it is
		return s.short()
	}
	s.sum()
	copy(s.buf, s.buf[s.pos:s.end])
	s.base += int64(s.pos)
	s.end -= s.pos
	s.pos, s.summed = 0, 0
	empty := 0
	for s.end < n {
		if s.readErr != nil {
			return s.short()
		}
		var m int
		m, s.readErr = s.r.Read(s.buf[s.end:])
		s.end += m
		if m > 0 {
			empty = 0
		} else if empty++; empty == 100 && s.readErr == nil {
			s.readErr = io.ErrNoProgress
		}
	}
	return nil
}

// short turns the reader's end into an error: it came too early.
func (s *source) short() error {
	if errors.Is(s.readErr, io.EOF) {
		return Damaged("%w", io.ErrUnexpectedEOF)
	}
	return s.readErr
}

// next returns n bytes, n <= len(buf), valid until the next call.
func (s *source) next(n int) ([]byte, error) {
	if err := s.fill(n); err != nil {
		return nil, err
	}
	p := s.buf[s.pos : s.pos+n : s.pos+n]
	s.pos += n
	return p, nil
}

func (s *source) byte() (byte, error) {
	if err := s.fill(1); err != nil {
		return 0, err
	}
	b := s.buf[s.pos]
	s.pos++
	return b, nil
}

// bytes returns n bytes, valid until the next call: within the buffer when they
// fit, else in scratch, which grows with what really arrives.
func (s *source) bytes(scratch *[]byte, n uint64) ([]byte, error) {
	if n <= uint64(len(s.buf)) {
		return s.next(int(n))
	}
	if s.readErr != nil && n > uint64(s.end-s.pos) {
		return nil, s.short()
	}
	dst := (*scratch)[:0]
	for n > 0 {
		if s.pos == s.end {
			if err := s.fill(1); err != nil {
				return nil, err
			}
		}
		if len(dst) == cap(dst) {
			dst = growBy(dst, min(n, uint64(max(growStep, len(dst)))))
		}
		m := int(min(n, uint64(min(s.end-s.pos, cap(dst)-len(dst)))))
		dst = append(dst, s.buf[s.pos:s.pos+m]...)
		s.pos += m
		n -= uint64(m)
	}
	*scratch = dst
	return dst, nil
}

// growBy returns dst with room for exactly n more bytes.
func growBy(dst []byte, n uint64) []byte {
	bigger := make([]byte, len(dst), len(dst)+int(n))
	copy(bigger, dst)
	return bigger
}

// atEnd reports whether the reader has nothing left.
func (s *source) atEnd() (bool, error) {
	if err := s.fill(1); err == nil {
		return false, nil
	}
	if errors.Is(s.readErr, io.EOF) {
		return true, nil
	}
	return false, s.readErr
}
