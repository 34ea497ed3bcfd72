package transport

import (
	"time"

	"github.com/hashicorp/raft"
)

// The heartbeat guard.
//
// Raft's main loop stores entries on disk, and while it does, it takes no
// heartbeats; a leader that hears nothing steps down. The library's remedy, the
// handler of SetHeartbeatHandler, runs Raft's append code on the connection's
// goroutine beside the main loop: both then change term, state and leader
// without a lock, and committed entries can diverge (hashicorp/raft issue 695).
//
// Here heartbeats go to the main loop like everything else. Only when it does
// not take one for guardDelay, the guard answers in its place, provided that
// the node follows in exactly the heartbeat's term. That answer is true when it
// is given, promises nothing for later, and changes nothing here: at the leader
// it feeds its picture of who is alive (and VerifyLeader, which Lockstep does
// not use). The follower's own election timer needs no feeding: a main loop
// that comes back from storing an append notes the contact before it looks at
// the timer.
//
// A heartbeat holds up nothing but its own stream, which the leader's heartbeat
// routine uses alone.

// guardDelay is how long the main loop has for taking a heartbeat.
const guardDelay = 30 * time.Millisecond

// isHeartbeat tells heartbeats from appends as raft.NetworkTransport does: they
// are all empty but for the term and the leader.
func isHeartbeat(req *raft.AppendEntriesRequest) bool {
	return req.Term != 0 && req.PrevLogEntry == 0 && req.PrevLogTerm == 0 &&
		len(req.Entries) == 0 && req.LeaderCommitIndex == 0
}

// setFastPath switches the guard off: the library's own handler gets heartbeats.
func (g *Group) setFastPath(h func(raft.RPC)) { g.fastPath.Store(&h) }

// guard gets the answer to a heartbeat. gone tells whether anybody still waits for it.
func (g *Group) guard(rpc raft.RPC, req *raft.AppendEntriesRequest, resp <-chan raft.RPCResponse, gone func() bool) (raft.RPCResponse, error) {
	if h := g.fastPath.Load(); h != nil {
		(*h)(rpc)
		return g.response(resp)
	}
	timer := time.NewTimer(guardDelay)
	defer timer.Stop()
	for {
		select {
		case g.consumer <- rpc:
			return g.response(resp)
		case <-g.done:
			return raft.RPCResponse{}, ErrClosed
		case <-timer.C:
			if g.follows(req.Term) {
				g.guarded.Add(1)
				return raft.RPCResponse{Response: &raft.AppendEntriesResponse{
					RPCHeader: g.header(), Term: req.Term, Success: true,
				}}, nil
			}
			if gone() {
				return raft.RPCResponse{}, errHungUp
			}
			timer.Reset(guardDelay)
		}
	}
}

// follows reports whether the node follows in that term. A main loop that is
// about to leave the term writes the new one to disk first, and until that is
// done the node has neither voted nor answered in it.
func (g *Group) follows(term uint64) bool {
	r := g.raft.Load()
	return r != nil && (*r).CurrentTerm() == term && (*r).State() == raft.Follower
}

func (g *Group) header() raft.RPCHeader {
	return raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: g.localPeer, Addr: g.localPeer}
}

// refuseElection answers in the place of a quarantined node's Raft. The term is
// the request's, so that a candidate merely counts a no.
func (g *Group) refuseElection(req any) raft.RPCResponse {
	switch req := req.(type) {
	case *raft.RequestVoteRequest:
		return raft.RPCResponse{Response: &raft.RequestVoteResponse{RPCHeader: g.header(), Term: req.Term}}
	case *raft.RequestPreVoteRequest:
		return raft.RPCResponse{Response: &raft.RequestPreVoteResponse{RPCHeader: g.header(), Term: req.Term}}
	}
	return raft.RPCResponse{Error: ErrQuarantined}
}
