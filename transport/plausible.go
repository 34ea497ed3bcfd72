package transport

import (
	"fmt"

	"github.com/hashicorp/raft"
)

// A replica never goes back to a lower term, and writes the one it was told to disk: a
// single vote with the highest number there is would end all elections for good. So
// numbers that no cluster can come to are refused before Raft sees them, in requests
// and in responses. See DESIGN.md for the choice of the bounds.
const (
	// MaxNumber is the highest index and term that is taken from a peer.
	MaxNumber = 1 << 62
	// maxTermJump is how far a peer's term may be ahead of this node's.
	maxTermJump = 1 << 32
)

// PlausibleTerm reports whether a peer can be in that term while this node is in current.
func PlausibleTerm(current, term uint64) bool {
	return term <= MaxNumber && (term <= current || term-current <= maxTermJump)
}

// plausible checks the numbers of a request or a response.
func (g *Group) plausible(m any) error {
	var current uint64
	if r := g.raft.Load(); r != nil {
		current = (*r).CurrentTerm()
	}
	term, rest := numbersOf(m)
	if !PlausibleTerm(current, term) {
		return fmt.Errorf("%w: %T of term %d in term %d", errBadRaftMessage, m, term, current)
	}
	for _, n := range rest {
		if n > MaxNumber {
			return fmt.Errorf("%w: %T with the number %d", errBadRaftMessage, m, n)
		}
	}
	if req, ok := m.(*raft.AppendEntriesRequest); ok {
		return plausibleEntries(req)
	}
	return nil
}

// numbersOf returns a message's term and its other numbers.
func numbersOf(m any) (term uint64, rest [4]uint64) {
	switch m := m.(type) {
	case *raft.AppendEntriesRequest:
		return m.Term, [4]uint64{m.PrevLogEntry, m.PrevLogTerm, m.LeaderCommitIndex}
	case *raft.AppendEntriesResponse:
		return m.Term, [4]uint64{m.LastLog}
	case *raft.RequestVoteRequest:
		return m.Term, [4]uint64{m.LastLogIndex, m.LastLogTerm}
	case *raft.RequestVoteResponse:
		return m.Term, rest
	case *raft.RequestPreVoteRequest:
		return m.Term, [4]uint64{m.LastLogIndex, m.LastLogTerm}
	case *raft.RequestPreVoteResponse:
		return m.Term, rest
	case *raft.InstallSnapshotRequest:
		return m.Term, [4]uint64{m.LastLogIndex, m.LastLogTerm, m.ConfigurationIndex}
	case *raft.InstallSnapshotResponse:
		return m.Term, rest
	}
	return 0, rest
}

// plausibleEntries: a leader sends the entries after PrevLogEntry in order, none of a
// later term than its own.
func plausibleEntries(m *raft.AppendEntriesRequest) error {
	for i, l := range m.Entries {
		if l.Index != m.PrevLogEntry+uint64(i)+1 || l.Index > MaxNumber || l.Term > m.Term {
			return fmt.Errorf("%w: entry %d of term %d after %d entries from %d on in term %d",
				errBadRaftMessage, l.Index, l.Term, i, m.PrevLogEntry, m.Term)
		}
	}
	return nil
}
