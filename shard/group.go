package shard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/internal/clock"
	"github.com/lockstepkv/lockstep/internal/disk"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/shard/batch"
	"github.com/lockstepkv/lockstep/shard/logclock"
	"github.com/lockstepkv/lockstep/shard/notify"
	"github.com/lockstepkv/lockstep/shard/readindex"
	"github.com/lockstepkv/lockstep/shard/session"
	"github.com/lockstepkv/lockstep/snapshot"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/transport"
)

// Group is this node's replica of one shard: a Raft group, its state machine,
// and the request queues around them.
//
// 31 fields: what a replica is put together from, once each; what belongs to one of its
// rooms has a struct of its own below.
type Group struct {
	id     uint32
	self   string
	voters voters
	boot   uint64 // number of this start of the node
	opt    *Options
	clock  clock.Clock
	net    *transport.Transport
	logger *slog.Logger

	raft      *raft.Raft
	fsm       *fsm.FSM
	log       LogStore
	snapshots *snapshot.Store
	wire      *transport.Group
	meta      *Meta
	node      *Node
	memory    *atomic.Pointer[Memory]

	session  *session.Session
	lending  atomic.Pointer[lenders] // for the state machine, which runs before there is one
	packer   *batch.Packer
	sender   *session.Sender
	reader   *readindex.Reader
	hub      *notify.Hub
	detector *detector
	told     notify.Told
	metrics  *groupMetrics

	leading
	soundness
	compaction
	diskSight
	timekeeping
	lifetime
}

// leading is what a replica knows of its own leadership.
type leading struct {
	serving     atomic.Uint64 // the term in which this node answers as leader; 0 if it does not
	servingFrom atomic.Int64  // monotonic time at which it began to
	transfers   transfers
	notify      chan bool // Raft says that this node leads, or no longer; capacity 16
}

// soundness is whether the replica's state is the right one; see compare.go.
type soundness struct {
	quarantined atomic.Bool   // it has lost its log, and has no vote yet
	diverged    atomic.Bool   // the state is wrong
	condemned   atomic.Uint64 // how often it was found to be
	undecided   atomic.Bool   // replicas differ, and nobody can tell which is right
	unreads     unreads
	audits      audits
	auditing    chan audit // capacity 1
	handout     handout
}

// compaction is what a replica knows of its snapshots; see compact.go.
type compaction struct {
	putOff         atomic.Bool   // the newest snapshot was, because no majority confirmed the state
	toldPutOff     string        // why the newest snapshot was; the compactor's own
	notBefore      atomic.Int64  // monotonic time before which no snapshot is tried again
	compacting     atomic.Int32  // a compacting
	snapshotAt     atomic.Uint64 // index of the newest snapshot
	snapshotMillis atomic.Int64  // Unix time of that snapshot; 0: none
	openedWith     uint64        // index of the newest log entry when the replica was opened
	rests          rests         // of the writer of a snapshot
}

// diskSight is what a replica sees of its disk; see diskwatch.go.
type diskSight struct {
	flushes    flushes
	flushSeen  atomic.Int64 // how long a flush has been under way when it was last looked at
	flushLasts atomic.Int64 // how long a slow flush has been under way; 0: none is
	abdicating atomic.Bool
	handing    atomic.Bool  // over, for the sake of the disk
	handoverAt atomic.Int64 // monotonic time before which that is not tried again
}

// timekeeping is the replica's part in the log's time; see logtime.go.
type timekeeping struct {
	logClock  logclock.Clock
	appliedAt atomic.Int64  // monotonic time at which the newest entry was applied; 0: none yet
	lockNudge chan struct{} // a grant or a wait may be over; capacity 1
}

// lifetime is what ends a replica's goroutines.
type lifetime struct {
	raftDown chan struct{}   // closed when Raft has stopped
	life     context.Context // ends with close
	stop     context.CancelFunc
	wg       sync.WaitGroup
}

