package routertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/shard/notify"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/keyslot"
)

// Node is a fake node of a cluster of three, n1, n2 and n3, which all see the
// same shards.
type Node struct {
	shardOf atomic.Pointer[func(slot uint16) int]

	id     string
	shards []*Shard
	peers  *peers

	mu      sync.Mutex
	leaders []string // by shard; guarded by mu
}

// peers are the nodes of a fake cluster, shared by all of them.
type peers struct {
	mu   sync.Mutex
	list []router.NodeInfo // guarded by mu
}

func (p *peers) all() []router.NodeInfo {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.list)
}

// Options describe the fake cluster.
type Options struct {
	Shards int                    // default 1
	Now    func() time.Time       // default time.Now
	Led    func(shard int) string // which node leads; default n1
	Away   bool                   // the node has no replica: reads are sent to another
}

// New returns node n1 of a fake cluster.
func New(table *command.Table, o Options) *Node {
	if o.Shards == 0 {
		o.Shards = 1
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	n := &Node{id: "n1", peers: new(peers)}
	for i := 1; i <= 3; i++ {
		n.peers.list = append(n.peers.list, router.NodeInfo{
			ID: fmt.Sprintf("n%d", i), State: "up",
			HTTP: fmt.Sprintf("127.0.0.1:800%d", i), RESP: fmt.Sprintf("127.0.0.1:700%d", i), Peer: fmt.Sprintf("127.0.0.1:900%d", i),
		})
	}
	for i := range o.Shards {
		n.shards = append(n.shards, newShard(i, table, o.Now))
		n.shards[i].away.Store(o.Away)
		led := "n1"
		if o.Led != nil {
			led = o.Led(i)
		}
		n.leaders = append(n.leaders, led)
	}
	return n
}

// Shard returns the fake behind a shard.
func (n *Node) Shard(i int) *Shard { return n.shards[i] }

// SetRESP says where clients reach a node.
func (n *Node) SetRESP(id, addr string) { n.change(id, func(i *router.NodeInfo) { i.RESP = addr }) }

// SetState says how a node is.
func (n *Node) SetState(id, state string) { n.change(id, func(i *router.NodeInfo) { i.State = state }) }

func (n *Node) change(id string, to func(*router.NodeInfo)) {
	n.peers.mu.Lock()
	defer n.peers.mu.Unlock()
	for i := range n.peers.list {
		if n.peers.list[i].ID == id {
			to(&n.peers.list[i])
		}
	}
}

// Peer returns another node of the same cluster, with the same shards.
func (n *Node) Peer(id string) *Node {
	n.mu.Lock()
	defer n.mu.Unlock()
	return &Node{id: id, shards: n.shards, peers: n.peers, leaders: n.leaders}
}

// Shards implements router.Node.
func (n *Node) Shards() []router.Shard {
	out := make([]router.Shard, len(n.shards))
	for i, s := range n.shards {
		out[i] = s
	}
	return out
}

// ShardOfSlot implements router.Node: equal ranges, unless SetShardOfSlot said otherwise.
func (n *Node) ShardOfSlot(slot uint16) int {
	if of := n.shardOf.Load(); of != nil {
		return (*of)(slot)
	}
	return int(slot) * len(n.shards) / keyslot.Count
}

// SetShardOfSlot says where slots are from now on.
func (n *Node) SetShardOfSlot(of func(slot uint16) int) { n.shardOf.Store(&of) }

// IsLeader implements router.Node.
func (n *Node) IsLeader(shard int) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.leaders[shard] == n.id
}

// Holds implements router.Node.
func (n *Node) Holds(shard int) bool { return !n.shards[shard].away.Load() }

// TransferLeadership implements router.Node.
func (n *Node) TransferLeadership(_ context.Context, shard int, node string) error {
	if !slices.ContainsFunc(n.peers.all(), func(p router.NodeInfo) bool { return p.ID == node }) {
		return fmt.Errorf("%w: no node %q", command.ErrUnavailable, node)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.leaders[shard] = node
	return nil
}

// SetFigures sets what Cluster tells of a shard's evictions, expiries and peak.
func (n *Node) SetFigures(shard int, figures router.ShardInfo) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.shards[shard].figures = figures
}

