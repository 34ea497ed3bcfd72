package compact

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const threshold = 100 << 20

// ring is a shard: replicas by name, which see each other's compactors. The first one leads.
type ring struct {
	ids      []string
	replicas map[string]*replica
}

// replica is everything around a compactor, without Raft, network or disk.
type replica struct {
	ring *ring
	id   string
	c    *Compactor

	mu sync.Mutex // guards the rest

	// State, log and snapshots.
	used, log int64
	applied   uint64
	snapshots []*raft.SnapshotMeta // newest first
	takes     time.Duration        // to write one
	fails     func() error         // what becomes of the next one; nil: it is taken
	writing   bool
	config    raft.ReloadableConfig
	trailing  int64 // the bytes that a tail was asked for

	// Shard, peers and disk.
	unsure         bool // whether the state is right
	away           bool
	tells          *Doing // instead of what it does, as of a moment ago
	onAsk          func()
	asked          []string
	scarce, full   bool
	free           int64
	blind          bool // nobody knows what is free
	keeps          int64
	slowest, usual time.Duration
	hangs          time.Duration
	freed          func() // is called when older snapshots are removed
	taken          int
	bytes          int64
	paused         time.Duration
}

// passing is a clock that goes with time.Now, in a bubble as well.
type passing struct{ since time.Time }

func (p passing) Mono() time.Duration { return time.Since(p.since) }
func (p passing) WallMillis() int64   { return time.Now().UnixMilli() }

func newRing(ids ...string) *ring {
	r := &ring{ids: ids, replicas: map[string]*replica{}}
	for _, id := range ids {
		p := &replica{ring: r, id: id, free: 1 << 40, usual: time.Millisecond, applied: 1000}
		r.replicas[id] = p
		p.c = New(Options{
			Self: id, ID: 3, Raft: p, State: p, Log: p, Snapshots: p, Shard: p, Peers: peers{p}, Disk: onDisk{p}, Turn: NewTurn(), Figures: p,
			LogBytes: threshold, Reserve: 64 << 20, Clock: passing{time.Now().Add(-time.Hour)}, Logger: slog.New(slog.DiscardHandler),
		})
	}
	return r
}

func newReplica() *replica { return newRing("a").replicas["a"] }

func (p *replica) with(fn func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fn()
}

func get[T any](p *replica, v *T) T {
	p.mu.Lock()
	defer p.mu.Unlock()
	return *v
}

func (p *replica) Applied() uint64                { return get(p, &p.applied) }
func (p *replica) Used() int64                    { return get(p, &p.used) }
func (p *replica) BytesAfter(uint64) int64        { return get(p, &p.log) }
func (p *replica) Writable() bool                 { return !get(p, &p.unsure) }
func (p *replica) Leader() string                 { return p.ring.ids[0] }
func (p *replica) Holders() []string              { return p.ring.ids }
func (p *replica) SnapshotTaken(time.Duration)    { p.with(func() { p.taken++ }) }
func (p *replica) SnapshotBytes(n int64)          { p.with(func() { p.bytes = n }) }
func (p *replica) SnapshotPaused(d time.Duration) { p.with(func() { p.paused += d }) }

func (p *replica) Voters() []string {
	return slices.DeleteFunc(slices.Clone(p.ring.ids), func(id string) bool { return id == p.id })
}

func (p *replica) TrailingWithin(bytes int64) uint64 {
	p.with(func() { p.trailing = bytes })
	return uint64(bytes / 1000)
}

func (p *replica) ReloadableConfig() raft.ReloadableConfig { return get(p, &p.config) }

func (p *replica) ReloadConfig(c raft.ReloadableConfig) error {
	p.with(func() { p.config = c })
	return nil
}

func (p *replica) List() ([]*raft.SnapshotMeta, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.snapshots), nil
}

func (p *replica) KeepNewest() error {
	p.with(func() {
		p.snapshots = p.snapshots[:min(len(p.snapshots), 1)]
		if p.freed != nil {
			p.freed()
		}
	})
	return nil
}

// future is what becomes of a snapshot.
type future struct {
	raft.SnapshotFuture
	err error
}

func (f future) Error() error { return f.err }

// Snapshot implements Raft.
func (p *replica) Snapshot() raft.SnapshotFuture {
	p.with(func() { p.writing = true })
	time.Sleep(get(p, &p.takes))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writing = false
	if p.fails != nil {
		return future{err: p.fails()}
	}
	id := fmt.Sprintf("2-%d-%d", p.applied, 1_700_000_000_000+p.applied)
	p.snapshots = append([]*raft.SnapshotMeta{{ID: id, Index: p.applied, Size: p.used}}, p.snapshots...)
	p.log = 0
	return future{}
}

type peers struct{ *replica }

func (p peers) Doing(peer string) (Doing, bool) {
	to := p.ring.replicas[peer]
	if tells := get(to, &to.tells); tells != nil {
		return *tells, true
	}
	return to.c.Doing(), !get(to, &to.away)
}

func (p peers) Ask(_ context.Context, peer string) (Doing, bool) {
	p.with(func() { p.asked = append(p.asked, peer) })
	to := p.ring.replicas[peer]
	d := to.c.Doing()
	if to.onAsk != nil {
		to.onAsk()
	}
	return d, !get(to, &to.away)
}

type onDisk struct{ *replica }

func (d onDisk) Scarce() bool            { return get(d.replica, &d.scarce) }
func (d onDisk) Full() bool              { return get(d.replica, &d.full) }
func (d onDisk) Free() (int64, error)    { return get(d.replica, &d.free), nil }
func (d onDisk) Look() (int64, bool)     { return get(d.replica, &d.free), !get(d.replica, &d.blind) }
func (d onDisk) Keeps() int64            { return get(d.replica, &d.keeps) }
func (d onDisk) Flushing() time.Duration { return get(d.replica, &d.hangs) }

func (d onDisk) Flushes() (slowest, usual time.Duration) {
	return get(d.replica, &d.slowest), get(d.replica, &d.usual)
}
