package shard

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/shard/leadership"
	"github.com/lockstepkv/lockstep/shard/session"
)

// Errors of TransferLeadership: nothing was done.
var (
	ErrNoSuchShard = errors.New("no such shard")
	ErrNoSuchNode  = errors.New("no such node")

	// ErrTransferRefused: the target cannot take the leadership now, or another
	// transfer is under way.
	ErrTransferRefused = leadership.ErrRefused
)

// newOffice returns the leadership of a replica, which has no Raft yet.
func newOffice(g *Group) *leadership.Office {
	l := leading{g}
	return leadership.New(leadership.Options{
		Self: g.self, ID: g.id, Served: &g.serving, Raft: l, Shard: l, Service: l, Peers: l, Figures: g.metrics,
		Timeout: g.opt.raftTimeout(), Clock: g.clock, Logger: g.logger,
	})
}

// TransferLeadership hands the leadership over to node. This node must serve.
func (g *Group) TransferLeadership(ctx context.Context, node string) error {
	term := g.serving.Load()
	if term == 0 {
		return session.ErrNotServing
	}
	return g.office.Transfer(ctx, term, node)
}

// leads reports whether Raft leads in term, whether this node serves yet or not.
func (g *Group) leads(term uint64) bool {
	return g.raft.State() == raft.Leader && g.raft.CurrentTerm() == term
}

// watchLeader wakes the sender whenever this node learns of another leader, and counts
// the elections that this node starts.
func (g *Group) watchLeader(ctx context.Context) {
	changes := make(chan raft.Observation, 16)
	observer := raft.NewObserver(changes, false, func(o *raft.Observation) bool {
		switch data := o.Data.(type) {
		case raft.LeaderObservation:
			return true
		case raft.RaftState:
			if data == raft.Candidate {
				g.metrics.Election("started")
			}
		}
		return false
	})
	g.raft.RegisterObserver(observer)
	defer g.raft.DeregisterObserver(observer)
	for {
		select {
		case <-ctx.Done():
			return
		case <-changes:
			g.sender.Kick()
		}
	}
}

// mayAcknowledge reports whether an entry that was packed in term, and is applied
// now, may be acknowledged. If another term has come, the wait that its leader owes
// to older leases may not be over; the batches are sent again and answered from
// the session. The flag alone would not do: it is cleared late.
func (g *Group) mayAcknowledge(term uint64) bool {
	return g.serving.Load() == term && g.keeper.Sound() && (g.raft.CurrentTerm() == term)
}

// leading is what a leadership asks of its replica.
type leading struct{ g *Group }

// Term implements leadership.Raft.
func (l leading) Term() uint64 { return l.g.raft.CurrentTerm() }

// Leads implements leadership.Raft.
func (l leading) Leads(term uint64) bool { return l.g.leads(term) }

// Barrier implements leadership.Raft.
func (l leading) Barrier() error { return l.g.await(l.g.raft.Barrier(0)) }

// Transfer implements leadership.Raft.
func (l leading) Transfer(node string) error {
	return l.g.await(l.g.raft.LeadershipTransferToServer(raft.ServerID(node), raft.ServerAddress(node)))
}

// Sound implements leadership.Shard.
func (l leading) Sound() bool { return l.g.keeper.Sound() }

// Silence implements leadership.Shard.
func (l leading) Silence() time.Duration {
	silence, _, _ := l.g.fsm.Settings()
	return time.Duration(silence) * time.Millisecond
}

// ClockOff implements leadership.Shard.
func (l leading) ClockOff(ctx context.Context) bool {
	l.g.node.awaitClocks(ctx)
	return l.g.node.clockOff()
}

// Others implements leadership.Shard.
func (l leading) Others() []string { return l.g.voters.now().others }

// HandOver implements leadership.Shard.
func (l leading) HandOver(ctx context.Context) { l.g.node.handOver(ctx, l.g) }

// Mute implements leadership.Shard.
func (l leading) Mute(on bool) { l.g.wire.Mute(on) }

// Prepare implements leadership.Service.
func (l leading) Prepare() { l.g.startLogClock() }

// Served implements leadership.Service.
func (l leading) Served(term uint64) { l.g.told.Serves(term) }

// Opened implements leadership.Service.
func (l leading) Opened(term uint64) {
	g := l.g
	held, _ := g.LockCounts()
	g.logger.Info("serving as leader", "term", term, "applied", g.fsm.Applied())
	if held > 0 {
		g.logger.Info("the time of every held lock counts from this leader's first entry", "locks", held, "term", term)
	}
	// The first entry of a term lets the time of locks count anew.
	if held > 0 || len(g.settingsToPropose()) > 0 {
		g.packer.WantEntry()
	} else {
		g.packer.Kick()
	}
	g.sender.Kick()
}

// Closed implements leadership.Service.
func (l leading) Closed() {
	l.g.reader.DropLease()
	l.g.packer.Kick() // refuse what waits here
	l.g.sender.Kick()
}

// GiveUpLease implements leadership.Service.
func (l leading) GiveUpLease(term uint64) { l.g.reader.GiveUpLease(term) }

// Confirm implements leadership.Peers.
func (l leading) Confirm(ctx context.Context, node string, term uint64) bool {
	return asking(l).Confirm(ctx, node, term)
}

// Seen implements leadership.Peers.
func (l leading) Seen(node string) time.Time { return l.g.net.Health(node).LastSeen }

// Wrong implements leadership.Peers.
func (l leading) Wrong(node string) bool { return l.g.node.peerDiverged(node, l.g) }
