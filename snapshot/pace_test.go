package snapshot

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func createSink(t *testing.T, h Hooks) (*Store, string, raft.SnapshotSink) {
	t.Helper()
	dir := t.TempDir()
	s, err := NewStore(dir, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.SetHooks(h)
	k, err := s.Create(raft.SnapshotVersionMax, 10, 1, raft.Configuration{}, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s, dir, k
}

// TestWritingIsPaced also when all comes at once.
func TestWritingIsPaced(t *testing.T) {
	var steps int
	_, _, k := createSink(t, Hooks{Pace: func(busy time.Duration) {
		if busy <= 0 {
			t.Errorf("the disk was busy for %v", busy)
		}
		steps++
	}})
	for _, size := range []int{5*stepBytes + 1, stepBytes - 1, 1} {
		if n, err := k.Write(make([]byte, size)); n != size || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
	}
	if steps != 6 {
		t.Errorf("%d rests in 24 MiB, want 6", steps)
	}
	if err := k.Cancel(); err != nil {
		t.Error(err)
	}
}

// TestNoRoomLeavesNothing of a snapshot that was begun.
func TestNoRoomLeavesNothing(t *testing.T) {
	full, left := errors.New("full"), 2
	var told error
	_, dir, k := createSink(t, Hooks{
		Room: func() error {
			if left--; left < 0 {
				return full
			}
			return nil
		},
		Failed: func(err error) { told = err },
	})
	n, err := k.Write(make([]byte, 4*stepBytes))
	if !errors.Is(err, full) || n != 2*stepBytes || !errors.Is(told, full) {
		t.Errorf("%d bytes, %v; told %v", n, err, told)
	}
	if _, err := k.Write([]byte("x")); !errors.Is(err, full) {
		t.Errorf("after that: %v", err)
	}
	if err := k.Close(); !errors.Is(err, full) {
		t.Errorf("close: %v", err)
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) > 0 {
		t.Errorf("left behind: %v, %v", list, err)
	}
}