// Cluster implements router.Node.
func (n *Node) Cluster() router.ClusterInfo {
	n.mu.Lock()
	defer n.mu.Unlock()
	info := router.ClusterInfo{ID: "test", Self: n.id, Nodes: n.peers.all()}
	for i, s := range n.shards {
		sh := router.ShardInfo{ID: i, Leader: n.leaders[i], Replicas: []string{"n1", "n2", "n3"}, AppliedIndex: s.applied.Load(), Term: 1}
		sh.Evicted, sh.Expired, sh.UsedPeak = s.figures.Evicted, s.figures.Expired, s.figures.UsedPeak
		first := -1
		for slot := 0; slot <= keyslot.Count; slot++ {
			in := slot < keyslot.Count && n.ShardOfSlot(uint16(slot)) == i
			switch {
			case in && first < 0:
				first = slot
			case !in && first >= 0:
				sh.Slots = append(sh.Slots, [2]uint16{uint16(first), uint16(slot - 1)})
				first = -1
			}
		}
		info.Shards = append(info.Shards, sh)
	}
	return info
}

// Shard is a store under a mutex.
//
// 24 fields: every way to fail that a test asks for is one of them.
type Shard struct {
	figures router.ShardInfo // guarded by the node's mu

	id      int
	table   *command.Table
	now     func() time.Time
	applied atomic.Uint64

	mu     sync.Mutex
	store  *store.Store // guarded by mu
	limits store.Limits
	once   onceTable   // guarded by mu
	locks  *lock.Table // guarded by mu

	watchers notify.Watchers

	slots *keyslot.Set // nil: all; guarded by mu
	fail  error        // guarded by mu
	limit int64        // guarded by mu
	no    error        // of Propose alone; guarded by mu

	away    atomic.Bool
	noRoom  atomic.Bool
	full    atomic.Bool
	refused atomic.Int64

	// Proposals and Reads count the calls, Units the proposed units.
	Proposals, Reads, Units atomic.Int64
	// StaleReads counts the reads that asked for local data.
	StaleReads atomic.Int64

	minIndex atomic.Uint64
}

// MinIndex is what the last read asked for.
func (s *Shard) MinIndex() uint64 { return s.minIndex.Load() }

func newShard(id int, table *command.Table, now func() time.Time) *Shard {
	return &Shard{id: id, table: table, now: now, store: store.New(store.DefaultOptions()), once: onceTable{}, locks: lock.NewTable(true), limits: store.DefaultLimits()}
}

// ID implements router.Shard.
func (s *Shard) ID() int { return s.id }

// Fail makes all further calls fail with err, until Fail(nil).
func (s *Shard) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

// SetRefuses makes all further writes fail with err, until SetRefuses(nil).
func (s *Shard) SetRefuses(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.no = err
}

// SetSlots says which slots the shard owns, whatever the node says of it.
func (s *Shard) SetSlots(slots *keyslot.Set) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slots = slots
}

// MoveAway takes all slots from the shard, and its locks with them, until back is called.
func (s *Shard) MoveAway() (back func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	slots, locks := s.slots, s.locks
	s.slots, s.locks = new(keyslot.Set), lock.NewTable(true)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.slots, s.locks = slots, locks
	}
}

// SetLimit bounds the memory of the shard; 0 is no limit.
func (s *Shard) SetLimit(bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = bytes
}

// OutOfMemory implements router.Shard.
func (s *Shard) OutOfMemory() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.limit > 0 && s.store.Used() > s.limit
}

// SetNoRoom makes commands that need memory be refused as if disks were full.
func (s *Shard) SetNoRoom(on bool) { s.noRoom.Store(on) }

// SetFull makes whatever does not free be refused as well.
func (s *Shard) SetFull(on bool) { s.full.Store(on) }

// NoRoom implements router.Shard.
func (s *Shard) NoRoom() (growth, rest error) {
	if s.full.Load() {
		return command.ErrNoRoom, command.ErrNoRoom
	}
	if !s.noRoom.Load() {
		return nil, nil
	}
	return command.ErrTight, nil
}

// CountNoRoom implements router.Shard.
func (s *Shard) CountNoRoom() { s.refused.Add(1) }

// NoRoomRefused is how many writes were refused so.
func (s *Shard) NoRoomRefused() int64 { return s.refused.Load() }

func (s *Shard) ctx() *command.Ctx {
	now := s.now().UnixMilli()
	s.locks.Advance(now)
	return &command.Ctx{Table: s.table, Store: s.store, Slots: s.slots, Records: s.once, Locks: s.locks, Limits: &s.limits, Now: now, Wall: now, Mono: now, MonoAhead: now}
}

