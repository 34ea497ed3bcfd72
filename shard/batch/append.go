package batch

import (
	"errors"
	"slices"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/shard/session"
)

// log has the entry committed and applied.
func (p *Packer) log(pk *pack, cut *fsm.Cutter) ([]fsm.BatchResult, error) {
	if !p.opt.Shard.Plausible(&pk.entry) {
		return nil, session.ErrNotServing
	}
	rest := cut.Bytes()
	defer func() { p.opt.Disks.Answered(rest) }()
	var window []raft.ApplyFuture
	unread := false
	for !cut.Done() {
		// Without its last fragment an entry is never applied.
		if pk.withdrawn() {
			return nil, session.ErrNotServing
		}
		for len(window) >= p.window() {
			if err := p.opt.Log.Await(window[0]); err != nil {
				return nil, session.ErrNotServing
			}
			unread = unread || refusedBy(window[0])
			window = window[1:]
			piece := min(rest, fsm.FragmentBytes)
			p.opt.Disks.Answered(piece)
			rest -= piece
		}
		if cut.Large() {
			keepTogether(p.opt.Followers, p.opt.Log.LastIndex())
		}
		window = append(window, p.opt.Log.Append(cut.Next()))
	}
	if err := p.outcome(window); err != nil {
		return nil, err
	}
	if unread || slices.ContainsFunc(window, refusedBy) {
		return nil, session.ErrUnread
	}
	results, ok := window[len(window)-1].Response().([]fsm.BatchResult)
	if !ok || len(results) != len(pk.entry.Batches) {
		return nil, session.ErrDoubt // the fragments were interrupted by another leader's
	}
	return results, nil
}

// refusedBy reports whether this replica could not read what it has applied.
func refusedBy(f raft.ApplyFuture) bool {
	_, is := f.Response().(error)
	return is
}

// outcome waits for the last fragments of an entry, or all of it. If one of them was not
// logged for certain, the entry is never applied.
func (p *Packer) outcome(window []raft.ApplyFuture) (outcome error) {
	for _, f := range window {
		err := p.opt.Log.Await(f)
		if err == nil {
			continue
		}
		if outcome = classify(err); errors.Is(outcome, session.ErrNotServing) {
			return outcome
		}
	}
	return outcome
}

// classify tells errors that prove that nothing was logged from the others.
func classify(err error) error {
	if errors.Is(err, raft.ErrNotLeader) || errors.Is(err, raft.ErrLeadershipTransferInProgress) ||
		errors.Is(err, raft.ErrEnqueueTimeout) {
		return session.ErrNotServing
	}
	return session.ErrDoubt
}
