package shard

import (
	"slices"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// voters knows who votes in a shard. Raft's configuration tells, never the options of the start, which
// a change of members leaves behind. Until Raft has been started it is those who found a new shard.
type voters struct {
	self string
	raft atomic.Pointer[raft.Raft] // nil until it has been started
	last atomic.Pointer[electorate]
}

// electorate is one configuration.
type electorate struct {
	servers []raft.Server // as Raft has them
	others  []string      // the voters but for this node
	self    bool          // this node is one
	quorum  int
}

// size is how many voters there are.
func (e *electorate) size() int {
	if e.self {
		return len(e.others) + 1
	}
	return len(e.others)
}

// alone reports whether nobody else has a vote.
func (e *electorate) alone() bool { return len(e.others) == 0 }

// open says who founds the shard.
func (v *voters) open(self string, founders []string) {
	v.self = self
	v.last.Store(electorateOf(self, servers(founders)))
}

// servers are nodes as voters.
func servers(nodes []string) (list []raft.Server) {
	for _, id := range nodes {
		list = append(list, raft.Server{ID: raft.ServerID(id), Address: raft.ServerAddress(id)})
	}
	return list
}

// started says that Raft knows now.
func (v *voters) started(r *raft.Raft) {
	v.raft.Store(r)
	v.now()
}

// now returns the newest configuration that this replica knows, committed or not, as Raft goes by.
func (v *voters) now() *electorate {
	last, r := v.last.Load(), v.raft.Load()
	if r == nil {
		return last
	}
	servers := r.GetConfiguration().Configuration().Servers // never waits
	if len(servers) == 0 || same(servers, last.servers) {
		return last
	}
	e := electorateOf(v.self, servers)
	v.last.Store(e)
	return e
}

// lately returns the configuration as it was when somebody last asked for the newest: for estimates.
func (v *voters) lately() *electorate { return v.last.Load() }

// same reports whether the lists are one and the same: Raft makes a new one with each change.
func same(a, b []raft.Server) bool { return len(a) == len(b) && &a[0] == &b[0] }

func electorateOf(self string, servers []raft.Server) *electorate {
	e := &electorate{servers: servers}
	for _, s := range servers {
		switch {
		case s.Suffrage != raft.Voter:
		case string(s.ID) == self:
			e.self = true
		default:
			e.others = append(e.others, string(s.ID))
		}
	}
	e.others = slices.Clip(e.others)
	e.quorum = e.size()/2 + 1
	return e
}
