package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// RaftState is what the heartbeat guard asks its Raft instance; *raft.Raft has
// it. Both methods are safe outside Raft's main loop.
type RaftState interface {
	CurrentTerm() uint64
	State() raft.RaftState
}

const (
	// electionTimeout is how long heartbeats and votes may stay unanswered.
	// The guard answers heartbeats in time even while a disk hangs.
	electionTimeout = 2 * time.Second
	// electionPatience is how long they wait for a connection: the Raft library
	// asks again soon, and others may give their vote.
	electionPatience = 500 * time.Millisecond
	statePoll        = 50 * time.Millisecond
)

// Group is the raft.Transport of one Raft group. Besides carrying messages it
//
//   - guards heartbeats: see guard.go,
//   - keeps a node that lost its log out of elections, and one whose state is wrong from
//     winning them: see SetVoting and SetCampaigning,
//   - holds appends to a peer that is away until it is back, for at most
//     Options.RaftTimeout and as long as this node leads: an error instead would
//     make the Raft library pause for up to 10 s before it tries again,
//   - ends streams to a peer that the probes found dead.
type Group struct {
	t  *Transport
	id uint32

	localPeer []byte // what EncodePeer answers for this node
	consumer  chan raft.RPC
	done      chan struct{} // closed by Close
	pool      raftPool

	raft        atomic.Pointer[RaftState]
	quarantined atomic.Bool
	passive     atomic.Bool
	muted       atomic.Int32         // how many want it
	room        atomic.Pointer[Room] // nil: for everything

	progress progress

	guarded  atomic.Uint64
	fastPath atomic.Pointer[func(raft.RPC)] // never set but by a mutant and in a test

	mu      sync.Mutex
	closed  bool                     // guarded by mu
	dialed  map[*raftConn]struct{}   // guarded by mu
	streams map[*raftStream]struct{} // guarded by mu
}

var (
	_ raft.Transport   = (*Group)(nil)
	_ raft.WithPreVote = (*Group)(nil)
	_ raft.WithClose   = (*Group)(nil)
)

// Group returns the transport of a Raft group. After that transport's Close a
// new one is made.
func (t *Transport) Group(id uint32) *Group {
	t.mu.Lock()
	defer t.mu.Unlock()
	if g := t.groups[id]; g != nil {
		return g
	}
	g := &Group{
		t: t, id: id, localPeer: []byte(t.id), consumer: make(chan raft.RPC), done: make(chan struct{}),
		dialed: map[*raftConn]struct{}{}, streams: map[*raftStream]struct{}{},
	}
	if t.closed {
		g.closed = true
		close(g.done)
		return g
	}
	t.groups[id] = g
	return g
}

// openGroup returns a group that this node serves, or nil.
func (t *Transport) openGroup(id uint32) *Group {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.groups[id]
}

// Attach tells the guard which Raft instance runs on g. Until then it answers
// nothing.
func (g *Group) Attach(r RaftState) { g.raft.Store(&r) }

// SetVoting(false) quarantines this node: votes and requests to lead are neither
// sent nor answered with a yes, while appends and snapshots are taken. A node
// that lost its log also forgot whom it voted for, and a second vote in the same
// term could elect a second leader.
func (g *Group) SetVoting(on bool) { g.quarantined.Store(!on) }

// SetCampaigning(false) keeps this node from leading: it neither asks for votes nor takes
// a leadership that is handed to it. It votes for others.
func (g *Group) SetCampaigning(on bool) { g.passive.Store(!on) }

// ErrPassive is the error of what a node that must not lead would need to lead.
var ErrPassive = errors.New("this node does not campaign")

// Room tells what a node has room for on its disk.
type Room interface {
	// Append reports whether a leader's entries fit. Then done is called when they have been
	// stored, or will not be.
	Append(entries []*raft.Log) (done func(), ok bool)
	// Snapshot reports whether a leader's snapshot of so many bytes fits.
	Snapshot(bytes int64) bool
}

// SetRoom has r asked about what a leader sends. What does not fit is kept from this node: it
// goes on as a follower, and is sent it again later.
func (g *Group) SetRoom(r Room) { g.room.Store(&r) }