// openGroup starts this node's replica of shard id.
func openGroup(ctx context.Context, n *Node, id uint32) (*Group, error) {
	g := &Group{
		id:     id,
		self:   n.opt.NodeID,
		opt:    &n.opt,
		clock:  n.opt.Clock,
		net:    n.net,
		wire:   n.net.Group(id),
		meta:   n.meta,
		node:   n,
		memory: &n.memory,
		logger: n.opt.Logger.With("shard", id),
	}
	g.notify, g.raftDown = make(chan bool, 16), make(chan struct{})
	g.lockNudge, g.auditing = make(chan struct{}, 1), make(chan audit, 1)
	g.voters.open(g.self, n.opt.Members)
	g.life, g.stop = context.WithCancel(context.Background())
	g.metrics = n.metrics.group(id)
	g.hub = notify.NewHub(g.self, &g.told, telling{g})
	g.detector = newDetector(g)
	if err := g.openRaft(ctx, n); err != nil {
		return nil, fmt.Errorf("shard %d: %w", id, err)
	}
	// Only now: a replica that lost its data may have been given a higher number.
	g.boot = n.opt.Boot
	g.session = session.New(session.Options{
		Node: g.self, Boot: g.boot, MaxBytes: n.opt.MaxWaitingBytes, Queued: g.metrics.queueSeconds,
		Kick: g.kick, Led: func() bool { return g.Leader() != "" }, Outlived: g.outlived, Disks: disksOf{g},
	})
	g.packer = newPacker(g)
	g.reader = newReader(g)
	g.lending.Store(&lenders{g.session, g.packer})
	g.sender = session.NewSender(g.self, g.session, route{g.id, g.net, g.Leader, &g.serving, g.packer})
	loops := g.life
	for _, loop := range []func(context.Context){
		g.packer.Run, g.sender.Run, g.lead, g.watchLeader, g.upkeep, g.lockTimer, g.hub.Run, g.audit, g.compare, g.settleUnread, func(ctx context.Context) { g.compactor(ctx, n.snapshotting) },
	} {
		g.wg.Go(func() { loop(loops) })
	}
	return g, nil
}

// groupDir is where a shard's log and snapshots live.
func groupDir(dataDir string, id uint32) string {
	return filepath.Join(dataDir, "shards", fmt.Sprintf("%03d", id))
}

func (g *Group) openRaft(ctx context.Context, n *Node) error {
	dir := groupDir(g.opt.DataDir, g.id)
	for _, d := range []string{filepath.Dir(dir), dir, filepath.Join(dir, "log")} {
		if err := disk.MkdirAll(d, 0o700); err != nil {
			return err
		}
	}
	g.fsm = fsm.New(fsm.Options{
		Table: g.opt.Table, Store: g.memory.Load().Eviction, Slots: n.view.Get().SlotsOf(int(g.id)), Logger: g.logger,
		Applied: g.applied, OnLocks: g.hub.Changed, Node: g.self,
		Froze:   func(d time.Duration) { g.metrics.freeze.Observe(d.Seconds()) },
		OnAudit: g.audited, OnUnsound: g.condemn, Verify: g.verify, OnRefused: g.refused, Lend: g.lend,
	})
	if err := g.unreads.recall(g.meta, int(g.id)); err != nil {
		return err
	}
	if err := g.openStores(ctx, n, dir); err != nil {
		return err
	}
	if err := g.recallDiverged(); err != nil {
		return errors.Join(err, g.log.Close())
	}
	g.wire.SetRoom(roomFor{n})
	cfg := g.raftConfig()
	if err := g.bootstrap(cfg); err != nil {
		return errors.Join(err, g.log.Close())
	}
	log := durable{g.log, dir, &g.flushes, n.appends, n.flushed, func(err error) { g.opt.Fatal(fmt.Errorf("shard %d: %w", g.id, err)) }}
	r, err := raft.NewRaft(cfg, g.fsm, log, log, g.snapshots, g.wire)
	if err != nil {
		return errors.Join(err, g.log.Close())
	}
	g.raft, g.openedWith = r, r.LastIndex()
	g.voters.started(r)
	g.wire.Attach(r)
	g.told.Open(r.CurrentTerm)
	g.noteSnapshot()
	g.snapshots.SetHooks(snapshot.Hooks{Pace: g.pace, Room: g.roomForSnapshot, Failed: g.snapshotFailed})
	return nil
}

// applied is told how long an entry took to apply.
func (g *Group) applied(took time.Duration) {
	g.appliedAt.Store(int64(g.clock.Mono()))
	g.metrics.apply(took)
}

