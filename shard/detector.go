package shard

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/internal/clock"
	"github.com/lockstepkv/lockstep/transport"
)

// The failure detector.
//
// Raft has one timeout for two things: a leader that has no quorum for so long steps down,
// and a follower that hears nothing for so long campaigns (the library wants the first to
// be no longer than the second). A short one deposes leaders whose process was only away
// from its processor for a moment; with a long one, a dead leader costs all of it.
//
// So Raft has a long one, raftPatience heartbeat timeouts, and beside it the detector calls
// for an election early, as a leader does that hands over. Three things must come together:
//
//   - this replica has heard nothing of its leader for longer than its limit, see silence;
//     towards the end of it it asks the leader itself;
//   - more than half of the voters, itself included, find the same, and would vote for
//     it: see answerElection;
//   - neither has promised to wait for another one's election.
//
// The last one makes elections in which the votes are split rare. Raft's rules are not
// touched: who is wrong here causes an election too many, or one that Raft itself calls
// later.
type detector struct {
	g    *Group
	self string

	mu       sync.Mutex
	silence  silence       // guarded by mu
	term     uint64        // guarded by mu; of Raft, when last looked at
	leader   string        // guarded by mu; the same
	contact  time.Time     // guarded by mu; the same
	asking   bool          // guarded by mu; the leader
	denied   bool          // guarded by mu; the leader says that it does not lead
	promised string        // guarded by mu; who may win an election meanwhile
	until    time.Duration // guarded by mu; end of that promise
	rest     time.Duration // guarded by mu; no election is called before
	accused  accusation    // guarded by mu; the newest
	calling  bool          // guarded by mu
}

// accusation is what a leader was deposed for. If it turns out to have lived, this was a
// mistake to learn from.
type accusation struct {
	leader string
	at     time.Time
	lasted time.Duration
}

func newDetector(g *Group) *detector {
	d := &detector{g: g, self: g.self}
	d.silence = silence{base: g.opt.HeartbeatTimeout, step: g.opt.detectorStep(), chance: rand.Float64()}
	return d
}