// ErrFull is the answer to what this node has no room for.
var ErrFull = errors.New("this node's disk is full")

// Mute(true) keeps what only a leader sends from the peers, until a Mute(false) for each: Raft
// then finds that it leads without a quorum, and gives the leadership up.
func (g *Group) Mute(on bool) {
	if on {
		g.muted.Add(1)
	} else {
		g.muted.Add(-1)
	}
}

// Muted reports whether what only a leader sends is kept from the peers.
func (g *Group) Muted() bool { return g.muted.Load() > 0 }

// MayCampaign reports whether this node may lead; see SetVoting and SetCampaigning.
func (g *Group) MayCampaign() bool { return !g.passive.Load() && !g.quarantined.Load() }

// Campaign has this node's Raft call an election at once, as if the leader had handed its
// leadership over. It returns when Raft has begun, or ctx ends before: what was true for
// the caller may be so no more when Raft comes back from its disk.
func (g *Group) Campaign(ctx context.Context) error {
	switch {
	case g.passive.Load():
		return ErrPassive
	case g.quarantined.Load():
		return ErrQuarantined
	}
	resp := make(chan raft.RPCResponse, 1)
	select {
	case g.consumer <- raft.RPC{Command: &raft.TimeoutNowRequest{RPCHeader: g.header()}, RespChan: resp}:
	case <-g.done:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	_, err := g.response(resp)
	return err
}

// ErrMuted is the error of a message of a muted group.
var ErrMuted = errors.New("this node gives its leadership up")

// GuardedHeartbeats is how many heartbeats were answered by the guard.
func (g *Group) GuardedHeartbeats() uint64 { return g.guarded.Load() }

// Close implements raft.WithClose. It ends the group's streams.
func (g *Group) Close() error {
	g.t.mu.Lock()
	if g.t.groups[g.id] == g {
		delete(g.t.groups, g.id)
	}
	g.t.mu.Unlock()

	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return nil
	}
	g.closed = true
	close(g.done)
	var doomed []closer
	for c := range g.dialed {
		doomed = append(doomed, c)
	}
	for s := range g.streams {
		doomed = append(doomed, s)
	}
	g.mu.Unlock()
	g.pool.close()
	for _, c := range doomed {
		c.fail(ErrClosed)
	}
	return nil
}

// Consumer implements raft.Transport.
func (g *Group) Consumer() <-chan raft.RPC { return g.consumer }

// LocalAddr implements raft.Transport. A node's address is its id.
func (g *Group) LocalAddr() raft.ServerAddress { return raft.ServerAddress(g.t.id) }

// EncodePeer implements raft.Transport.
func (g *Group) EncodePeer(id raft.ServerID, _ raft.ServerAddress) []byte {
	if string(id) == g.t.id {
		return g.localPeer
	}
	return []byte(id)
}

// DecodePeer implements raft.Transport.
func (g *Group) DecodePeer(b []byte) raft.ServerAddress {
	if p := g.t.all()[string(b)]; p != nil { // saves an allocation per append
		return raft.ServerAddress(p.id)
	}
	return raft.ServerAddress(b)
}

// SetHeartbeatHandler implements raft.Transport. The handler is not used: it
// would change Raft's state outside its main loop, see guard.go.
func (g *Group) SetHeartbeatHandler(h func(raft.RPC)) {}

// AppendEntries implements raft.Transport.
func (g *Group) AppendEntries(id raft.ServerID, _ raft.ServerAddress, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	if g.muted.Load() > 0 {
		return ErrMuted
	}
	if isHeartbeat(req) {
		return g.call(id, rpcAppend, req, resp, electionTimeout)
	}
	c, err := g.leaderStream(id)
	if err != nil {
		return err
	}
	return c.roundTrip(rpcAppend, req, resp)
}

// RequestVote implements raft.Transport.
func (g *Group) RequestVote(id raft.ServerID, _ raft.ServerAddress, req *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	return g.elect(id, rpcVote, req, resp)
}

// RequestPreVote implements raft.WithPreVote.
func (g *Group) RequestPreVote(id raft.ServerID, _ raft.ServerAddress, req *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return g.elect(id, rpcPreVote, req, resp)
}

