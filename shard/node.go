package shard

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/internal/wire"
	"github.com/lockstepkv/lockstep/shard/compact"
	"github.com/lockstepkv/lockstep/shard/forward"
	"github.com/lockstepkv/lockstep/shard/quarantine"
	"github.com/lockstepkv/lockstep/shard/raftlog"
	"github.com/lockstepkv/lockstep/shard/session"
	"github.com/lockstepkv/lockstep/shard/view"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/transport"
)

// Node is this process's part of the cluster: replicas of the shards that it holds, as the view
// says when it starts, and the way to the others.
//
// 21 fields: everything that a node has once.
type Node struct {
	opt     Options
	meta    *Meta
	net     *transport.Transport
	view    *view.Current
	metrics *nodeMetrics
	memory  atomic.Pointer[Memory]

	memoryMu sync.Mutex // held while memory changes

	logCache *raftlog.CacheBudget

	mu      sync.RWMutex
	groups  []*Group  // guarded by mu while Open runs, fixed afterwards; by shard
	byShard []*Group  // the same, with nil for those without a replica here
	remotes []*Remote // by shard, those without a replica here; guarded by mu while Open runs
	peers   map[string]NodeInfo
	empty   map[uint32]quarantine.Admission // groups of which this node had nothing when it started

	served       atomic.Bool // Ready has found nothing missing
	toldMissing  bool        // that nodes are missing at the start; only Open uses it
	disk         diskState
	offSince     atomic.Int64 // monotonic time since when this node's clock has been off; 0: it is not
	snapshotting compact.Turn // one snapshot at a time on a node
	stop         context.CancelFunc
	wg           sync.WaitGroup
}

// Open starts the node: it checks that the data directory belongs to it, opens
// the peer port and starts a replica of every shard. At the first start of a
// cluster it waits until all of the nodes can be reached.
func Open(ctx context.Context, opt Options) (*Node, error) {
	if err := opt.validate(); err != nil {
		return nil, err
	}
	meta, err := OpenMeta(opt.DataDir, opt.identity(), time.UnixMilli(opt.Clock.WallMillis()))
	if err != nil {
		return nil, opt.explainFull(err)
	}
	if err := opt.checkRoom(); err != nil {
		return nil, errors.Join(err, meta.Close())
	}
	opt.Boot, opt.lookEvery = meta.Boot(), cmp.Or(opt.lookEvery, roomEvery)
	current := opt.view()
	n := &Node{
		opt: opt, meta: meta, view: current, peers: make(map[string]NodeInfo), empty: make(map[uint32]quarantine.Admission),
		metrics: newNodeMetrics(opt.Metrics), snapshotting: compact.NewTurn(), logCache: raftlog.NewCacheBudget(opt.LogCacheBytes),
	}
	if opt.Memory.Limits == (store.Limits{}) {
		opt.Memory.Limits = store.DefaultLimits()
	}
	n.memory.Store(&opt.Memory)
	n.net, err = transport.New(transport.Options{
		NodeID: opt.NodeID, ClusterID: meta.ClusterID(), Listener: opt.Listener, Peers: addresses(current.Get()),
		TLS: opt.PeerTLS, TLSNames: opt.PeerNames, Secrets: opt.Secrets, Logger: opt.Logger, Fault: opt.Faults, Clock: opt.Clock, Dial: opt.Dial,
	})
	if err != nil {
		return nil, errors.Join(err, meta.Close())
	}
	watchPeers(opt.Metrics, n.net, opt.NodeID, current)
	n.handle()
	n.look(nil)
	loops, stop := context.WithCancel(context.Background())
	n.stop = stop
	if err := n.openGroups(ctx); err != nil {
		return nil, errors.Join(opt.explainFull(err), n.Close())
	}
	for _, loop := range []func(context.Context){n.followView, n.exchange, n.balance, n.watchClocks, n.watchMajority, n.watchDisk, n.watchRoom, n.detect} {
		n.wg.Go(func() { loop(loops) })
	}
	return n, nil
}

// addresses is where the nodes of a view are reached.
func addresses(v *view.View) map[string]string {
	peers := make(map[string]string)
	for _, p := range v.Peers() {
		peers[p.ID] = p.Addr
	}
	return peers
}

