package fsm

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// ErrStaleBatch is the answer to a batch of an earlier boot of its node, or of a
// batch that its node said it had resolved. Nobody waits for it any more.
var ErrStaleBatch = errors.New("batch is older than its node's session")

// ErrStaleBoot is the ErrStaleBatch of an earlier boot.
var ErrStaleBoot = fmt.Errorf("%w: a later start of the node is known", ErrStaleBatch)

// ErrBootAhead is the ErrStaleBoot of a start whose number no clock can have made by the log's
// time: it is not remembered, since no later start could get past it.
var ErrBootAhead = fmt.Errorf("%w: this one's number is a century ahead of the log's clock", ErrStaleBoot)

// The number of a start is a time in milliseconds with BootBits random bits below it (package
// shard). BootAheadMillis is how far it may be ahead of the log's clock: a hundred years, so
// that a node whose clock was once set to nonsense still belongs to the cluster.
const (
	BootBits        = 20
	BootAheadMillis = 100 * 365 * 24 * 3600 * 1000
)

// lastBoot is the highest number of a start that is plausible by the log's clock.
func lastBoot(clock int64) uint64 {
	return uint64(clock+BootAheadMillis)<<BootBits | (1<<BootBits - 1)
}

// LargeBatches is the Batch.Node under which a node numbers its large batches: they are
// long on their way, and the replies of others must not be kept for so long.
func LargeBatches(node string) string { return node + largeSuffix }

const largeSuffix = "\x00large"

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

// void is the acked of a session that admits no batch of its start.
const void = math.MaxUint64

// bury replaces the sessions of starts that are not plausible when a batch of a plausible one
// has come, and reports whether there were any. Nobody knows which starts came before them, but
// each that was plausible had a number up to last. So that is the number from then on, and the
// node takes a higher one at its next start, when the log's clock has gone on.
func (ss sessions) bury(node string, last uint64) (buried bool) {
	node, _, _ = strings.Cut(node, largeSuffix)
	for _, name := range []string{node, LargeBatches(node)} {
		if s := ss[name]; s != nil && s.boot > last {
			ss[name] = &session{boot: last, acked: void, replies: make(map[uint64][]resp.Value)}
			buried = true
		}
	}
	return buried
}

// admit prepares the session of b's node, whose start is plausible. recorded is what b
// answered when it was applied before; fresh tells that it was not.
func (ss sessions) admit(b *Batch) (s *session, recorded []resp.Value, fresh bool, err error) {
	s = ss[b.Node]
	if s == nil || b.Boot > s.boot {
		s = &session{boot: b.Boot, replies: make(map[uint64][]resp.Value)}
		ss[b.Node] = s
	}
	switch {
	case b.Boot < s.boot, s.acked == void:
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
	return s, recorded, !done, nil
}
