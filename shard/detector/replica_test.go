package detector

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const heartbeat = 300 * time.Millisecond

// ring is a shard: replicas by name, whose detectors reach each other.
type ring map[string]*replica

// replica is everything around a detector, without Raft and network.
type replica struct {
	ring ring
	id   string
	d    *Detector

	mu *sync.Mutex // the ring's; guards the rest

	state            raft.RaftState
	term, last       uint64
	leader           string
	contact          time.Time
	log              map[uint64]uint64 // terms by index
	snapshots        []*raft.SnapshotMeta
	mute             bool // it gives its leadership up
	noVote, passive  bool
	stranger         bool // it is no voter
	down             bool // its connections are lost
	deaf             bool // its connections stay, and nothing comes through
	seen             map[string]time.Time
	asked, campaigns int
	elections        map[string]int
}

var errDown = errors.New("not connected")

// passing is a clock that goes with time.Now, in a bubble as well.
type passing struct{ since time.Time }

func (p passing) Mono() time.Duration { return time.Since(p.since) }
func (p passing) WallMillis() int64   { return time.Now().UnixMilli() }

// newRing returns replicas with equal logs. The first one leads in term 3.
func newRing(ids ...string) ring {
	r, mu := ring{}, new(sync.Mutex)
	for i, id := range ids {
		p := &replica{ring: r, id: id, mu: mu, state: raft.Follower, term: 3, last: 100, leader: ids[0], log: map[uint64]uint64{100: 2},
			seen: map[string]time.Time{}, elections: map[string]int{}}
		if i == 0 {
			p.state = raft.Leader
		}
		r[id] = p
		p.d = New(Options{
			Self: id, Raft: p, Log: p, Snapshots: p, Shard: p, Peers: p, Figures: p,
			Heartbeat: heartbeat, Clock: passing{time.Now().Add(-time.Hour)}, Logger: slog.New(slog.DiscardHandler),
		})
	}
	return r
}

func (r ring) close() {
	for _, p := range r {
		p.d.Close()
	}
}

// pass lets time pass. Followers hear a leader that is well, and detectors look.
func (r ring) pass(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(Step(heartbeat)) {
		for _, p := range r {
			if p.hear() {
				p.d.Look()
			}
		}
	}
}

// hear has a replica hear the others, and reports whether it is one that runs.
func (p *replica) hear() (runs bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down || p.deaf {
		return false
	}
	for id, other := range p.ring {
		if other == p || other.down || other.deaf {
			continue
		}
		p.seen[id] = time.Now()
		if id == p.leader && other.state == raft.Leader && other.term == p.term && !other.mute {
			p.contact = time.Now()
		}
	}
	return true
}

func (p *replica) with(fn func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fn()
}

func get[T any](p *replica, v *T) T {
	p.mu.Lock()
	defer p.mu.Unlock()
	return *v
}

func (p *replica) State() raft.RaftState  { return get(p, &p.state) }
func (p *replica) CurrentTerm() uint64    { return get(p, &p.term) }
func (p *replica) LastIndex() uint64      { return get(p, &p.last) }
func (p *replica) LastContact() time.Time { return get(p, &p.contact) }
func (p *replica) Leader() string         { return get(p, &p.leader) }
func (p *replica) MayVote() bool          { return !get(p, &p.noVote) }
func (p *replica) MayCampaign() bool      { return !get(p, &p.passive) }
func (p *replica) Election(what string)   { p.with(func() { p.elections[what]++ }) }

func (p *replica) List() ([]*raft.SnapshotMeta, error) { return p.snapshots, nil }

func (p *replica) GetLog(index uint64, l *raft.Log) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	term, ok := p.log[index]
	if l.Term = term; !ok {
		return raft.ErrLogNotFound
	}
	return nil
}

func (p *replica) Leads(term uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state == raft.Leader && p.term == term && !p.mute
}

func (p *replica) Voters() (others []string, self bool) {
	for id := range p.ring {
		if id != p.id {
			others = append(others, id)
		}
	}
	slices.Sort(others)
	return others, !p.stranger
}

// Campaign wins at once: whoever called it had asked.
func (p *replica) Campaign(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.campaigns++
	term := p.term + 1
	for _, other := range p.ring {
		if !other.down {
			other.term, other.leader, other.state = term, p.id, raft.Follower
		}
	}
	p.state = raft.Leader
	return nil
}

func (p *replica) Ask(ctx context.Context, peer string, q Question, msg []byte) ([]byte, error) {
	to := p.ring[peer]
	p.mu.Lock()
	if q == AskLeads {
		p.asked++
	}
	down, deaf := to.down || p.down, to.deaf || p.deaf
	p.mu.Unlock()
	switch {
	case down:
		return nil, errDown
	case deaf:
		<-ctx.Done()
		return nil, ctx.Err()
	case q == AskLeads:
		return to.d.AnswerLeads(msg)
	}
	return to.d.AnswerElection(p.id, msg)
}

func (p *replica) Health(peer string) (connected bool, seen time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.ring[peer].down && !p.down, p.seen[peer]
}

func (r ring) campaigns() (sum int) {
	for _, p := range r {
		sum += get(p, &p.campaigns)
	}
	return sum
}
