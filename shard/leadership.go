package shard

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// lead follows Raft's word on who leads and opens and closes the service.
func (g *Group) lead(ctx context.Context) {
	withdraw := func() {} // ends the attempt to establish this node as leader
	defer func() { withdraw() }()
	for {
		select {
		case <-ctx.Done():
			g.serving.Store(0)
			return
		case leads := <-g.notify:
			withdraw()
			g.serving.Store(0)
			g.lease.Store(nil)
			g.packer.kick() // refuse what waits here
			g.sender.kick()
			if leads {
				withdraw = g.campaignWon(ctx)
			}
		}
	}
}

// campaignWon begins to establish this node as leader, and returns how to end that.
func (g *Group) campaignWon(ctx context.Context) (withdraw context.CancelFunc) {
	ctx, withdraw = context.WithCancel(ctx)
	elected := g.clock.Mono()
	g.wg.Go(func() { g.establish(ctx, elected) })
	return withdraw
}

// establish makes a new leader ready: everything committed before its term is
// applied, and no earlier leader can still answer under a lease.
func (g *Group) establish(ctx context.Context, elected time.Duration) {
	term := g.raft.CurrentTerm()
	if err := g.raft.Barrier(0).Error(); err != nil {
		g.logger.Warn("leader could not apply its log", "term", term, "error", err)
		return
	}
	// Longer than any lease that an earlier leader can hold: leases are a
	// tenth shorter than the setting, by their holder's clock.
	silence, _ := g.fsm.Settings()
	pause(ctx, elected+time.Duration(silence)*time.Millisecond-g.clock.Mono())
	if ctx.Err() != nil || !g.leads(term) {
		return
	}
	g.handover.Store(false)
	g.servingFrom.Store(int64(g.clock.Mono()))
	g.serving.Store(term)
	if ctx.Err() != nil { // lost meanwhile: lead has closed the service already, or is about to
		g.serving.CompareAndSwap(term, 0)
		return
	}
	g.logger.Info("serving as leader", "term", term, "applied", g.fsm.Applied())
	g.packer.tick.Store(len(g.settingsToPropose()) > 0)
	g.packer.kick()
	g.sender.kick()
}

// watchLeader wakes the sender whenever this node learns of another leader.
func (g *Group) watchLeader(ctx context.Context) {
	changes := make(chan raft.Observation, 16)
	observer := raft.NewObserver(changes, false, func(o *raft.Observation) bool {
		_, ok := o.Data.(raft.LeaderObservation)
		return ok
	})
	g.raft.RegisterObserver(observer)
	defer g.raft.DeregisterObserver(observer)
	for {
		select {
		case <-ctx.Done():
			return
		case <-changes:
			g.sender.kick()
		}
	}
}

// TransferLeadership hands the leadership over to node. This node must lead.
func (g *Group) TransferLeadership(node string) error {
	if g.raft.State() != raft.Leader {
		return errNotServing
	}
	if node == g.self {
		return nil
	}
	g.handover.Store(true)
	g.lease.Store(nil)
	err := g.raft.LeadershipTransferToServer(raft.ServerID(node), raft.ServerAddress(node)).Error()
	if err != nil {
		g.handover.Store(false)
		return fmt.Errorf("hand shard %d over to %s: %w", g.id, node, err)
	}
	return nil
}
