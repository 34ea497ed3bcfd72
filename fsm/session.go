package fsm

import (
	"errors"
	"fmt"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/internal/mutant"
	"github.com/lockstepkv/lockstep/resp"
)

// ErrStaleBatch is the answer to a batch of an earlier boot of its node, or of a
// batch that its node said it had resolved. Nobody waits for it any more.
var ErrStaleBatch = errors.New("batch is older than its node's session")

// ErrStaleBoot is the ErrStaleBatch of an earlier boot.
var ErrStaleBoot = fmt.Errorf("%w: a later start of the node is known", ErrStaleBatch)

// LargeBatches is the Batch.Node under which a node numbers its large batches: they are
// long on their way, and the replies of others must not be kept for so long.
func LargeBatches(node string) string { return node + "\x00large" }

// session is what the state machine remembers of one node: the replies of its
// batches that may be asked for again. The node keeps few batches in flight and
// says with each which ones are resolved, so a session stays small.
type session struct {
	boot    uint64
	acked   uint64
	replies map[uint64][]resp.Value // by sequence number, all > acked
	held    int                     // what replies take; see command.MaxReplyBytes
}

// drop forgets the replies of a batch.
func (s *session) drop(seq uint64) {
	s.held -= costOf(s.replies[seq])
	delete(s.replies, seq)
}

func costOf(replies []resp.Value) (n int) {
	for _, v := range replies {
		n += command.ReplyCost(v)
	}
	return n
}

// sessions holds one session per node, by node id.
type sessions map[string]*session

// admit prepares the session of b's node. recorded is what b answered when it
// was applied before; fresh tells that it was not.
func (ss sessions) admit(b *Batch) (s *session, recorded []resp.Value, fresh bool, err error) {
	s = ss[b.Node]
	if s == nil || b.Boot > s.boot {
		s = &session{boot: b.Boot, replies: make(map[uint64][]resp.Value)}
		ss[b.Node] = s
	}
	switch {
	case b.Boot < s.boot:
		return nil, nil, false, ErrStaleBoot
	case b.Seq <= s.acked:
		return nil, nil, false, ErrStaleBatch
	}
	if b.Acked > s.acked {
		s.acked = b.Acked
		for seq := range s.replies {
			if seq <= s.acked {
				s.drop(seq)
			}
		}
	}
	recorded, done := s.replies[b.Seq]
	if mutant.On(mutant.ResendAppliedTwice) {
		done = false
	}
	return s, recorded, !done, nil
}
