package shard

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/internal/mutant"
)

// hedgeDelay is how long a confirmation round waits for the peers that it asked
// first before it asks the others too. Asking a bare quorum first halves the
// messages of the common case.
const hedgeDelay = 3 * time.Millisecond

// Read runs fn on the shard's state. See command.ReadOptions for the terms. fn
// may run twice and must not keep entries.
func (g *Group) Read(ctx context.Context, opt command.ReadOptions, fn func(*command.Ctx)) (command.ReadInfo, error) {
	if opt.Consistency == command.Stale {
		return g.readStale(opt, fn)
	}
	index, due, err := g.readLinearizable(ctx, g.clock.WallMillis(), fn)
	if err == nil && due {
		// The key's time is up by this node's clock. Moving the log clock
		// makes it so for everybody, and for ever; then the log clock decides.
		if _, err = g.Propose(ctx, command.Batch{}); err == nil {
			index, _, err = g.readLinearizable(ctx, 0, fn)
		}
	}
	return command.ReadInfo{Index: index}, err
}

func (g *Group) readLinearizable(ctx context.Context, wall int64, fn func(*command.Ctx)) (index uint64, due bool, err error) {
	for {
		index, due, err = g.tryRead(ctx, wall, fn)
		if err == nil {
			return index, due, nil
		}
		if ctx.Err() != nil {
			return 0, false, fmt.Errorf("%w: no leader confirmed the read in time: %v", command.ErrUnavailable, err)
		}
		if errors.Is(err, errStopped) {
			return 0, false, fmt.Errorf("%w: %w", command.ErrUnavailable, err)
		}
		pause(ctx, retryPause)
	}
}

func (g *Group) tryRead(ctx context.Context, wall int64, fn func(*command.Ctx)) (uint64, bool, error) {
	if term := g.serving.Load(); term != 0 {
		if index, due, ok := g.readUnderLease(term, wall, fn); ok {
			return index, due, nil
		}
		if _, err := g.confirms.join(ctx); err != nil {
			return 0, false, err
		}
		index, due := g.fsm.View(wall, fn)
		return index, due, nil
	}
	index, err := g.indexes.join(ctx)
	if err != nil {
		return 0, false, err
	}
	if !mutant.On(mutant.FollowerReadNoWait) {
		if err := g.fsm.WaitApplied(ctx, index); err != nil {
			return 0, false, err
		}
	}
	index, due := g.fsm.View(wall, fn)
	return index, due, nil
}

// readUnderLease answers without a round while the lease lasts. The lease is
// looked at again after the read: a pause between the two looks, however long,
// cannot let an old value out.
func (g *Group) readUnderLease(term uint64, wall int64, fn func(*command.Ctx)) (index uint64, due, ok bool) {
	if !g.leaseValid(term) {
		return 0, false, false
	}
	index, due = g.fsm.View(wall, fn)
	return index, due, g.leaseValid(term)
}

func (g *Group) leaseValid(term uint64) bool {
	l := g.lease.Load()
	return l != nil && l.term == term && g.clock.Mono() < l.until
}

// lease lets the leader of term answer reads until the given time of the node's
// monotonic clock.
type lease struct {
	term  uint64
	until time.Duration
}

// confirm runs one confirmation round: it succeeds when a quorum of voters,
// this node included, answers with this leader's term to a question asked after
// the round began. A voter with that term has voted in no later election, so no
// later leader can have been elected by the time it answered.
//
// raft.VerifyLeader does not do: it counts answers to heartbeats that were sent
// before the call, and those of nonvoters.
func (g *Group) confirm(ctx context.Context) (uint64, error) {
	term := g.serving.Load()
	if term == 0 || !g.leads(term) {
		return 0, errNotServing
	}
	started := g.clock.Mono()
	begin := time.Now()
	// A round is shared: the deadline of the caller who happens to run it
	// must not fail the others.
	if err := g.askQuorum(context.WithoutCancel(ctx), term); err != nil {
		return 0, err
	}
	if g.serving.Load() != term || !g.leads(term) {
		return 0, errNotServing
	}
	g.metrics.round(time.Since(begin))
	g.extendLease(term, started)
	return term, nil
}

func (g *Group) leads(term uint64) bool {
	return g.raft.State() == raft.Leader && g.raft.CurrentTerm() == term
}

// extendLease notes that a quorum confirmed term in a round that began at started.
func (g *Group) extendLease(term uint64, started time.Duration) {
	if g.opt.LeaseDuration == 0 || g.handover.Load() {
		return
	}
	agreed, _ := g.fsm.Settings()
	d := min(g.opt.LeaseDuration, time.Duration(agreed)*time.Millisecond)
	if d == 0 {
		return
	}
	if mutant.On(mutant.LeaseTooLong) {
		d *= 20
	}
	// A tenth for clocks that run at different rates.
	g.lease.Store(&lease{term: term, until: started + d - d/10})
}

