package httpapi

import (
	"bytes"
	"testing"
)

// A body of announced length fills its memory: whoever keeps the value keeps nothing else.
func TestAnnouncedBodyFillsItsMemory(t *testing.T) {
	for _, n := range []int64{1 << 20, 5<<20 + 3, 33 << 20} {
		body, err := readCharged(t.Context(), bytes.NewReader(make([]byte, n)), unlimited{}, n, true)
		if err != nil || int64(len(body)) != n || cap(body) != len(body) {
			t.Errorf("%d bytes in %d, want %d, %v", len(body), cap(body), n, err)
		}
	}
}
