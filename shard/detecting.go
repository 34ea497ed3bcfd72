package shard

import (
	"context"
	"time"

	"github.com/lockstepkv/lockstep/internal/clock"
	"github.com/lockstepkv/lockstep/shard/detector"
	"github.com/lockstepkv/lockstep/transport"
)

// raftTimeout is Raft's own timeout.
func (o *Options) raftTimeout() time.Duration { return detector.RaftTimeout(o.HeartbeatTimeout) }

// newDetector returns the detector of a replica that has its Raft.
func newDetector(g *Group) *detector.Detector {
	d := detecting{g}
	return detector.New(detector.Options{
		Self: g.self, Raft: g.raft, Log: g.log, Snapshots: g.snapshots, Shard: d, Peers: d, Figures: g.metrics,
		Heartbeat: g.opt.HeartbeatTimeout, Clock: g.clock, Logger: g.logger,
	})
}

// detect looks after the leaders of all shards.
func (n *Node) detect(ctx context.Context) {
	clock.Every(ctx, detector.Step(n.opt.HeartbeatTimeout), func() {
		for _, g := range n.Groups() {
			g.detector.Look()
		}
	})
}

// handleElections registers what the detectors of nodes ask each other.
func (n *Node) handleElections() {
	n.net.HandleInline(methodLeads, func(_ context.Context, _ string, req []byte) ([]byte, error) {
		g, rest, err := n.groupOf(req)
		if err != nil {
			return nil, err
		}
		return g.detector.AnswerLeads(rest)
	})
	n.net.Handle(methodElection, func(_ context.Context, from string, req []byte) ([]byte, error) {
		g, rest, err := n.groupOf(req)
		if err != nil {
			return nil, err
		}
		return g.detector.AnswerElection(from, rest)
	})
}

// detecting is what a detector asks of its replica.
type detecting struct{ g *Group }

// Leader implements detector.Shard.
func (d detecting) Leader() string { return d.g.Leader() }

// Leads implements detector.Shard.
func (d detecting) Leads(term uint64) bool { return d.g.leads(term) && !d.g.wire.Muted() }

// Voters implements detector.Shard.
func (d detecting) Voters() (others []string, self bool) {
	v := d.g.voters.now()
	return v.others, v.self
}

// MayVote implements detector.Shard.
func (d detecting) MayVote() bool { return !d.g.guard.On() }

// MayCampaign implements detector.Shard.
func (d detecting) MayCampaign() bool { return d.g.wire.MayCampaign() }

// Campaign implements detector.Shard.
func (d detecting) Campaign(ctx context.Context) error { return d.g.wire.Campaign(ctx) }

// detectMethods are the calls that carry detectors' questions.
var detectMethods = [...]transport.Method{detector.AskLeads: methodLeads, detector.AskElection: methodElection}

// Ask implements detector.Peers.
func (d detecting) Ask(ctx context.Context, peer string, q detector.Question, msg []byte) ([]byte, error) {
	return d.g.net.Call(ctx, peer, detectMethods[q], append(appendGroup(nil, d.g.id), msg...))
}

// Health implements detector.Peers.
func (d detecting) Health(peer string) (connected bool, seen time.Time) {
	h := d.g.net.Health(peer)
	return h.Connected, h.LastSeen
}
