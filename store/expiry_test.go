package store

import (
	"strconv"
	"testing"
)

func TestAverageTTL(t *testing.T) {
	s := New(DefaultOptions())
	if got := s.AverageTTL(1000); got != 0 {
		t.Errorf("of nothing: %d", got)
	}
	s.Put([]byte("forever"), []byte("v"), 0, false)
	s.Put([]byte("over"), []byte("v"), 500, false)
	s.Put([]byte("a"), []byte("v"), 2000, false)
	s.Put([]byte("b"), []byte("v"), 3000, false)
	if got := s.AverageTTL(1000); got != 1000 {
		t.Errorf("of 0, 1000 and 2000: %d", got)
	}
	for i := range 100_000 {
		s.Put([]byte("k"+strconv.Itoa(i)), []byte("v"), 1000+int64(i), false)
	}
	if got := s.AverageTTL(1000); got < 45_000 || got > 55_000 {
		t.Errorf("of 0 to 100000: %d", got)
	}
}
