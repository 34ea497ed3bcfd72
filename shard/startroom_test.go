package shard

import (
	"context"
	"io/fs"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/transport"
)

// walBytes sums the log files of a data directory.
func walBytes(t *testing.T, dir string) (sum int64) {
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".wal") {
			info, ierr := e.Info()
			if ierr != nil {
				return ierr
			}
			sum += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func TestLogsOfManyShardsTakeNoMoreRoom(t *testing.T) {
	c := newCluster(t, 1, func(o *Options) { o.Shards = 16 })
	if got := walBytes(t, c.dir); got > nodeSegmentBytes {
		t.Errorf("the logs of 16 new shards take %d MiB, want %d at most", got>>20, int64(nodeSegmentBytes)>>20)
	}
	for shards, want := range map[int]int{1: 64 << 20, 2: 64 << 20, 4: 32 << 20, 256: 4 << 20} {
		if got := segmentBytes(shards); got != want {
			t.Errorf("%d shards: segments of %d MiB, want %d", shards, got>>20, want>>20)
		}
	}
}

func TestStartSaysHowMuchRoomItNeeds(t *testing.T) {
	c := &cluster{t: t, dir: t.TempDir(), ids: []string{"n1"}, addrs: map[string]string{"n1": "127.0.0.1:1"}, faults: map[string]*transport.Faults{}}
	o := c.options("n1")
	o.Shards, o.DiskFree = 4, func() (int64, error) { return 100 << 20, nil }
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	o.Listener = l
	_, err = Open(context.Background(), o)
	if err == nil || !strings.Contains(err.Error(), o.DataDir) || !strings.Contains(err.Error(), "100 MiB are free") || !strings.Contains(err.Error(), "need 136 MiB") {
		t.Errorf("%v", err)
	}
}