// Propose implements router.Shard.
func (s *Shard) Propose(ctx context.Context, b command.Batch) ([]resp.Value, error) {
	s.mu.Lock()
	defer func() {
		events := s.locks.TakeEvents()
		s.mu.Unlock()
		s.tell(events)
	}()
	if err := s.refuse(ctx); err != nil {
		if b.Late != nil && errors.Is(err, command.ErrInDoubt) {
			b.Late(nil, err)
		}
		return nil, err
	}
	if s.no != nil {
		return nil, s.no
	}
	if s.full.Load() && !s.table.FreesAll(b.Parts, b.Body) {
		return nil, command.ErrNoRoom
	}
	s.Proposals.Add(1)
	var r command.UnitReader
	var u command.Unit
	r.Reset(slices.Concat(append(b.Parts, b.Body)...))
	out := make([]resp.Value, 0, b.N)
	for !r.Done() {
		if err := r.Next(&u); err != nil {
			return nil, err
		}
		c := s.ctx()
		c.InLog, c.Once, c.Seed, c.OOMLimit = true, s.once, s.applied.Add(1), s.limit
		if s.noRoom.Load() {
			c.OOMLimit = command.NoDisk
		}
		out = append(out, s.table.RunUnit(c, &u))
		s.Units.Add(1)
	}
	if b.Index != nil {
		*b.Index = s.applied.Load()
	}
	return out, nil
}

// Read implements router.Shard.
func (s *Shard) Read(ctx context.Context, opt command.ReadOptions, q command.Query) (command.ReadInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refuse(ctx); err != nil {
		return command.ReadInfo{}, err
	}
	s.Reads.Add(1)
	s.minIndex.Store(opt.MinIndex)
	if opt.Consistency == command.Stale {
		s.StaleReads.Add(1)
	}
	if !s.away.Load() {
		q.Run(s.ctx())
		return command.ReadInfo{Index: s.applied.Load()}, nil
	}
	return command.ReadInfo{Index: s.applied.Load()}, s.ask(q.Sent)
}

// ask answers a query as another node does: from what is sent alone.
func (s *Shard) ask(q command.Sent) error {
	var req command.Request
	q.Ask(&req)
	body := slices.Concat(append(req.Units.Parts, req.Units.Body)...)
	if err := s.table.CheckQuery(body, req.Units.N); err != nil {
		return fmt.Errorf("%w: %w", command.ErrUnavailable, err)
	}
	a, err := s.table.Query(s.ctx(), &req, body)
	if err != nil {
		return fmt.Errorf("%w: %w", command.ErrUnavailable, err)
	}
	for i, v := range a.Replies { // as they travel
		if a.Replies[i], _, err = resp.DecodeBinary(resp.AppendBinary(nil, v)); err != nil {
			return fmt.Errorf("%w: %w", command.ErrUnavailable, err)
		}
	}
	q.Take(&a)
	return nil
}

// SetAway says that the node has no replica of the shard: its reads are sent to another.
func (s *Shard) SetAway(away bool) { s.away.Store(away) }

func (s *Shard) refuse(ctx context.Context) error {
	if s.fail != nil {
		return s.fail
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", command.ErrUnavailable, err)
	}
	return nil
}

type onceTable map[string]onceRecord

type onceRecord struct {
	fingerprint uint64
	reply       resp.Value
}

func (t onceTable) Begin(id, _ []byte) (resp.Value, uint64, command.OnceState) {
	return t.Recorded(id)
}

// Recorded implements command.OnceRecords.
func (t onceTable) Recorded(id []byte) (resp.Value, uint64, command.OnceState) {
	rec, hit := t[string(id)]
	if !hit {
		return resp.Value{}, 0, command.OnceNew
	}
	return rec.reply, rec.fingerprint, command.OnceDone
}

// Room implements command.OnceTable.
func (t onceTable) Room(_, _ []byte, _ int) command.OnceState { return command.OnceNew }

// Forget implements command.OnceTable.
func (t onceTable) Forget(id []byte) { delete(t, string(id)) }

// Finish implements command.OnceTable.
func (t onceTable) Finish(id, _ []byte, _ uint16, _ int64, fingerprint uint64, reply resp.Value) {
	t[string(id)] = onceRecord{fingerprint, reply}
}
