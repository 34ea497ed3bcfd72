package shard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/internal/clock"
	"github.com/lockstepkv/lockstep/internal/failpoint"
	"github.com/lockstepkv/lockstep/shard/readindex"
	"github.com/lockstepkv/lockstep/shard/session"
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
			g.reader.DropLease()
			g.packer.Kick() // refuse what waits here
			g.sender.Kick()
			if leads {
				withdraw = g.campaignWon(ctx)
			}
		}
	}
}

// campaignWon begins to establish this node as leader, and returns how to end that.
func (g *Group) campaignWon(ctx context.Context) (withdraw context.CancelFunc) {
	g.metrics.Election("won")
	ctx, withdraw = context.WithCancel(ctx)
	g.wg.Go(func() { g.establish(ctx) })
	return withdraw
}

// establish makes a new leader ready, and tries again as long as it leads: Raft
// says only once who leads. A leader that cannot serve for resignAfter gives the
// leadership up, if there is anybody who could take it.
func (g *Group) establish(ctx context.Context) {
	term := g.raft.CurrentTerm()
	elected := g.clock.Mono() // or earlier; the silence below only gets longer
	var told error
	for {
		err := g.tryEstablish(ctx, term, elected)
		if err == nil || ctx.Err() != nil || !g.leads(term) {
			return
		}
		if told == nil || told.Error() != err.Error() {
			g.logger.Warn("this node leads and cannot serve yet", "term", term, "error", err)
			told = err
		}
		if g.clock.Mono()-elected > g.resignAfter() {
			g.logger.Warn("giving up a leadership that cannot serve", "term", term, "error", err)
			g.resign(ctx, term)
			elected = g.clock.Mono() // from now on, should nobody take it
		}
		clock.Pause(ctx, establishPause)
	}
}

// leads reports whether Raft leads in term, whether this node serves yet or not.
func (g *Group) leads(term uint64) bool {
	return g.raft.State() == raft.Leader && g.raft.CurrentTerm() == term
}

// establishPause is how long a leader that could not begin to serve waits before
// it tries again.
const establishPause = 50 * time.Millisecond

var errClockOff = errors.New("this node's clock differs from those of a quorum")

// tryEstablish opens the service once everything committed before the term is
// applied, and no earlier leader can still answer under a lease.
func (g *Group) tryEstablish(ctx context.Context, term uint64, elected time.Duration) error {
	if failpoint.Enabled {
		if err := failpoint.Inject("shard/establish/" + g.self); err != nil {
			return err
		}
	}
	if err := g.await(g.raft.Barrier(0)); err != nil {
		return fmt.Errorf("apply what was committed before: %w", err)
	}
	// Longer than any lease that an earlier leader can hold: leases are a
	// tenth shorter than the setting, by their holder's clock.
	silence, _, _ := g.fsm.Settings()
	clock.Pause(ctx, elected+time.Duration(silence)*time.Millisecond-g.clock.Mono())
	if ctx.Err() != nil || !g.leads(term) {
		return session.ErrNotServing
	}
	if !g.keeper.Sound() {
		return readindex.ErrDiverged
	}
	g.node.awaitClocks(ctx)
	if g.node.clockOff() {
		g.node.handOver(ctx, g)
		return errClockOff
	}
	g.open(ctx, term)
	return nil
}

// open begins the service.
func (g *Group) open(ctx context.Context, term uint64) {
	g.startLogClock()
	g.servingFrom.Store(int64(g.clock.Mono()))
	g.serving.Store(term)
	g.told.Serves(term)
	if ctx.Err() != nil || !g.keeper.Sound() { // lost meanwhile: lead has closed the service already, or is about to
		g.serving.CompareAndSwap(term, 0)
		return
	}
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

// resignAfter is longer than any transfer of leadership takes that does not hang.
func (g *Group) resignAfter() time.Duration { return g.opt.raftTimeout() + time.Second }

// resign makes Raft give the leadership up. The library has no call for that, so
// the others get no more messages from this leader, until it has noticed that it
// has no quorum; by then they elect another one.
func (g *Group) resign(ctx context.Context, term uint64) {
	if g.voters.now().alone() {
		return
	}
	g.wire.Mute(true)
	defer g.wire.Mute(false)
	over := g.clock.Mono() + 2*g.opt.raftTimeout() + time.Second
	for g.leads(term) && ctx.Err() == nil && g.clock.Mono() < over {
		clock.Pause(ctx, establishPause)
	}
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
