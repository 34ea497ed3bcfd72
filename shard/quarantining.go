package shard

import (
	"context"
	"time"

	"github.com/lockstepkv/lockstep/shard/quarantine"
)

// newGuard returns what keeps the vote from a replica that has lost its log.
func newGuard(g *Group) *quarantine.Guard {
	q := quarantining{g}
	return quarantine.New(quarantine.Options{ID: int(g.id), Marks: g.meta, Shard: q, Peers: q, Clock: g.clock, Logger: g.logger})
}

// quarantining is what a guard asks of its replica.
type quarantining struct{ g *Group }

// Others implements quarantine.Shard.
func (q quarantining) Others() []string { return q.g.voters.now().others }

// SetVoting implements quarantine.Shard.
func (q quarantining) SetVoting(may bool) { q.g.wire.SetVoting(may) }

// SetTerm implements quarantine.Shard.
func (q quarantining) SetTerm(term uint64) error {
	return q.g.log.SetUint64([]byte("CurrentTerm"), term)
}

// Admitting implements quarantine.Shard.
func (q quarantining) Admitting(damaged bool) { q.g.node.admitting(q.g.id, damaged) }

// Waits implements quarantine.Shard.
func (q quarantining) Waits(since time.Duration) { q.g.node.waitsForOthers(since) }

// Outnumber implements quarantine.Shard.
func (q quarantining) Outnumber(known []quarantine.Admission) error { return q.g.node.outnumber(known) }

// Caught implements quarantine.Shard.
func (q quarantining) Caught(ctx context.Context) (index uint64, all bool) {
	g := q.g
	n, last, err := g.callReadIndex(ctx)
	if err != nil {
		return 0, false
	}
	_, err = g.reader.AwaitReached(ctx, n.Index)
	return n.Index, err == nil && g.raft.LastIndex() >= last && g.raft.CommitIndex() >= n.Index && g.raft.CurrentTerm() == n.Term
}

// Ask implements quarantine.Peers.
func (q quarantining) Ask(ctx context.Context, peer string) (quarantine.Admission, error) {
	reply, err := q.g.net.Call(ctx, peer, methodAdmission, appendGroup(nil, q.g.id))
	if err != nil {
		return quarantine.Admission{}, err
	}
	return decodeAdmission(reply, q.g.clock.WallMillis())
}
