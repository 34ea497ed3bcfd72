package transport

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// A node that comes back without its log neither votes nor campaigns until it
// may vote again; meanwhile it follows.
func TestWipedNodeTakesNoPartInElections(t *testing.T) {
	c, members := raftClusterOf(t, time.Second)
	id, leader := waitLeader(t, members)
	for range 20 {
		if err := leader.Apply([]byte("x"), time.Minute).Error(); err != nil {
			t.Fatal(err)
		}
	}
	wiped := others(members, id)[0]
	rest := others(members, id)[1]
	members[wiped].stop()
	c.nodes[wiped].Group(7).SetVoting(false)
	members[wiped] = c.runRaft(wiped, 7, true, nil)
	eventually(t, "the wiped node catches up", func() bool { return members[wiped].fsm.applied.Load() == 20 })

	// The leader dies: of three voters two are left, but one must not vote.
	members[id].stop()
	delete(members, id)
	began := time.Now()
	for time.Since(began) < 5*time.Second {
		for name, m := range members {
			if m.State() == raft.Leader {
				t.Fatalf("%s was elected with the vote of a node that lost its log", name)
			}
		}
		<-time.After(10 * time.Millisecond)
	}
	term := members[rest].CurrentTerm()
	if got := members[wiped].CurrentTerm(); got > term {
		t.Fatalf("the wiped node campaigned: it is in term %d, the other in %d", got, term)
	}
	members[wiped].g.SetVoting(true)
	waitLeader(t, members)
}

func TestQuarantineRefusesElectionsBothWays(t *testing.T) {
	c := newCluster(t, 2)
	c.startAll()
	quarantined, other := c.nodes["n1"].Group(1), c.nodes["n2"].Group(1)
	quarantined.SetVoting(false)

	if err := quarantined.RequestVote("n2", "n2", new(raft.RequestVoteRequest), new(raft.RequestVoteResponse)); !errors.Is(err, ErrQuarantined) {
		t.Errorf("asks for votes: %v", err)
	}
	if err := quarantined.RequestPreVote("n2", "n2", new(raft.RequestPreVoteRequest), new(raft.RequestPreVoteResponse)); !errors.Is(err, ErrQuarantined) {
		t.Errorf("asks for pre-votes: %v", err)
	}
	if err := quarantined.TimeoutNow("n2", "n2", new(raft.TimeoutNowRequest), new(raft.TimeoutNowResponse)); !errors.Is(err, ErrQuarantined) {
		t.Errorf("hands leadership over: %v", err)
	}
	vote := raft.RequestVoteResponse{Granted: true}
	if err := other.RequestVote("n1", "n1", &raft.RequestVoteRequest{Term: 4}, &vote); err != nil || vote.Granted || vote.Term != 4 {
		t.Errorf("vote: %+v, %v", vote, err)
	}
	pre := raft.RequestPreVoteResponse{Granted: true}
	if err := other.RequestPreVote("n1", "n1", &raft.RequestPreVoteRequest{Term: 4}, &pre); err != nil || pre.Granted || pre.Term != 4 {
		t.Errorf("pre-vote: %+v, %v", pre, err)
	}
	if err := other.TimeoutNow("n1", "n1", new(raft.TimeoutNowRequest), new(raft.TimeoutNowResponse)); err == nil {
		t.Error("takes leadership")
	}
	// raft.preElectSelf takes errors with these words for a granted pre-vote.
	if strings.Contains(ErrQuarantined.Error(), "unexpected command") {
		t.Error("the refusal reads like a peer without pre-votes")
	}
}