func (g *Group) raftConfig() *raft.Config {
	cfg := raft.DefaultConfig()
	cfg.LocalID = raft.ServerID(g.self)
	cfg.HeartbeatTimeout = g.opt.raftTimeout() // the detector is faster
	cfg.LeaderLeaseTimeout = g.opt.raftTimeout()
	cfg.ElectionTimeout = max(g.opt.raftTimeout(), g.opt.ElectionTimeout)
	cfg.CommitTimeout = 5 * time.Millisecond
	cfg.MaxAppendEntries = 32
	cfg.NotifyCh = g.notify
	cfg.Logger = newRaftLogger(g.logger)
	cfg.NoLegacyTelemetry = true
	// Snapshots are taken by upkeep, which counts bytes.
	cfg.SnapshotThreshold = 1 << 62
	cfg.SnapshotInterval = time.Hour
	cfg.TrailingLogs = 1024
	return cfg
}

func (g *Group) bootstrap(cfg *raft.Config) error {
	has, err := raft.HasExistingState(g.log, g.log, g.snapshots)
	if err != nil || has {
		return err
	}
	return raft.BootstrapCluster(cfg, g.log, g.log, g.snapshots, g.wire, raft.Configuration{Servers: founders(g.opt.Members)})
}

// kick wakes whoever hands batches to a leader.
func (g *Group) kick() {
	if g.serving.Load() != 0 {
		g.packer.Kick()
		return
	}
	g.sender.Kick()
}

// Propose has the units of b logged and applied, and returns a reply for each.
// Errors wrap command.ErrUnavailable, command.ErrOverloaded, command.ErrNoRoom or
// command.ErrInDoubt.
func (g *Group) Propose(ctx context.Context, b command.Batch) ([]resp.Value, error) {
	if g.room() == noneLeft && !g.opt.Table.FreesAll(b.Parts, b.Body) {
		return nil, session.ErrFull
	}
	return g.session.Propose(ctx, b)
}

// ID returns the shard's number.
func (g *Group) ID() int { return int(g.id) }

// Leader returns the id of the node that leads the shard as far as this node
// knows, or "".
func (g *Group) Leader() string {
	_, id := g.raft.LeaderWithID()
	return string(id)
}

// Serving reports whether this node answers as the shard's leader.
func (g *Group) Serving() bool { return g.serving.Load() != 0 }

// memoryLimit returns the shard's share of maxmemory and whether keys may be
// evicted to keep to it.
func (g *Group) memoryLimit() (bytes int64, evicts bool) {
	m := g.memory.Load()
	if m.MaxBytes == 0 {
		return 0, false
	}
	return max(m.MaxBytes/int64(g.opt.Shards), 1), m.Eviction.Policy != store.NoEviction
}

// OutOfMemory reports whether this replica uses more than the limit and no key may
// be evicted: a command that needs memory would be refused. The log decides; this
// is for those who ask before.
func (g *Group) OutOfMemory() bool {
	limit, evicts := g.memoryLimit()
	return limit > 0 && !evicts && g.fsm.Used() > limit
}

// settingsToPropose returns the replicated settings that differ from this
// node's configuration.
func (g *Group) settingsToPropose() []fsm.SettingChange {
	leaseMillis, onceMillis, onceBytes := g.fsm.Settings()
	var out []fsm.SettingChange
	if want := uint64(g.opt.LeaseDuration / time.Millisecond); want != leaseMillis {
		out = append(out, fsm.SettingChange{Setting: fsm.SettingLeaseMillis, Value: want})
	}
	if want := uint64(g.opt.OnceRetention / time.Millisecond); want != 0 && want != onceMillis {
		out = append(out, fsm.SettingChange{Setting: fsm.SettingOnceMillis, Value: want})
	}
	if want := uint64(g.opt.OnceBytes) / uint64(g.opt.Shards); want != 0 && want != onceBytes {
		out = append(out, fsm.SettingChange{Setting: fsm.SettingOnceBytes, Value: want})
	}
	want, have := &g.memory.Load().Limits, g.fsm.Limits()
	for l := range store.LimitCount {
		if want[l] != have[l] {
			out = append(out, fsm.SettingChange{Setting: fsm.LimitSetting(l), Value: uint64(want[l])})
		}
	}
	return out
}

// close stops the replica.
func (g *Group) close() error {
	g.stop()
	g.handout.close()
	g.session.Close()
	err := g.raft.Shutdown().Error()
	close(g.raftDown)
	g.wg.Wait()
	return errors.Join(err, g.log.Close())
}