// askQuorum returns when enough peers confirmed term.
func (g *Group) askQuorum(ctx context.Context, term uint64) error {
	needed := g.quorum - 1
	if needed == 0 || mutant.On(mutant.ReadUnconfirmed) {
		return nil
	}
	req := binary.AppendUvarint(appendGroup(make([]byte, 0, 16), g.id), term)
	peers := g.peersByPreference()
	if needed == 1 {
		// The common case costs no goroutine.
		hctx, cancel := context.WithTimeout(ctx, hedgeDelay)
		ok := g.askPeer(hctx, peers[0], req, term)
		cancel()
		if ok {
			return nil
		}
		g.preferred.Add(1)
	}
	return g.askAll(ctx, peers, req, term, needed)
}

// askAll asks every peer and returns when needed of them confirmed.
func (g *Group) askAll(ctx context.Context, peers []string, req []byte, term uint64, needed int) error {
	ctx, cancel := context.WithTimeout(ctx, g.opt.ElectionTimeout*2)
	defer cancel()
	answers := make(chan bool, len(peers))
	for _, peer := range peers {
		go func() { answers <- g.askPeer(ctx, peer, req, term) }()
	}
	for range peers {
		if <-answers {
			if needed--; needed == 0 {
				return nil
			}
		}
	}
	return errUnconfirmed
}

var errUnconfirmed = errors.New("no quorum confirmed the leader")

func (g *Group) askPeer(ctx context.Context, peer string, req []byte, term uint64) bool {
	reply, err := g.net.Call(ctx, peer, methodConfirm, req)
	if err != nil {
		return false
	}
	answer, _, err := cutUvarint(reply)
	return err == nil && answer == term
}

// peersByPreference returns the other voters, the one that answered last first.
func (g *Group) peersByPreference() []string {
	n := len(g.peers)
	first := int(g.preferred.Load() % uint64(n))
	out := make([]string, 0, n)
	for i := range n {
		out = append(out, g.peers[(first+i)%n])
	}
	return out
}

// answerConfirm is a voter's side of a round. A replica in quarantine has no
// vote and gives no answer.
func (g *Group) answerConfirm() (term uint64, ok bool) {
	return g.raft.CurrentTerm(), !g.quarantined.Load()
}

// askIndex asks the leader, which is another node, for an index that is safe to
// read from. It is shared like a confirmation round.
func (g *Group) askIndex(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.opt.ElectionTimeout*2)
	defer cancel()
	index, _, err := g.callReadIndex(ctx)
	return index, err
}

// callReadIndex asks the leader, which is another node, for an index that is
// safe to read from and for the end of its log.
func (g *Group) callReadIndex(ctx context.Context) (index, last uint64, err error) {
	leader := g.Leader()
	if leader == "" || leader == g.self {
		return 0, 0, errNotServing
	}
	reply, err := g.net.Call(ctx, leader, methodReadIndex, appendReads(appendGroup(nil, g.id), g.fsm.ReadLog()))
	if err != nil {
		return 0, 0, err
	}
	index, rest, err := cutUvarint(reply)
	if err != nil {
		return 0, 0, err
	}
	last, _, err = cutUvarint(rest)
	return index, last, err
}

// answerReadIndex is the leader's side of askIndex.
func (g *Group) answerReadIndex(ctx context.Context) (uint64, error) {
	term := g.serving.Load()
	if term == 0 {
		return 0, errNotServing
	}
	if index := g.fsm.Applied(); g.leaseValid(term) {
		return index, nil
	}
	if _, err := g.confirms.join(ctx); err != nil {
		return 0, err
	}
	return g.fsm.Applied(), nil
}

// refresh finds out how fresh this replica is: everything that was acknowledged
// before the question was asked is applied when it returns.
func (g *Group) refresh(ctx context.Context) {
	asked := g.clock.Mono()
	if g.serving.Load() != 0 {
		if _, err := g.confirms.join(ctx); err != nil {
			return
		}
	} else {
		index, err := g.indexes.join(ctx)
		if err != nil || g.fsm.WaitApplied(ctx, index) != nil {
			return
		}
	}
	if mutant.On(mutant.StaleAgeUnderstated) {
		asked = g.clock.Mono()
	}
	g.freshAt.Store(int64(asked))
}

// age is how long ago this replica was known to hold everything acknowledged.
func (g *Group) age() time.Duration {
	return g.clock.Mono() - time.Duration(g.freshAt.Load())
}

func (g *Group) readStale(opt command.ReadOptions, fn func(*command.Ctx)) (command.ReadInfo, error) {
	age := g.age()
	if opt.MaxStaleness > 0 && age > opt.MaxStaleness {
		return command.ReadInfo{Age: age}, fmt.Errorf("%w: %v", command.ErrTooStale, age)
	}
	index, _ := g.fsm.View(0, fn)
	return command.ReadInfo{Index: index, Age: age}, nil
}