// detect looks after the leaders of all shards.
func (n *Node) detect(ctx context.Context) {
	clock.Every(ctx, n.opt.detectorStep(), func() {
		for _, g := range n.Groups() {
			g.detector.look()
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
		term, _, err := cutUvarint(rest)
		if err != nil {
			return nil, err
		}
		return g.answerLeads(term), nil
	})
	n.net.Handle(methodElection, func(_ context.Context, from string, req []byte) ([]byte, error) {
		g, rest, err := n.groupOf(req)
		if err != nil {
			return nil, err
		}
		return g.answerElection(from, rest)
	})
}

// look is one tick.
func (d *detector) look() {
	g := d.g
	state, term, leader, contact := g.raft.State(), g.raft.CurrentTerm(), g.Leader(), g.raft.LastContact()
	d.mu.Lock()
	defer d.mu.Unlock()
	now := g.clock.Mono()
	heard := state == raft.Leader || term != d.term || leader != d.leader || contact != d.contact
	if term != d.term || leader != d.leader {
		d.silence.lasts = 0 // another leader's: nothing to learn from
		d.denied = false
	}
	d.term, d.leader, d.contact = term, leader, contact
	d.silence.tick(now, heard, rand.Float64)
	d.learn()
	if state != raft.Follower {
		return
	}
	if !g.wire.MayCampaign() {
		return // nor is anybody to wait for this replica's election
	}
	if leader != "" && leader != g.self && d.silence.lasts >= d.silence.base*2/3 && !d.asking && !d.gone() {
		d.asking = true
		g.wg.Go(d.askLeader)
	}
	if d.silence.tooLong(d.gone()) && !d.calling && now >= d.rest && (d.promised == "" || now >= d.until) {
		d.calling = true
		g.wg.Go(d.callElection)
	}
}

// gone reports whether there is no leader to be heard. d.mu is held.
func (d *detector) gone() bool {
	return d.leader == "" || d.denied || !d.g.net.Health(d.leader).Connected
}

// learn finds out whether the leader that was deposed last has lived: its connection has
// stayed, and it has answered since. d.mu is held.
func (d *detector) learn() {
	a := d.accused
	if a.leader == "" {
		return
	}
	h := d.g.net.Health(a.leader)
	if h.Connected && h.LastSeen.After(a.at) {
		d.silence.learn(a.lasted)
	}
	if !h.Connected || h.LastSeen.After(a.at) {
		d.accused = accusation{}
	}
}

// askLeader asks the leader whether it leads.
func (d *detector) askLeader() {
	d.mu.Lock()
	term, leader := d.term, d.leader
	d.mu.Unlock()
	ctx, cancel := context.WithTimeout(d.g.life, d.g.opt.raftTimeout())
	defer cancel()
	reply, err := d.g.net.Call(ctx, leader, methodLeads, binary.AppendUvarint(appendGroup(nil, d.g.id), term))
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asking = false
	if err != nil || len(reply) != 1 || d.term != term || d.leader != leader {
		return
	}
	if reply[0] == 0 {
		d.denied = true
		return
	}
	d.silence.broken(rand.Float64)
}

// answerLeads answers a follower's question whether this node leads in term. A leader that
// is giving its leadership up does not.
func (g *Group) answerLeads(term uint64) []byte {
	if g.leads(term) && !g.wire.Muted() {
		return []byte{1}
	}
	return []byte{0}
}

// claim is what a replica that wants to lead shows: the end of its log.
type claim struct {
	term      uint64 // the replica's own
	lastTerm  uint64 // of the newest entry
	lastIndex uint64
}

// beats reports whether c's log is at least as new as o's. Of two equal ones the larger name
// decides.
func (c claim) beats(o claim, name, other string) bool {
	if c.lastTerm != o.lastTerm {
		return c.lastTerm > o.lastTerm
	}
	if c.lastIndex != o.lastIndex {
		return c.lastIndex > o.lastIndex
	}
	return name > other
}

// holds reports whether c's log has all that o's has, as far as votes go.
func (c claim) holds(o claim) bool {
	return c.lastTerm > o.lastTerm || c.lastTerm == o.lastTerm && c.lastIndex >= o.lastIndex
}

// claim returns this replica's.
func (g *Group) claim() claim {
	c := claim{term: g.raft.CurrentTerm(), lastIndex: g.raft.LastIndex()}
	var l raft.Log
	if g.log.GetLog(c.lastIndex, &l) == nil {
		c.lastTerm = l.Term
	} else if list, err := g.snapshots.List(); err == nil && len(list) > 0 {
		c.lastTerm = list[0].Term
	}
	return c
}

func appendClaim(dst []byte, c claim) []byte {
	for _, v := range [...]uint64{c.term, c.lastTerm, c.lastIndex} {
		dst = binary.AppendUvarint(dst, v)
	}
	return dst
}

func decodeClaim(msg []byte) (c claim, err error) {
	for _, v := range [...]*uint64{&c.term, &c.lastTerm, &c.lastIndex} {
		if *v, msg, err = cutUvarint(msg); err != nil {
			return claim{}, err
		}
	}
	if len(msg) > 0 || max(c.term, c.lastTerm, c.lastIndex) > transport.MaxNumber {
		return claim{}, errMalformedMessage
	}
	return c, nil
}

// callElection asks the other voters, and has Raft campaign if more than half of all agree.
func (d *detector) callElection() {
	g, c := d.g, d.g.claim()
	agreed := g.agree(c)
	d.mu.Lock()
	defer d.mu.Unlock()
	now := g.clock.Mono()
	d.calling = false
	d.rest = now + d.silence.base/2 + time.Duration(rand.Float64()*float64(d.silence.base)/2)
	if !agreed {
		g.metrics.election("declined")
	}
	if !agreed || d.term != c.term || !d.silence.tooLong(d.gone()) || d.promised != "" && now < d.until {
		return
	}
	if g.raft.State() != raft.Follower {
		return
	}
	if !d.gone() {
		d.accused = accusation{leader: d.leader, at: time.Now(), lasted: d.silence.lasts}
	}
	g.logger.Info("the leader is silent: calling an election", "leader", d.leader, "term", c.term,
		"silent", d.silence.lasts.Round(time.Millisecond).String(), "connected", d.leader != "" && !d.gone())
	d.rest = now + d.silence.base
	g.metrics.election("called")
	g.wg.Go(func() {
		ctx, cancel := context.WithTimeout(g.life, d.silence.base/2)
		defer cancel()
		if err := g.wire.Campaign(ctx); err != nil {
			g.logger.Info("no election was called", "error", err)
		}
	})
}

// agree reports whether more than half of the voters would vote for this replica now.
func (g *Group) agree(c claim) bool {
	voters := g.voters.now()
	needed := voters.quorum - 1
	if needed == 0 || !voters.self {
		return voters.self
	}
	ctx, cancel := context.WithTimeout(g.life, g.opt.HeartbeatTimeout)
	defer cancel()
	req := appendClaim(appendGroup(nil, g.id), c)
	answers := make(chan bool, len(voters.others))
	for _, peer := range voters.others {
		go func() {
			reply, err := g.net.Call(ctx, peer, methodElection, req)
			answers <- err == nil && len(reply) == 1 && reply[0] == 1
		}()
	}
	for range voters.others {
		if <-answers {
			if needed--; needed == 0 {
				return true
			}
		}
	}
	return false
}

// answerElection answers another replica that wants to lead: 1 if this one has heard
// nothing of the leader either, would vote for it, and promises not to campaign itself
// for a while.
func (g *Group) answerElection(from string, msg []byte) ([]byte, error) {
	c, err := decodeClaim(msg)
	if err != nil {
		return nil, err
	}
	own, d := g.claim(), g.detector
	d.mu.Lock()
	defer d.mu.Unlock()
	if g.quarantined.Load() || !d.yields(from, c, own, g.raft.State(), d.gone(), g.clock.Mono()) {
		return []byte{0}, nil
	}
	return []byte{1}, nil
}

// yields decides the answer, and notes the promise. d.mu is held.
func (d *detector) yields(from string, theirs, own claim, state raft.RaftState, gone bool, now time.Duration) bool {
	switch {
	case state != raft.Follower && (state != raft.Candidate || d.silence.lasts < d.silence.base):
		return false // it leads, or is about to
	case theirs.term < own.term || !theirs.holds(own):
		return false
	case d.leader == from || d.silence.lasts < d.silence.least(gone):
		return false
	case d.promised != "" && d.promised != from && now < d.until:
		return false
	case d.calling && own.beats(theirs, d.self, from):
		return false
	}
	d.promised, d.until = from, now+d.silence.base
	return true
}