// followView has the transport know the nodes of each new view.
func (n *Node) followView(ctx context.Context) {
	for {
		v, changed := n.view.Changed()
		n.net.SetPeers(addresses(v))
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

func (n *Node) openGroups(ctx context.Context) error {
	shards := n.view.Get().Shards()
	for id := range shards {
		if !n.view.Get().Holds(n.opt.NodeID, id) {
			n.add(id, nil)
			continue
		}
		n.waitsFor(fmt.Sprintf("it reads shard %d of %d", id+1, shards))
		g, err := openGroup(ctx, n, uint32(id))
		if err != nil {
			return err
		}
		n.add(id, g)
	}
	// Only now: a replica that lost its data may have raised the number of this start.
	remotes := make([]*Remote, shards)
	for id := range shards {
		if n.group(uint64(id)) == nil {
			remotes[id] = openRemote(n, uint32(id))
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.remotes = remotes
	return nil
}

// add makes g the node's replica of a shard, nil for none, with the memory setting that may have
// come meanwhile.
func (n *Node) add(shard int, g *Group) {
	n.memoryMu.Lock()
	defer n.memoryMu.Unlock()
	n.mu.Lock()
	if n.byShard = append(n.byShard, g); g != nil {
		n.groups = append(n.groups, g)
	}
	n.mu.Unlock()
	n.useMemory(*n.memory.Load())
}

// waitsFor tells what keeps the start of this node.
func (n *Node) waitsFor(what string) {
	if n.opt.OnStart != nil {
		n.opt.OnStart(what)
	}
}

// Close stops everything and waits for it.
func (n *Node) Close() error {
	n.stop()
	n.wg.Wait()
	var errs []error
	for _, r := range n.Remotes() {
		if r != nil {
			r.close()
		}
	}
	for _, g := range n.Groups() {
		errs = append(errs, g.close())
	}
	return errors.Join(append(errs, n.net.Close(), n.meta.Close())...)
}

// Group returns this node's replica of a shard, nil if it has none.
func (n *Node) Group(shard int) *Group { return n.group(uint64(shard)) }

func (n *Node) group(shard uint64) *Group {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if shard >= uint64(len(n.byShard)) {
		return nil
	}
	return n.byShard[shard]
}

// Remotes returns the shards of which this node has no replica, by number; nil for the others.
func (n *Node) Remotes() []*Remote {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.remotes
}

// remote returns a shard of which this node has no replica, or nil.
func (n *Node) remote(shard uint64) *Remote {
	if list := n.Remotes(); shard < uint64(len(list)) {
		return list[shard]
	}
	return nil
}

// Groups returns this node's replicas in the order of their shards.
func (n *Node) Groups() []*Group {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.groups
}

// View returns what this node knows of the cluster.
func (n *Node) View() *view.View { return n.view.Get() }

// PeerConnections returns the number of open connections with other nodes.
func (n *Node) PeerConnections() int { return n.net.Connections() }

// LogCacheHeld returns the memory that the newest log entries of all shards take.
func (n *Node) LogCacheHeld() int64 { return n.logCache.Used() }

// DisplacedPeers counts the connections to the peer port that had not shown whose they are
// when others wanted in.
func (n *Node) DisplacedPeers() int64 { return n.net.Displaced() }

// ClusterID returns the cluster's id.
func (n *Node) ClusterID() string { return n.meta.ClusterID() }

// Ready reports whether every shard of this node can serve: it leads the shard,
// or knows a leader and has caught up with it lately.
func (n *Node) Ready() error {
	remotes := n.Remotes()
	if len(remotes) < n.view.Get().Shards() {
		return errors.New("shards are still opening")
	}
	for _, r := range remotes {
		if r != nil && r.Leader() == "" {
			return fmt.Errorf("shard %d, of which this node has no replica, has no leader that serves%s", r.id, n.whoIsMissing())
		}
	}
	for _, g := range n.Groups() {
		switch {
		case g.guard.On():
			return fmt.Errorf("shard %d is being repaired", g.id)
		case g.keeper.Diverged():
			return fmt.Errorf("shard %d differs from the other replicas and is being rebuilt", g.id)
		case g.keeper.Unread():
			return fmt.Errorf("shard %d: %s", g.id, g.keeper.Unanswered())
		case g.disk.Hangs() > 0:
			return fmt.Errorf("shard %d: the disk has not finished a write for %v", g.id, g.disk.Hangs().Round(time.Millisecond))
		case !g.Serving() && g.reader.Age() > 2*time.Second:
			return fmt.Errorf("shard %d has no leader that serves%s", g.id, n.whoIsMissing())
		}
	}
	n.served.Store(true)
	return nil
}

// whoIsMissing names the nodes that this one is not connected to.
func (n *Node) whoIsMissing() string {
	if list := n.missing(); len(list) > 0 {
		return "; not connected: " + strings.Join(list, ", ")
	}
	return ""
}

// Notices are what an operator should know though this node is ready.
func (n *Node) Notices() (list []string) {
	list = n.diskNotices()
	for _, g := range n.Groups() {
		if g.keeper.Undecided() {
			list = append(list, fmt.Sprintf("shard %d: replicas differ, and no majority can tell which is right", g.id))
		}
	}
	return list
}

// handle registers what other nodes may call.
func (n *Node) handle() {
	n.net.HandleInline(methodConfirm, func(_ context.Context, _ string, req []byte) ([]byte, error) {
		g, _, err := n.groupOf(req)
		if err != nil {
			return nil, err
		}
		term, ok := g.answerConfirm()
		if !ok {
			return nil, session.ErrNotServing
		}
		return binary.AppendUvarint(nil, term), nil
	})
	n.net.Handle(methodReadIndex, func(ctx context.Context, _ string, req []byte) ([]byte, error) {
		g, reads, err := n.groupOf(req)
		if err != nil {
			return nil, err
		}
		noted, err := g.reader.Answer(ctx)
		g.countReads(reads)
		if err != nil {
			return nil, err
		}
		return appendNoted(make([]byte, 0, 5*binary.MaxVarintLen64), noted, g.raft.LastIndex()), nil
	})
	n.net.Handle(methodPropose, n.answerPropose)
	n.net.Handle(methodInfo, n.answerInfo)
	n.net.Handle(methodTransfer, func(ctx context.Context, _ string, req []byte) ([]byte, error) {
		g, rest, err := n.groupOf(req)
		if err != nil {
			return nil, err
		}
		return nil, g.TransferLeadership(ctx, string(rest))
	})
	n.net.HandleInline(methodGranted, func(_ context.Context, _ string, req []byte) ([]byte, error) {
		g, rest, err := n.groupOf(req)
		if errors.Is(err, forward.ErrNotHere) {
			if id, rest, ok := wire.CutUvarint(req); ok && n.remote(id) != nil {
				return nil, n.remote(id).granted(rest)
			}
		}
		if err != nil {
			return nil, err
		}
		return nil, g.answerGranted(rest)
	})
	n.answerKeepers()
	n.net.Handle(methodAdmission, n.answerAdmission)
	n.net.Handle(methodRead, n.answerRead)
	n.net.HandleInline(methodStanding, n.answerStanding)
	n.net.Handle(methodFollow, n.answerFollow)
	n.net.Handle(methodPoll, n.answerPoll)
	n.handleElections()
}

func (n *Node) answerPropose(ctx context.Context, from string, req []byte) ([]byte, error) {
	g, rest, err := n.groupOf(req)
	if err != nil {
		return encodeResult(fsm.BatchResult{}, session.ErrNotServing), nil
	}
	batch, err := fsm.DecodeBatch(rest)
	if err != nil {
		return nil, err
	}
	if err := plausibleBatch(batch, from, n.opt.Clock.WallMillis()); err != nil {
		return nil, err
	}
	if err := batch.Check(); err != nil {
		return nil, err // once in the log it would stop every replica
	}
	if g.serving.Load() == 0 {
		return encodeResult(fsm.BatchResult{}, session.ErrNotServing), nil
	}
	return encodeResult(g.packer.Submit(ctx, batch)), nil
}

// groupOf reads the group that a message is for.
func (n *Node) groupOf(req []byte) (*Group, []byte, error) {
	id, rest, err := cutUvarint(req)
	if err != nil {
		return nil, nil, err
	}
	g := n.group(id)
	if g == nil {
		return nil, nil, fmt.Errorf("shard %d: %w: %w", id, forward.ErrNotHere, session.ErrNotServing)
	}
	return g, rest, nil
}

// TransferLeadership hands the leadership of a shard to a node, through whichever
// node leads it now.
func (n *Node) TransferLeadership(ctx context.Context, shard int, node string) error {
	g, remote := n.Group(shard), n.remote(uint64(shard))
	if g == nil && remote == nil {
		return fmt.Errorf("%w: shard %d", ErrNoSuchShard, shard)
	}
	if !n.view.Get().Holds(node, shard) {
		return fmt.Errorf("%w: %q", ErrNoSuchNode, node)
	}
	leader := ""
	if g != nil {
		leader = g.Leader()
	} else {
		leader = remote.Leader()
	}
	switch leader {
	case "":
		return fmt.Errorf("shard %d has no leader: %w", shard, session.ErrNotServing)
	case n.opt.NodeID:
		return g.TransferLeadership(ctx, node)
	}
	_, err := n.net.Call(ctx, leader, methodTransfer, append(appendGroup(nil, uint32(shard)), node...))
	return err
}

// HandOver hands the leadership of every shard that this node leads to another
// node that is well, so that stopping it costs no election timeout.
func (n *Node) HandOver(ctx context.Context) {
	for _, g := range n.Groups() {
		for _, to := range n.view.Get().HoldersOf(int(g.id)) {
			if !g.Serving() || ctx.Err() != nil {
				break
			}
			if to == n.opt.NodeID || !n.caughtUp(to, g) {
				continue
			}
			if err := g.TransferLeadership(ctx, to); err != nil {
				g.logger.Info("could not hand leadership over", "to", to, "error", err)
				continue
			}
			break
		}
	}
}
