package detector

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/internal/wire"
)

// Detector finds out whether the leader of a shard is gone.
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
//     it: see AnswerElection;
//   - neither has promised to wait for another one's election.
//
// The last one makes elections in which the votes are split rare. Raft's rules are not
// touched: who is wrong here causes an election too many, or one that Raft itself calls
// later.
type Detector struct {
	opt Options

	life context.Context // ends with Stop
	stop context.CancelFunc
	wg   sync.WaitGroup

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

// New returns the detector of a replica that has its Raft.
func New(opt Options) *Detector {
	d := &Detector{opt: opt}
	d.life, d.stop = context.WithCancel(context.Background())
	d.silence = silence{base: opt.Heartbeat, step: Step(opt.Heartbeat), chance: rand.Float64()}
	return d
}

// Stop ends what the detector has begun. Nobody looks any more.
func (d *Detector) Stop() { d.stop() }

// Close stops, and waits for it: for Raft's answer, too, which comes when that is shut down.
func (d *Detector) Close() {
	d.stop()
	d.wg.Wait()
}

// Look is one tick; the ticks are Step apart.
func (d *Detector) Look() {
	r := d.opt.Raft
	state, term, leader, contact := r.State(), r.CurrentTerm(), d.opt.Shard.Leader(), r.LastContact()
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.opt.Clock.Mono()
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
	if !d.opt.Shard.MayCampaign() {
		return // nor is anybody to wait for this replica's election
	}
	if leader != "" && leader != d.opt.Self && d.silence.lasts >= d.silence.base*2/3 && !d.asking && !d.gone() {
		d.asking = true
		d.wg.Go(d.askLeader)
	}
	if d.silence.tooLong(d.gone()) && !d.calling && now >= d.rest && (d.promised == "" || now >= d.until) {
		d.calling = true
		d.wg.Go(d.callElection)
	}
}

// gone reports whether there is no leader to be heard. d.mu is held.
func (d *Detector) gone() bool {
	return d.leader == "" || d.denied || !d.connected(d.leader)
}

func (d *Detector) connected(peer string) bool {
	connected, _ := d.opt.Peers.Health(peer)
	return connected
}

// learn finds out whether the leader that was deposed last has lived: its connection has
// stayed, and it has answered since. d.mu is held.
func (d *Detector) learn() {
	a := d.accused
	if a.leader == "" {
		return
	}
	connected, seen := d.opt.Peers.Health(a.leader)
	if connected && seen.After(a.at) {
		d.silence.learn(a.lasted)
	}
	if !connected || seen.After(a.at) {
		d.accused = accusation{}
	}
}

// askLeader asks the leader whether it leads.
func (d *Detector) askLeader() {
	d.mu.Lock()
	term, leader := d.term, d.leader
	d.mu.Unlock()
	ctx, cancel := context.WithTimeout(d.life, RaftTimeout(d.opt.Heartbeat))
	defer cancel()
	reply, err := d.opt.Peers.Ask(ctx, leader, AskLeads, wire.AppendUvarints(nil, term))
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

// AnswerLeads answers a follower's question whether this node leads in a term. It never waits.
func (d *Detector) AnswerLeads(msg []byte) ([]byte, error) {
	term, _, ok := wire.CutUvarint(msg)
	if !ok {
		return nil, errMalformed
	}
	if d.opt.Shard.Leads(term) {
		return []byte{1}, nil
	}
	return []byte{0}, nil
}

// callElection asks the other voters, and has Raft campaign if more than half of all agree.
func (d *Detector) callElection() {
	c := d.claim()
	agreed := d.Agree(c)
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.opt.Clock.Mono()
	d.calling = false
	d.rest = now + d.silence.base/2 + time.Duration(rand.Float64()*float64(d.silence.base)/2)
	if !agreed {
		d.opt.Figures.Election("declined")
	}
	if !agreed || d.term != c.Term || !d.silence.tooLong(d.gone()) || d.promised != "" && now < d.until {
		return
	}
	if d.opt.Raft.State() != raft.Follower {
		return
	}
	if !d.gone() {
		d.accused = accusation{leader: d.leader, at: time.Now(), lasted: d.silence.lasts}
	}
	d.opt.Logger.Info("the leader is silent: calling an election", "leader", d.leader, "term", c.Term,
		"silent", d.silence.lasts.Round(time.Millisecond).String(), "connected", d.leader != "" && !d.gone())
	d.rest = now + d.silence.base
	d.opt.Figures.Election("called")
	d.wg.Go(func() {
		ctx, cancel := context.WithTimeout(d.life, d.silence.base/2)
		defer cancel()
		if err := d.opt.Shard.Campaign(ctx); err != nil {
			d.opt.Logger.Info("no election was called", "error", err)
		}
	})
}

// Agree reports whether more than half of the voters would vote for this replica now.
func (d *Detector) Agree(c Claim) bool {
	others, self := d.opt.Shard.Voters()
	needed := (len(others) + 1) / 2
	if needed == 0 || !self {
		return self
	}
	ctx, cancel := context.WithTimeout(d.life, d.opt.Heartbeat)
	defer cancel()
	req := appendClaim(nil, c)
	answers := make(chan bool, len(others))
	for _, peer := range others {
		go func() {
			reply, err := d.opt.Peers.Ask(ctx, peer, AskElection, req)
			answers <- err == nil && len(reply) == 1 && reply[0] == 1
		}()
	}
	for range others {
		if <-answers {
			if needed--; needed == 0 {
				return true
			}
		}
	}
	return false
}

// AnswerElection answers another replica that wants to lead: 1 if this one has heard
// nothing of the leader either, would vote for it, and promises not to campaign itself
// for a while.
func (d *Detector) AnswerElection(from string, msg []byte) ([]byte, error) {
	c, err := decodeClaim(msg)
	if err != nil {
		return nil, err
	}
	own := d.claim()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.opt.Shard.MayVote() || !d.yields(from, c, own, d.opt.Raft.State(), d.gone(), d.opt.Clock.Mono()) {
		return []byte{0}, nil
	}
	return []byte{1}, nil
}

// yields decides the answer, and notes the promise. d.mu is held.
func (d *Detector) yields(from string, theirs, own Claim, state raft.RaftState, gone bool, now time.Duration) bool {
	switch {
	case state != raft.Follower && (state != raft.Candidate || d.silence.lasts < d.silence.base):
		return false // it leads, or is about to
	case theirs.Term < own.Term || !theirs.holds(own):
		return false
	case d.leader == from || d.silence.lasts < d.silence.least(gone):
		return false
	case d.promised != "" && d.promised != from && now < d.until:
		return false
	case d.calling && own.beats(theirs, d.opt.Self, from):
		return false
	}
	d.promised, d.until = from, now+d.silence.base
	return true
}
