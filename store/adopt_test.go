package store

import (
	"bytes"
	"testing"
)

// A value stays in adopted memory that it fills, and not in memory of which much is kept for nothing.
func TestAdoptedMemoryIsFilled(t *testing.T) {
	for _, c := range []struct {
		name                string
		length, filled, val int
		stays               bool
	}{
		{"all of it", 1 << 20, 1 << 20, 1 << 20, true},
		{"nearly all", 1 << 20, 1 << 20, 1<<20 - 1<<16, true},
		{"half", 1 << 20, 1 << 20, 1 << 19, false},
		{"with room behind it", 1 << 20, 1 << 19, 1 << 19, false},
	} {
		s := New(Options{})
		buf := bytes.Repeat([]byte("v"), c.length)[:c.filled]
		s.Adopt(buf)
		e := s.Put([]byte("k"), buf[:c.val], 0, false)
		if stays := &e.Bytes()[0] == &buf[0]; stays != c.stays {
			t.Errorf("%s: stays %v, want %v", c.name, stays, c.stays)
		}
	}
}
