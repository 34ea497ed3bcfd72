package transport

import (
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// fastPath is a Group with its guard switched off.
type fastPath struct{ *Group }

func (f fastPath) SetHeartbeatHandler(cb func(raft.RPC)) { f.setFastPath(cb) }

// The bug that the guard is there for, hashicorp/raft issue 695: n1 leads and its
// main loop waits for work. A heartbeat of n2, elected in the next term, comes in
// on the fast path and gives n1 the new term beside the main loop. The next entry
// that n1 is asked to log bears that term, as if n2 had written it. n2's own entry
// at that index has the same index and term, so n1 takes the two for the same and
// keeps what no other replica has, for ever.
func TestOldLeaderTakesTheNewTermBesideItsMainLoop(t *testing.T) {
	off := func(g *Group) raft.Transport { return fastPath{g} }
	diverged := false
	for group := uint32(1); group <= 10 && !diverged; group++ { // a lease that runs out in between saves n1
		diverged = deposedLeaderKeeps(t, group, off)
	}
	if !diverged {
		t.Error("without the guard the logs should differ: this test does not show what it is for")
	}
	for group := uint32(1); group <= 3; group++ {
		if deposedLeaderKeeps(t, group, nil) {
			t.Error("an entry of a deposed leader stands where the new leader's belongs")
		}
	}
}

// deposedLeaderKeeps reports whether n1 holds another entry than n2, which
// overtook it, at an index that n1 has acknowledged to n2.
func deposedLeaderKeeps(t *testing.T, group uint32, wrap func(*Group) raft.Transport) bool {
	t.Helper()
	c := newCluster(t, 3)
	c.startAll()
	followers := &script{end: make(chan struct{})}
	for _, id := range []string{"n2", "n3"} {
		go followers.play(c.nodes[id].Group(group))
	}
	t.Cleanup(func() { close(followers.end) })
	old := c.runRaft("n1", group, true, wrap)
	eventually(t, "n1 leads", func() bool { // on a busy machine it may have to begin again
		return old.State() == raft.Leader && old.AppliedIndex() > 0 && old.Barrier(time.Second).Error() == nil
	})
	term, last := old.CurrentTerm(), old.LastIndex()

	n2 := c.nodes["n2"].Group(group)
	n2.Attach(fixedState{term + 1, raft.Leader})
	beat := &raft.AppendEntriesRequest{RPCHeader: n2.header(), Term: term + 1, Leader: n2.localPeer}
	if err := n2.AppendEntries("n1", "n1", beat, new(raft.AppendEntriesResponse)); err != nil {
		t.Fatal(err)
	}
	if err := old.Apply([]byte("of n1"), time.Minute).Error(); err == nil {
		t.Fatal("a deposed leader committed")
	}
	entry := &raft.Log{Index: last + 1, Term: term + 1, Type: raft.LogCommand, Data: []byte("of n2")}
	next := &raft.AppendEntriesRequest{
		RPCHeader: n2.header(), Term: term + 1, Leader: n2.localPeer,
		PrevLogEntry: last, PrevLogTerm: term, Entries: []*raft.Log{entry}, LeaderCommitIndex: entry.Index,
	}
	var resp raft.AppendEntriesResponse
	if err := n2.AppendEntries("n1", "n1", next, &resp); err != nil || !resp.Success {
		t.Fatalf("n1 did not follow: %+v, %v", resp, err)
	}
	var held raft.Log
	if err := old.store.GetLog(entry.Index, &held); err != nil {
		t.Fatal(err)
	}
	return string(held.Data) != string(entry.Data)
}

// script plays followers that agree to everything.
type script struct{ end chan struct{} }

func (s *script) play(g *Group) {
	for {
		select {
		case <-s.end:
			return
		case rpc := <-g.Consumer():
			rpc.Respond(s.answer(g, rpc.Command), nil)
		}
	}
}

func (s *script) answer(g *Group, req any) any {
	switch req := req.(type) {
	case *raft.RequestPreVoteRequest:
		return &raft.RequestPreVoteResponse{RPCHeader: g.header(), Term: req.Term, Granted: true}
	case *raft.RequestVoteRequest:
		return &raft.RequestVoteResponse{RPCHeader: g.header(), Term: req.Term, Granted: true}
	case *raft.AppendEntriesRequest:
		last := req.PrevLogEntry + uint64(len(req.Entries))
		return &raft.AppendEntriesResponse{RPCHeader: g.header(), Term: req.Term, LastLog: last, Success: true}
	}
	return nil
}
