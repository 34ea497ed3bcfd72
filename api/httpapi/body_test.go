package httpapi

import (
	"bytes"
	"context"
	"io"
	"testing"
	"testing/iotest"

	"github.com/lockstepkv/lockstep/internal/heapuse"
)

// TestBodyIsReadOnce: into memory of its own size; what is announced alone claims little.
func TestBodyIsReadOnce(t *testing.T) {
	for _, size := range []int{0, 1, firstBytes, firstBytes + 1, 33 << 20} {
		want := bytes.Repeat([]byte{1, 2, 3, 4, 5, 6, 7}, size/7+1)[:size]
		var got []byte
		var err error
		used := heapuse.Of(func() {
			got, err = readCharged(t.Context(), iotest.HalfReader(bytes.NewReader(want)), unlimited{}, int64(size), true)
		})
		if err != nil || !bytes.Equal(got, want) || cap(got) > max(size, firstBytes) {
			t.Errorf("%d bytes: %d, %v", size, len(got), err)
		}
		if size > 8<<20 && used > uint64(size)*5/4 {
			t.Errorf("%d bytes took %d", size, used)
		}
	}
	var err error
	if used := heapuse.Of(func() {
		_, err = readCharged(t.Context(), bytes.NewReader(make([]byte, 1<<20)), unlimited{}, 512<<20, true)
	}); err != nil || used > 24<<20 {
		t.Errorf("1 MiB of 512: %v, %d bytes", err, used)
	}
	if got, err := readCharged(t.Context(), io.LimitReader(bytes.NewReader(make([]byte, 9<<20)), 5<<20), unlimited{}, 64<<20, false); err != nil || len(got) != 5<<20 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// unlimited is memory that nobody counts.
type unlimited struct{}

func (unlimited) grow(context.Context, int64) error { return nil }
