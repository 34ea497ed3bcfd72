package shard

import (
	"fmt"
	"slices"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/shard/detector"
)

func TestElectorate(t *testing.T) {
	server := func(id string, s raft.ServerSuffrage) raft.Server {
		return raft.Server{ID: raft.ServerID(id), Suffrage: s}
	}
	for _, c := range []struct {
		servers []raft.Server
		others  []string
		self    bool
		quorum  int
	}{
		{servers([]string{"n1"}), nil, true, 1},
		{servers([]string{"n1", "n2", "n3"}), []string{"n2", "n3"}, true, 2},
		{[]raft.Server{server("n1", raft.Voter), server("n2", raft.Voter), server("n3", raft.Nonvoter)}, []string{"n2"}, true, 2},
		{[]raft.Server{server("n1", raft.Nonvoter), server("n2", raft.Voter), server("n3", raft.Voter)}, []string{"n2", "n3"}, false, 2},
		{[]raft.Server{server("n2", raft.Voter)}, []string{"n2"}, false, 1},
	} {
		e := electorateOf("n1", c.servers)
		if !slices.Equal(e.others, c.others) || e.self != c.self || e.quorum != c.quorum {
			t.Errorf("%v: %+v", c.servers, e)
		}
	}
}

// TestVotersComeFromRaft, and not from the options of the start: a node that has lost its vote is not asked
// any more, and counts for no quorum.
func TestVotersComeFromRaft(t *testing.T) {
	c := newCluster(t, 3, nil)
	leader := c.leader()
	lost, kept := c.others(leader)[0], c.others(leader)[1]
	if err := c.group(leader).raft.DemoteVoter(raft.ServerID(lost), 0, 0).Error(); err != nil {
		t.Fatal(err)
	}
	c.want(leader, "SET k v", "+OK\r\n")
	c.eventually(func() error {
		for _, id := range c.ids {
			v := c.group(id).voters.now()
			want := slices.DeleteFunc([]string{leader, kept}, func(o string) bool { return o == id })
			slices.Sort(want)
			if got := slices.Sorted(slices.Values(v.others)); !slices.Equal(got, want) || v.self != (id != lost) || v.quorum != 2 {
				return fmt.Errorf("%s: %+v", id, v)
			}
		}
		return nil
	})
	if g := c.group(lost); g.detector.Agree(detector.Claim{Term: g.raft.CurrentTerm() + 1}) {
		t.Error("a node without a vote wants to be elected")
	}
	c.stop(lost)
	c.want(leader, "GET k", "$1\r\nv\r\n")
	c.want(kept, "GET k", "$1\r\nv\r\n")
	c.want(leader, "SET k w", "+OK\r\n")
	if err := c.group(leader).office.CanLead(t.Context(), c.group(leader).raft.CurrentTerm(), lost); err == nil {
		t.Error("leadership would be handed to a node without a vote")
	}
}
