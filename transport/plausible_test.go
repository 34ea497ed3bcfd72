package transport

import (
	"errors"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

// overtakenAppend is what a leader sends that lost the leadership while it gathered entries.
func overtakenAppend(term uint64) *raft.AppendEntriesRequest {
	return &raft.AppendEntriesRequest{
		RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax},
		Term:      term, Leader: []byte("n1"), PrevLogEntry: 500, PrevLogTerm: term,
		Entries: []*raft.Log{{Index: 501, Term: term}, {Index: 502, Term: term + 1}},
	}
}

// Where the newer term is known Raft answers with it, and the stream stays.
func TestAnOvertakenAppendIsStale(t *testing.T) {
	c, members := raftCluster(t)
	id, leader := waitLeader(t, members)
	term := leader.CurrentTerm()
	from := c.nodes[others(members, id)[0]].Group(7)
	last := leader.LastIndex()
	resp := new(raft.AppendEntriesResponse)
	if err := from.AppendEntries(raft.ServerID(id), "", overtakenAppend(term-1), resp); err != nil {
		t.Fatalf("no answer: %v", err)
	}
	if resp.Success || resp.Term <= term-1 {
		t.Errorf("answered with %+v, want a no of a newer term than %d", resp, term-1)
	}
	if now := leader.LastIndex(); now < last || now > last+100 {
		t.Errorf("the log went from %d to %d", last, now)
	}
	if text := c.logs.String(); strings.Contains(text, "level=ERROR") {
		t.Errorf("an error was logged:\n%s", text)
	}
}

// Elsewhere Raft must not see it: the entry before the newer term's may have been replaced.
func TestAnOvertakenAppendDoesNotReachRaft(t *testing.T) {
	c := newCluster(t, 2)
	c.startAll()
	to, from := c.nodes["n1"].Group(1), c.nodes["n2"].Group(1)
	to.Attach(fixedState{term: 4, state: raft.Follower})
	failed := make(chan error, 1)
	go func() {
		failed <- from.AppendEntries("n1", "", overtakenAppend(4), new(raft.AppendEntriesResponse))
	}()
	select {
	case rpc := <-to.Consumer():
		rpc.Respond(nil, errors.New("not wanted"))
		t.Errorf("Raft gets %+v", rpc.Command)
		<-failed
	case err := <-failed:
		if err == nil {
			t.Error("it was taken")
		}
	}
	eventually(t, "the end is told", func() bool { return strings.Contains(c.logs.String(), "an earlier leader") })
	if text := c.logs.String(); strings.Contains(text, "level=ERROR") {
		t.Errorf("an error was logged:\n%s", text)
	}
}
