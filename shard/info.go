package shard

import (
	"cmp"
	"context"
	"maps"
	"time"

	"github.com/lockstepkv/lockstep/internal/clock"
	"github.com/lockstepkv/lockstep/shard/compact"
	"github.com/lockstepkv/lockstep/transport"

	"github.com/lockstepkv/lockstep/fsm"
)

// exchangeEvery is how often nodes tell each other about themselves.
const exchangeEvery = 500 * time.Millisecond

// NodeInfo is what a node tells about itself.
type NodeInfo struct {
	ID     string      `json:"id"`
	HTTP   string      `json:"http"`
	RESP   string      `json:"resp"`
	Groups []GroupInfo `json:"groups"` // by shard
	Memory memoryInfo  `json:"memory"`
	Disk   diskInfo    `json:"disk,omitzero"`

	Starting bool `json:"starting,omitempty"` // it has not been ready yet

	Version string            `json:"version,omitempty"`
	Limits  map[string]string `json:"limits,omitempty"`
}

// GroupInfo is the state of one replica.
type GroupInfo struct {
	ID      int    `json:"id"`
	Leader  string `json:"leader"` // as far as this node knows
	Serving bool   `json:"serving"`
	Term    uint64 `json:"term"`
	Applied uint64 `json:"applied"`
	Repair  bool   `json:"repair,omitempty"` // in quarantine until it has caught up

	Diverged  bool `json:"diverged,omitempty"`  // its state is wrong, and being rebuilt, or not known to be right
	Undecided bool `json:"undecided,omitempty"` // replicas differ, and no majority tells which is right

	Compacting compact.Doing `json:"compacting,omitempty"`

	// Away: the node has no replica. The rest says nothing then.
	Away bool `json:"away,omitempty"`

	Room roomLevel `json:"room,omitempty"` // on the disks, as far as this node would go by it as a leader
}

// Info describes this node.
func (n *Node) Info() NodeInfo {
	info := NodeInfo{ID: n.opt.NodeID, Starting: !n.served.Load(), HTTP: n.opt.HTTPAddr, RESP: n.opt.RESPAddr, Memory: n.memory.Load().info(), Disk: n.diskInfo(),
		Version: n.opt.Version}
	if n.opt.Limits != nil {
		info.Limits = n.opt.Limits()
	}
	n.mu.RLock()
	opened := n.byShard
	n.mu.RUnlock()
	for id, g := range opened {
		if g == nil {
			info.Groups = append(info.Groups, GroupInfo{ID: id, Away: true})
			continue
		}
		info.Groups = append(info.Groups, g.Info())
	}
	return info
}

// Info describes this replica.
func (g *Group) Info() GroupInfo {
	return GroupInfo{
		ID: int(g.id), Leader: g.Leader(), Serving: g.Serving(),
		Term: g.raft.CurrentTerm(), Applied: g.fsm.Applied(), Repair: g.guard.On(),
		Diverged: !g.keeper.Sound(), Undecided: g.keeper.Undecided(),
		Room: g.node.tightest(g, g.self), Compacting: g.compactor.Doing(),
	}
}

// Figures are what this replica has done since the process started.
type Figures struct {
	Evicted, Expired uint64 // keys
	UsedPeak         int64  // bytes
}

// Figures returns them.
func (g *Group) Figures() Figures {
	evicted, expired := g.fsm.Counters()
	return Figures{Evicted: evicted, Expired: expired, UsedPeak: g.fsm.UsedPeak()}
}

// Digest hashes this replica's state, for comparison with other replicas.
func (g *Group) Digest() fsm.Digest { return g.fsm.Digest() }

// Replica is a node as this node sees it.
type Replica struct {
	NodeInfo
	Peer string
	Up   bool
}

