package shard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/shard/soundness"
	"github.com/lockstepkv/lockstep/transport"
)

// newKeeper returns the keeper of a replica that has its state machine and its log.
func newKeeper(g *Group) *soundness.Keeper {
	s := sounding{g}
	return soundness.New(soundness.Options{
		ID: int(g.id), State: g.fsm, Log: g.log, Shard: s, Peers: s, Marks: g.meta, Wants: s, Service: s, Figures: g.metrics,
		Clock: g.clock, Logger: g.logger, AuditInterval: g.opt.AuditInterval, Unverified: g.opt.Unverified, Fatal: g.opt.Fatal,
	})
}

// recallSoundness reads what was known of the state when the node stopped. A replica that was wrong
// does not lead.
func (g *Group) recallSoundness() error {
	if err := g.keeper.Recall(); err != nil {
		return err
	}
	if g.keeper.Diverged() {
		g.wire.SetCampaigning(false)
	}
	return nil
}

// verify is asked before the state as of an index is written.
func (g *Group) verify(index uint64) error {
	err := g.keeper.Verify(index)
	if errors.Is(err, soundness.ErrUnverified) {
		g.compactor.PutOff()
	}
	return err
}

// sounding is what a keeper asks of its replica.
type sounding struct{ g *Group }

// Serving implements soundness.Shard.
func (s sounding) Serving() bool { return s.g.Serving() }

// Voters implements soundness.Shard.
func (s sounding) Voters() (others []string, size int) {
	v := s.g.voters.now()
	return v.others, v.size()
}

// Quarantined implements soundness.Shard.
func (s sounding) Quarantined() bool { return s.g.guard.On() }

// CommitIndex implements soundness.Shard.
func (s sounding) CommitIndex() uint64 { return s.g.raft.CommitIndex() }

// OpenedWith implements soundness.Shard.
func (s sounding) OpenedWith() uint64 { return s.g.openedWith }

// WantNote implements soundness.Wants.
func (s sounding) WantNote() { s.g.packer.WantNote() }

// WantAudit implements soundness.Wants.
func (s sounding) WantAudit() { s.g.packer.WantAudit() }

// ProposeNothing implements soundness.Wants.
func (s sounding) ProposeNothing(ctx context.Context) error { return s.g.proposeNothing(ctx) }

// askMethods are the calls that carry keepers' questions.
var askMethods = [...]transport.Method{
	soundness.AskNotes: methodNotes, soundness.AskMade: methodMade, soundness.AskState: methodState,
}

// Ask implements soundness.Peers.
func (s sounding) Ask(ctx context.Context, peer string, q soundness.Question, msg []byte) ([]byte, error) {
	return s.g.net.Call(ctx, peer, askMethods[q], append(appendGroup(nil, s.g.id), msg...))
}

// Sound implements soundness.Peers.
func (s sounding) Sound(peer string) bool {
	return s.g.net.Health(peer).Connected && !s.g.node.peerDiverged(peer, s.g)
}

// answerKeepers registers what the keepers of replicas ask each other.
func (n *Node) answerKeepers() {
	for q, method := range askMethods {
		n.net.Handle(method, func(_ context.Context, _ string, req []byte) ([]byte, error) {
			g, rest, err := n.groupOf(req)
			if err != nil {
				return nil, err
			}
			return g.keeper.Answer(soundness.Question(q), rest)
		})
	}
}

// peerDiverged reports whether a node has said that its replica of g is wrong.
func (n *Node) peerDiverged(peer string, g *Group) bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	groups := n.peers[peer].Groups
	return int(g.id) < len(groups) && (groups[g.id].Diverged || groups[g.id].Repair)
}

// StepAside implements soundness.Service.
func (s sounding) StepAside(ctx context.Context) {
	g := s.g
	g.wire.SetCampaigning(false)
	g.serving.Store(0)
	g.reader.DropLease()
	if g.raft.State() != raft.Leader {
		return
	}
	term := g.raft.CurrentTerm()
	g.node.handOver(ctx, g)
	if g.leads(term) {
		g.office.Resign(ctx, term)
	}
}

// ReplaceSnapshots implements soundness.Service.
func (s sounding) ReplaceSnapshots(ctx context.Context) error {
	g := s.g
	if !g.node.snapshotting.Take(ctx) {
		return ctx.Err()
	}
	defer g.node.snapshotting.GiveBack()
	err := g.await(g.raft.Snapshot())
	if errors.Is(err, raft.ErrNothingNewToSnapshot) {
		if g.fsm.Applied() == 0 {
			return nil
		}
		// Raft takes none before it has applied an entry in this process.
		if perr := g.proposeNothing(ctx); perr != nil {
			return perr
		}
	}
	if err != nil {
		return fmt.Errorf("snapshot of the new state: %w", err)
	}
	g.compactor.Note()
	return g.snapshots.KeepNewest()
}

// Forget implements soundness.Service. What the wrong state said of locks may still be on its way to clients.
func (s sounding) Forget() { s.g.hub.Changed(s.g.fsm.Applied(), nil) }

// Rebuilt implements soundness.Service.
func (s sounding) Rebuilt() { s.g.disk.Recheck() }

// Settled implements soundness.Service. Batches may have waited for it.
func (s sounding) Settled() { s.g.kick() }

// Compared implements soundness.Figures.
func (m *groupMetrics) Compared(index uint64, differing int) {
	m.node.differ.WithLabelValues(m.label).Set(float64(differing))
	m.node.comparedIndex.WithLabelValues(m.label).Set(float64(index))
}

// Condemned implements soundness.Figures.
func (m *groupMetrics) Condemned() { m.node.diverged.WithLabelValues(m.label).Inc() }

// Audited implements soundness.Figures.
func (m *groupMetrics) Audited(took time.Duration) {
	m.node.auditSeconds.WithLabelValues(m.label).Observe(took.Seconds())
}

// Refused implements soundness.Figures.
func (m *groupMetrics) Refused() { m.node.refusedEntries.WithLabelValues(m.label).Inc() }

// Skipped implements soundness.Figures.
func (m *groupMetrics) Skipped() { m.node.skippedEntries.WithLabelValues(m.label).Inc() }
