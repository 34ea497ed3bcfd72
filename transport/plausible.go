package transport

import (
	"errors"
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
		return plausibleEntries(req, current)
	}
	return nil
}

// errOvertaken is the error of an append that a newer term has overtaken.
var errOvertaken = errors.New("entries of a newer term than the one they were sent in")

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

// plausibleEntries checks what a leader sends to a node in the term current: the entries
// after PrevLogEntry in order. Raft reads them without a lock, so the last ones can be of a
// newer term than its message when it has just lost the leadership. Raft refuses that message
// where the newer term is known. Elsewhere it would store entries that only the newer term's
// leader may send, with others that this one may have replaced: there the stream ends.
func plausibleEntries(m *raft.AppendEntriesRequest, current uint64) error {
	overtaken := false
	for i, l := range m.Entries {
		if l.Index != m.PrevLogEntry+uint64(i)+1 || l.Index > MaxNumber || !PlausibleTerm(max(current, m.Term), l.Term) {
			return fmt.Errorf("%w: entry %d of term %d after %d entries from %d on in term %d",
				errBadRaftMessage, l.Index, l.Term, i, m.PrevLogEntry, m.Term)
		}
		overtaken = overtaken || l.Term > m.Term
	}
	if overtaken && current <= m.Term {
		return fmt.Errorf("%w: after %d in term %d", errOvertaken, m.PrevLogEntry, m.Term)
	}
	return nil
}