// TimeoutNow implements raft.Transport.
func (g *Group) TimeoutNow(id raft.ServerID, _ raft.ServerAddress, req *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	return g.elect(id, rpcTimeoutNow, req, resp)
}

func (g *Group) elect(id raft.ServerID, tag rpcType, req, resp any) error {
	if g.quarantined.Load() {
		return ErrQuarantined
	}
	if g.passive.Load() && tag != rpcTimeoutNow {
		return ErrPassive
	}
	return g.call(id, tag, req, resp, electionTimeout)
}

// call is for messages that are worthless when they are late.
func (g *Group) call(id raft.ServerID, tag rpcType, req, resp any, limit time.Duration) error {
	c, err := g.stream(id, electionPatience, false)
	if err != nil {
		return err
	}
	c.limit.Store(int64(limit))
	return c.roundTrip(tag, req, resp)
}

// AppendEntriesPipeline implements raft.Transport.
func (g *Group) AppendEntriesPipeline(id raft.ServerID, _ raft.ServerAddress) (raft.AppendPipeline, error) {
	c, err := g.leaderStream(id)
	if err != nil {
		return nil, err
	}
	return newPipeline(c)
}

// InstallSnapshot implements raft.Transport. The stream may last as long as it
// advances; the answer to it comes only when the peer has restored the
// snapshot, for which it has 1 s per 4 MiB on top.
func (g *Group) InstallSnapshot(id raft.ServerID, _ raft.ServerAddress, req *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	c, err := g.leaderStream(id)
	if err != nil {
		return err
	}
	c.snapshot.Store(true)
	c.begin()
	defer c.fail(ErrClosed) // where the stream stands after an error is unknown
	err = c.send(rpcSnapshot, req)
	if err == nil {
		_, err = io.CopyN(progressWriter{c}, data, req.Size)
	}
	if err == nil {
		c.limit.Store(int64(g.t.raftTimeout + time.Duration(req.Size>>22)*time.Second))
		err = c.receive(resp)
	}
	c.end()
	if err != nil {
		return c.reason(err)
	}
	return nil
}

// progressWriter shows the ticker that a snapshot advances.
type progressWriter struct{ c *raftConn }

func (w progressWriter) Write(p []byte) (int, error) {
	w.c.progress.Add(1)
	return w.c.nc.Write(p)
}

// leaderStream is for what only a leader sends.
func (g *Group) leaderStream(id raft.ServerID) (*raftConn, error) {
	c, err := g.stream(id, g.t.raftTimeout, true)
	if err == nil {
		c.limit.Store(int64(g.t.raftTimeout))
	}
	return c, err
}

// stream returns an idle stream to a peer or dials one. While the peer is away
// it waits for up to patience, and if asked so no longer than this node leads.
func (g *Group) stream(id raft.ServerID, patience time.Duration, whileLeading bool) (*raftConn, error) {
	p := g.t.all()[string(id)]
	if p == nil {
		return nil, fmt.Errorf("%w: %s", ErrUnknownPeer, id)
	}
	if c := g.pool.get(p.id); c != nil {
		return c, nil
	}
	if err := g.await(p, patience, whileLeading); err != nil {
		return nil, err
	}
	nc, err := g.t.dial(p, kindRaft, g.id)
	if err != nil {
		return nil, fmt.Errorf("node %s: %w", p.id, err)
	}
	return g.adopt(nc, p)
}

func (g *Group) await(p *peer, patience time.Duration, whileLeading bool) error {
	up := p.upCh()
	select {
	case <-up:
		return nil
	case <-g.done:
		return ErrClosed
	default:
	}
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	poll := time.NewTicker(statePoll)
	defer poll.Stop()
	for {
		select {
		case <-up:
			return nil
		case <-g.done:
			return ErrClosed
		case <-timeout.C:
			return *p.links[linkControl].down.Load()
		case <-poll.C:
			if whileLeading && !g.leads() {
				return *p.links[linkControl].down.Load()
			}
		}
	}
}

func (g *Group) leads() bool {
	r := g.raft.Load()
	return r != nil && (*r).State() == raft.Leader
}
