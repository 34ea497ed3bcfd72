package shard

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/internal/mutant"
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
	g.wg.Go(func() { g.establish(ctx) })
	return withdraw
}

// establish makes a new leader ready: everything committed before its term is
// applied, and no earlier leader can still answer under a lease.
func (g *Group) establish(ctx context.Context) {
	term := g.raft.CurrentTerm()
	elected := g.clock.Mono() // or earlier; the wait below only gets longer
	if !mutant.On(mutant.ReadBeforeBarrier) {
		if err := g.await(g.raft.Barrier(0)); err != nil {
			g.logger.Warn("leader could not apply its log", "term", term, "error", err)
			return
		}
	}
	// Longer than any lease that an earlier leader can hold: leases are a
	// tenth shorter than the setting, by their holder's clock.
	silence, _ := g.fsm.Settings()
	if mutant.On(mutant.LeaseWithoutSilence) {
		silence = 0
	}
	pause(ctx, elected+time.Duration(silence)*time.Millisecond-g.clock.Mono())
	if ctx.Err() != nil || !g.leads(term) {
		return
	}
	if g.node.clockOff() {
		g.logger.Error("this node's clock differs from those of a quorum: it will not lead", "term", term)
		g.node.handOver(ctx, g)
		return
	}
	g.handover.Store(false)
	g.stampBase.Store(&stampBase{wallMillis: g.clock.WallMillis(), mono: g.clock.Mono()})
	g.servingFrom.Store(int64(g.clock.Mono()))
	g.serving.Store(term)
	if ctx.Err() != nil { // lost meanwhile: lead has closed the service already, or is about to
		g.serving.CompareAndSwap(term, 0)
		return
	}
	held, _ := g.LockCounts()
	g.logger.Info("serving as leader", "term", term, "applied", g.fsm.Applied())
	if held > 0 {
		g.logger.Info("the time of every held lock counts from this leader's first entry", "locks", held, "term", term)
	}
	// The first entry of a term lets the time of locks count anew.
	g.packer.tick.Store(held > 0 || len(g.settingsToPropose()) > 0)
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

// await waits for one of Raft's futures. A Raft that is shut down may never
// answer one whose entry was committed but not applied.
func (g *Group) await(f raft.Future) error {
	done := make(chan error, 1)
	go func() { done <- f.Error() }()
	select {
	case err := <-done:
		return err
	case <-g.raftDown:
		return errDoubt
	}
}

// stampBase is what a leader's clocks said when it began to serve, after they
// had been compared with those of the others.
type stampBase struct {
	wallMillis int64
	mono       time.Duration
}

// stampMillis returns this node's clock for the log. A wall clock that jumps
// ahead while the node leads is followed no further than the allowed offset: a
// stamp from the future would expire everybody's keys, and could not be taken
// back.
func (g *Group) stampMillis() int64 {
	now := g.clock.WallMillis()
	base := g.stampBase.Load()
	if base == nil || g.opt.MaxClockOffset <= 0 {
		return now
	}
	limit := base.wallMillis + (g.clock.Mono() - base.mono + g.opt.MaxClockOffset).Milliseconds()
	return min(now, limit)
}