// Replicas returns all nodes in the order of the configuration.
func (n *Node) Replicas() []Replica {
	self := n.Info()
	n.mu.RLock()
	defer n.mu.RUnlock()
	known := n.view.Get().Peers()
	out := make([]Replica, 0, len(known))
	for _, m := range known {
		r := Replica{NodeInfo: n.peers[m.ID], Peer: m.Addr, Up: true}
		if m.ID == self.ID {
			r.NodeInfo, r.Peer = self, cmp.Or(n.opt.PeerAddr, m.Addr)
		} else {
			r.Up = n.net.Health(m.ID).Connected
		}
		r.ID = m.ID
		out = append(out, r)
	}
	return out
}

// exchange keeps what this node knows of the others up to date.
func (n *Node) exchange(ctx context.Context) {
	clock.Every(ctx, exchangeEvery, func() {
		for _, m := range n.view.Get().Peers() {
			if m.ID == n.opt.NodeID {
				continue
			}
			if info, ok := n.askInfo(ctx, m.ID); ok {
				n.adopt(info.Memory)
			}
		}
		n.forgetStrangers()
	})
}

// forgetStrangers forgets what nodes have told that are no longer in the view.
func (n *Node) forgetStrangers() {
	v := n.view.Get()
	n.mu.Lock()
	defer n.mu.Unlock()
	maps.DeleteFunc(n.peers, func(id string, _ NodeInfo) bool {
		_, known := v.Peer(id)
		return !known
	})
}

// askInfo has a node tell about itself.
func (n *Node) askInfo(ctx context.Context, node string) (info NodeInfo, ok bool) {
	at := n.disk.bytes.begun.Load()
	info, err := n.callInfo(ctx, node, nil)
	if err != nil {
		return NodeInfo{}, false
	}
	info.Disk.at = at
	n.mu.Lock()
	n.peers[node] = info
	n.mu.Unlock()
	n.disk.bytes.sooner(n.noteScarce())
	return info, true
}

// balanceEvery is how often a leader asks itself whether another node should
// lead its shard.
const balanceEvery = 2 * time.Second

// balance spreads the leaders of several shards over the nodes: shard i belongs
// to node i modulo the number of those that have it, as long as that node is well. A single
// shard stays where it is; moving it would gain nothing.
func (n *Node) balance(ctx context.Context) {
	if n.view.Get().Shards() == 1 {
		return // there are as many for life
	}
	clock.Every(ctx, balanceEvery, func() {
		for _, g := range n.Groups() {
			holders := n.view.Get().HoldersOf(int(g.id))
			want := holders[int(g.id)%len(holders)]
			settled := g.clock.Mono()-g.office.Since() > balanceEvery
			if !g.Serving() || want == n.opt.NodeID || !settled || !n.fit(want, g) {
				continue
			}
			if err := g.TransferLeadership(ctx, want); err != nil {
				g.logger.Info("leadership stays here", "wanted", want, "error", err)
			}
		}
	})
}

// caughtUp reports whether node is up, close behind this leader, and has a clock
// like this node's.
func (n *Node) caughtUp(node string, g *Group) bool {
	h := n.net.Health(node)
	if !h.Connected || n.differs(h) {
		return false
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	info, ok := n.peers[node]
	if !ok || int(g.id) >= len(info.Groups) || info.Groups[g.id].Away || info.Groups[g.id].Repair || info.Groups[g.id].Diverged {
		return false
	}
	return info.Groups[g.id].Applied+1000 >= g.fsm.Applied()
}

// differs reports whether a peer's clock is off from this node's, by more than the error of
// the measurement explains.
func (n *Node) differs(h transport.Health) bool {
	return n.opt.MaxClockOffset > 0 && h.ClockKnown && h.ClockOffset.Abs()-h.ClockError > n.opt.MaxClockOffset
}

// handOver hands the leadership of g to another node.
func (n *Node) handOver(ctx context.Context, g *Group) {
	term := g.raft.CurrentTerm()
	for _, to := range n.view.Get().HoldersOf(int(g.id)) {
		if ctx.Err() != nil || !g.leads(term) {
			return
		}
		if to == n.opt.NodeID || !n.net.Health(to).Connected {
			continue
		}
		if err := g.office.Transfer(ctx, term, to); err != nil {
			g.logger.Warn("could not hand leadership over", "to", to, "error", err)
			continue
		}
		return
	}
}
