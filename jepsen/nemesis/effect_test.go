package nemesis

import (
	"bytes"
	"context"
	"errors"
	"math/bits"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/internal/procs"
	"github.com/lockstepkv/lockstep/jepsen/cluster"
	"github.com/lockstepkv/lockstep/jepsen/faultfs"
)

// A fault counts for what it is: what calls met must be what the disk was set to.
func TestDisksMustBeFelt(t *testing.T) {
	for _, c := range []struct {
		name    string
		trouble faultfs.Trouble
		seen    faultfs.Seen
		want    bool
	}{
		{"failed", faultfs.Trouble{FsyncFails: true}, faultfs.Seen{Failed: 1}, true},
		{"failed writes", faultfs.Trouble{WriteFails: true}, faultfs.Seen{Failed: 1}, true},
		{"slow instead of failed", faultfs.Trouble{FsyncFails: true}, faultfs.Seen{Delayed: 9}, false},
		{"full", faultfs.Trouble{Full: true}, faultfs.Seen{Full: 1}, true},
		{"failed instead of full", faultfs.Trouble{Full: true}, faultfs.Seen{Failed: 1}, false},
		{"hung", faultfs.Trouble{FsyncHangs: true}, faultfs.Seen{Hung: 1}, true},
		{"slow instead of hung", faultfs.Trouble{FsyncHangs: true}, faultfs.Seen{Delayed: 1}, false},
		{"slow", faultfs.Trouble{FsyncDelay: 1}, faultfs.Seen{Delayed: 1}, true},
		{"nothing", faultfs.Trouble{FsyncDelay: 1}, faultfs.Seen{}, false},
	} {
		if shows, ok := felt(c.trouble, c.seen); ok != c.want || shows == "" {
			t.Errorf("%s: %v, %q", c.name, ok, shows)
		}
	}
}

func TestFaultsOfLeadersTakeALeader(t *testing.T) {
	// Nodes without a process: nobody leads.
	c := &cluster.Cluster{Shards: 1, Nodes: []*cluster.Node{{Node: procs.Node{ID: "n1"}}, {Node: procs.Node{ID: "n2"}, Index: 1}, {Node: procs.Node{ID: "n3"}, Index: 2}}}
	n := New(Options{Cluster: c, Now: func() time.Duration { return 0 }})
	for name, inject := range map[string]func(context.Context, *Nemesis, *rand.Rand) (string, healFunc, error){
		"kill-leader": killLeader, "partition-leader": partitionLeader,
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		if _, _, err := inject(ctx, n, rand.New(rand.NewPCG(1, 2))); !errors.Is(err, errSkipped) {
			t.Errorf("%s without a leader: %v", name, err)
		}
		cancel()
	}
}

// Bits are flipped where they are looked at: in the log before its end, or in
// snapshots.
func TestBitsThatAreFlipped(t *testing.T) {
	dir := t.TempDir()
	contents := map[string][]byte{}
	for name, size := range map[string]int{"log/1.wal": 4000, "log/watermark": 4000, "snapshots/1/state.rdb": 1000} {
		path := filepath.Join(dir, "shards", "000", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		contents[path] = append(bytes.Repeat([]byte{0xff}, size), make([]byte, 5000)...)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	aimed := 0
	const flips = 60
	for range flips {
		for path, text := range contents {
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		name, at, err := flipBit(dir, rng)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if bits.OnesCount8(text[at]^contents[path][at]) != 1 || isLog(name) && at >= 3000 {
			t.Errorf("%s at %d: %x", name, at, text[at])
		}
		if filepath.Base(name) != "watermark" {
			aimed++
		}
	}
	if aimed < flips*3/4 {
		t.Errorf("%d of %d flips hit what is in use", aimed, flips)
	}
}
