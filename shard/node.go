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
	"github.com/lockstepkv/lockstep/shard/raftlog"
	"github.com/lockstepkv/lockstep/shard/session"
	"github.com/lockstepkv/lockstep/shard/view"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/transport"
)

// Node is this process's part of the cluster: a replica of every shard.
type Node struct {
	opt     Options
	meta    *Meta
	net     *transport.Transport
	view    *view.Current
	metrics *nodeMetrics
	memory  atomic.Pointer[Memory]

	memoryMu sync.Mutex // held while memory changes

	logCache *raftlog.CacheBudget

	mu     sync.RWMutex
	groups []*Group // guarded by mu while Open runs, fixed afterwards
	peers  map[string]NodeInfo
	empty  map[uint32]seniority // groups of which this node had nothing when it started

	served       atomic.Bool // Ready has found nothing missing
	toldMissing  bool        // that nodes are missing at the start; only Open uses it
	disk         diskState
	offSince     atomic.Int64 // monotonic time since when this node's clock has been off; 0: it is not
	snapshotting turn         // one snapshot at a time on a node
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
	peers := make(map[string]string)
	for _, m := range current.Get().Peers() {
		peers[m.ID] = m.Addr
	}
	n := &Node{
		opt: opt, meta: meta, view: current, peers: make(map[string]NodeInfo), empty: make(map[uint32]seniority),
		metrics: newNodeMetrics(opt.Metrics), snapshotting: make(turn, 1), logCache: raftlog.NewCacheBudget(opt.LogCacheBytes),
	}
	if opt.Memory.Limits == (store.Limits{}) {
		opt.Memory.Limits = store.DefaultLimits()
	}
	n.memory.Store(&opt.Memory)
	n.net, err = transport.New(transport.Options{
		NodeID: opt.NodeID, ClusterID: meta.ClusterID(), Listener: opt.Listener, Peers: peers,
		TLS: opt.PeerTLS, TLSNames: opt.PeerNames, Secrets: opt.Secrets, Logger: opt.Logger, Fault: opt.Faults, Clock: opt.Clock, Dial: opt.Dial,
	})
	if err != nil {
		return nil, errors.Join(err, meta.Close())
	}
	watchPeers(opt.Metrics, n.net, opt.NodeID, current.Get().Peers())
	n.handle()
	n.look(nil)
	loops, stop := context.WithCancel(context.Background())
	n.stop = stop
	if err := n.openGroups(ctx); err != nil {
		return nil, errors.Join(opt.explainFull(err), n.Close())
	}
	for _, loop := range []func(context.Context){n.exchange, n.balance, n.watchClocks, n.watchMajority, n.watchDisk, n.watchRoom, n.detect} {
		n.wg.Go(func() { loop(loops) })
	}
	return n, nil
}

func (n *Node) openGroups(ctx context.Context) error {
	shards := n.view.Get().Shards()
	for id := range shards {
		n.waitsFor(fmt.Sprintf("it reads shard %d of %d", id+1, shards))
		g, err := openGroup(ctx, n, uint32(id))
		if err != nil {
			return err
		}
		n.add(g)
	}
	return nil
}

// add makes g one of the node's groups, with the memory setting that may have come meanwhile.
func (n *Node) add(g *Group) {
	n.memoryMu.Lock()
	defer n.memoryMu.Unlock()
	n.mu.Lock()
	n.groups = append(n.groups, g)
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
	for _, g := range n.Groups() {
		errs = append(errs, g.close())
	}
	return errors.Join(append(errs, n.net.Close(), n.meta.Close())...)
}

// Groups returns this node's replicas by shard number.
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
	groups := n.Groups()
	if len(groups) < n.view.Get().Shards() {
		return errors.New("shards are still opening")
	}
	for _, g := range groups {
		switch {
		case g.quarantined.Load():
			return fmt.Errorf("shard %d is being repaired", g.id)
		case g.diverged.Load():
			return fmt.Errorf("shard %d differs from the other replicas and is being rebuilt", g.id)
		case g.unreads.first.Load() > 0:
			return fmt.Errorf("shard %d: %s", g.id, g.unsettled())
		case g.flushLasts.Load() > 0:
			return fmt.Errorf("shard %d: the disk has not finished a write for %v", g.id, time.Duration(g.flushLasts.Load()).Round(time.Millisecond))
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
		if g.undecided.Load() {
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
		return appendUvarint(nil, term), nil
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
		if err != nil {
			return nil, err
		}
		return nil, g.answerGranted(rest)
	})
	n.net.Handle(methodNotes, func(_ context.Context, _ string, req []byte) ([]byte, error) {
		g, rest, err := n.groupOf(req)
		if err != nil {
			return nil, err
		}
		return g.answerNotes(rest)
	})
	n.net.Handle(methodMade, func(_ context.Context, _ string, req []byte) ([]byte, error) {
		g, rest, err := n.groupOf(req)
		if err != nil {
			return nil, err
		}
		return g.answerMade(rest)
	})
	n.net.Handle(methodState, func(_ context.Context, _ string, req []byte) ([]byte, error) {
		g, rest, err := n.groupOf(req)
		if err != nil {
			return nil, err
		}
		return g.answerState(rest)
	})
	n.net.Handle(methodAdmission, n.answerAdmission)
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
	groups := n.Groups()
	if id >= uint64(len(groups)) {
		return nil, nil, fmt.Errorf("shard %d: %w", id, session.ErrNotServing)
	}
	return groups[id], rest, nil
}

// TransferLeadership hands the leadership of a shard to a node, through whichever
// node leads it now.
func (n *Node) TransferLeadership(ctx context.Context, shard int, node string) error {
	groups := n.Groups()
	if shard < 0 || shard >= len(groups) {
		return fmt.Errorf("%w: shard %d", ErrNoSuchShard, shard)
	}
	if !n.view.Get().Holds(node, shard) {
		return fmt.Errorf("%w: %q", ErrNoSuchNode, node)
	}
	g := groups[shard]
	leader := g.Leader()
	switch leader {
	case "":
		return fmt.Errorf("shard %d has no leader: %w", shard, session.ErrNotServing)
	case n.opt.NodeID:
		return g.TransferLeadership(ctx, node)
	}
	_, err := n.net.Call(ctx, leader, methodTransfer, append(appendGroup(nil, g.id), node...))
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
