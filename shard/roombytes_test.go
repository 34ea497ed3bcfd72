package shard

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/shard/raftlog"
)

// smallDisk is a log on a disk that has room for so many bytes.
type smallDisk struct {
	LogStore
	free *atomic.Int64
}

func (d smallDisk) StoreLog(l *raft.Log) error { return d.StoreLogs([]*raft.Log{l}) }

func (d smallDisk) StoreLogs(logs []*raft.Log) error {
	var bytes int64
	for _, l := range logs {
		bytes += int64(len(l.Data))
	}
	if d.free.Add(-bytes) < 0 {
		return syscall.ENOSPC
	}
	return d.LogStore.StoreLogs(logs)
}

// newBurst makes a cluster on small disks that nobody looks at but for the bytes that come.
func newBurst(t *testing.T, nodes int, reserve int64, free map[string]int64) *fullDisks {
	f := &fullDisks{free: map[string]*atomic.Int64{}}
	for id, bytes := range free {
		f.free[id] = new(atomic.Int64)
		f.free[id].Store(bytes)
	}
	f.cluster = newCluster(t, nodes, func(o *Options) {
		free := f.free[o.NodeID]
		o.DiskReserve, o.lookEvery = reserve, time.Hour
		o.DiskFree = func() (int64, error) { return max(free.Load(), 0), nil }
		o.OpenLog = func(lo raftlog.Options) (LogStore, error) {
			log, err := raftlog.Open(lo)
			return smallDisk{log, free}, err
		}
	})
	return f
}

// burst has clients write values as fast as they can, and counts what they are told.
func (f *fullDisks) burst(value, each int) (applied, refused int) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range 12 {
		g := f.group(f.ids[i%len(f.ids)])
		wg.Go(func() {
			for j := range each {
				var b command.Batch
				b.Add(command.Args{[]byte("SET"), fmt.Appendf(nil, "k%d.%d", i, j), make([]byte, value)})
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				replies, err := g.Propose(ctx, b)
				cancel()
				mu.Lock()
				switch {
				case errors.Is(err, command.ErrNoRoom):
					refused++
				case err != nil:
					f.t.Errorf("told neither yes nor no: %v", err)
				case replies[0].Class() == resp.ClassDisk:
					refused++
				default:
					applied++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return applied, refused
}

// TestBurstDoesNotFillTheDisk: what clients can write between two looks at the disk does not
// matter.
func TestBurstDoesNotFillTheDisk(t *testing.T) {
	const reserve = 16 << 20
	for name, free := range map[string]map[string]int64{
		"alone":           {"n1": 24 << 20},
		"alike":           {"n1": 24 << 20, "n2": 24 << 20, "n3": 24 << 20},
		"less on a few":   {"n1": 64 << 20, "n2": 24 << 20, "n3": 24 << 20},
		"less everywhere": {"n1": 24 << 20, "n2": 28 << 20, "n3": 20 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			c := newBurst(t, len(free), reserve, free)
			c.leader()
			applied, refused := c.burst(256<<10, 12)
			if applied == 0 || refused == 0 {
				t.Errorf("%d applied, %d refused", applied, refused)
			}
			for id, free := range c.free {
				if free.Load() < reserve/keepsTaken {
					t.Errorf("%s: %d bytes are left", id, free.Load())
				}
			}
			c.want(c.leader(), "DEL k0.0", ":1\r\n")
		})
	}
}

// TestLargeValueDoesNotFillTheDisk: one that would is refused before any of it is logged.
func TestLargeValueDoesNotFillTheDisk(t *testing.T) {
	c := newBurst(t, 1, 16<<20, map[string]int64{"n1": 40 << 20})
	before := c.free["n1"].Load()
	var b command.Batch
	b.Add(command.Args{[]byte("SET"), []byte("big"), make([]byte, 48<<20)})
	if _, err := c.group("n1").Propose(t.Context(), b); !errors.Is(err, command.ErrNoRoom) {
		t.Errorf("%v", err)
	}
	if took := before - c.free["n1"].Load(); took > 1<<20 {
		t.Errorf("%d bytes were logged of it", took)
	}
	c.want("n1", "SET k v", "+OK\r\n")
}
