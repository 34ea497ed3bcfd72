package e2e

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// FlipMarker flips one bit in every place under dir where marker lies, in files
// whose name passes, and returns the first such file and offset.
func FlipMarker(t testing.TB, dir, marker string, passes func(name string) bool) (file string, offset int64) {
	t.Helper()
	places := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !passes(d.Name()) {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for from := 0; ; places++ {
			i := bytes.Index(data[from:], []byte(marker))
			if i < 0 {
				return nil
			}
			if file == "" {
				file, offset = path, int64(from+i)
			}
			flipBit(t, path, int64(from+i))
			from += i + len(marker)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if places == 0 {
		t.Fatalf("nothing under %s holds %q", dir, marker)
	}
	return file, offset
}

func flipBit(t testing.TB, path string, offset int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, offset); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x10
	if _, err := f.WriteAt(b, offset); err != nil {
		t.Fatal(err)
	}
}

// NewestSnapshot returns the newest snapshot file of a shard of a node, or "".
func (n *Node) NewestSnapshot(shard int) string {
	files, err := filepath.Glob(filepath.Join(n.DataDir, "shards", fmt.Sprintf("%03d", shard), "snapshots", "*", "state.rdb"))
	// A snapshot that is being written is in a directory of its own.
	files = slices.DeleteFunc(files, func(path string) bool { return strings.HasSuffix(filepath.Dir(path), ".tmp") })
	if err != nil || len(files) == 0 {
		return ""
	}
	return slices.MaxFunc(files, func(a, b string) int {
		x, errA := os.Stat(a)
		y, errB := os.Stat(b)
		if errA != nil || errB != nil {
			return strings.Compare(a, b)
		}
		return x.ModTime().Compare(y.ModTime())
	})
}
