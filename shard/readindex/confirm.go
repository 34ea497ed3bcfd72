package readindex

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/shard/session"
)

// hedgeDelay is how long a confirmation round waits for the peers that it asked
// first before it asks the others too. Asking a bare quorum first halves the
// messages of the common case.
const hedgeDelay = 3 * time.Millisecond

// Noted is what a leader notes for a read before it is confirmed that it still
// leads: first the term in which it serves, then Raft's commit index. Another
// order, or the index of what the leader has applied, would be wrong: followers
// hear of a commit, and may show it, before the leader's own state machine has
// applied it.
type Noted struct {
	Term  uint64
	Index uint64
	Stamp fsm.Stamp
}

var (
	// errTermPassed: the node's term changed while it read. What it showed may be
	// that of a new leader that must not show it yet.
	errTermPassed = errors.New("the term changed during the read")

	// ErrDiverged: the state is wrong, or not known to be right.
	ErrDiverged = errors.New("this replica differs from the others and is being rebuilt")

	errUnconfirmed = errors.New("no quorum confirmed the leader")
)

// confirm runs one confirmation round: it succeeds when a quorum of voters
// answers with the noted term to a question asked after that was noted. A voter
// with that term has voted in no later election, so no later leader can have been
// elected by the time it answered.
//
// raft.VerifyLeader does not do: it counts answers to heartbeats that were sent
// before the call, and those of nonvoters.
func (r *Reader) confirm(ctx context.Context) (Noted, error) {
	term := r.opt.Shard.Serving()
	if term == 0 || !r.leads(term) {
		return Noted{}, session.ErrNotServing
	}
	started := r.opt.Shard.Mono()
	begin := time.Now()
	n := r.noteAt(started, term)
	r.failpoint("shard/confirm/noted")
	// A round is shared: the deadline of the caller who happens to run it
	// must not fail the others.
	if err := r.askQuorum(context.WithoutCancel(ctx), term); err != nil {
		return Noted{}, err
	}
	// This node counts itself, as a voter like the others: by its term after what
	// was noted.
	if r.opt.Raft.CurrentTerm() != term {
		return Noted{}, session.ErrNotServing
	}
	r.opt.Round(time.Since(begin))
	r.lease.extend(term, started, r.leaseDuration())
	return n, nil
}

func (r *Reader) leads(term uint64) bool {
	return r.opt.Raft.State() == raft.Leader && r.opt.Raft.CurrentTerm() == term
}

// askQuorum returns when enough voters confirmed term. Who they are is asked of Raft with each
// round: a majority of those of an older configuration may be none of the newest.
func (r *Reader) askQuorum(ctx context.Context, term uint64) error {
	others, self := r.opt.Shard.Voters()
	needed := len(others)/2 + 1 // if this node has no vote
	if self {
		needed = (len(others) + 1) / 2
	}
	if needed == 0 {
		return nil
	}
	if needed > len(others) {
		return errUnconfirmed
	}
	if needed == 1 {
		// The common case costs no goroutine.
		hctx, cancel := context.WithTimeout(ctx, hedgeDelay)
		ok := r.opt.Peers.Confirm(hctx, others[r.preferred.Load()%uint64(len(others))], term)
		cancel()
		if ok {
			return nil
		}
		r.preferred.Add(1)
	}
	return r.askAll(ctx, others, term, needed)
}

// askAll asks every voter and returns when needed of them confirmed.
func (r *Reader) askAll(ctx context.Context, voters []string, term uint64, needed int) error {
	ctx, cancel := context.WithTimeout(ctx, r.opt.Timeout)
	defer cancel()
	answers := make(chan bool, len(voters))
	for _, voter := range voters {
		go func() { answers <- r.opt.Peers.Confirm(ctx, voter, term) }()
	}
	for range voters {
		if <-answers {
			if needed--; needed == 0 {
				return nil
			}
		}
	}
	return errUnconfirmed
}

// askIndex asks the leader, which is another node, for what it notes. It is
// shared like a confirmation round.
func (r *Reader) askIndex(ctx context.Context) (Noted, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.opt.Timeout)
	defer cancel()
	return r.opt.Peers.AskLeader(ctx)
}

// Answer is the leader's side of askIndex.
func (r *Reader) Answer(ctx context.Context) (Noted, error) {
	term := r.opt.Shard.Serving()
	if term == 0 {
		return Noted{}, session.ErrNotServing
	}
	if mono, ok := r.leaseValid(term); ok {
		return r.noteAt(mono, term), nil
	}
	return r.confirms.join(ctx)
}
