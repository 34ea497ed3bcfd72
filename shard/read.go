package shard

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/internal/clock"
	"github.com/lockstepkv/lockstep/internal/failpoint"
	"github.com/lockstepkv/lockstep/internal/mutant"
	"github.com/lockstepkv/lockstep/shard/session"
)

// hedgeDelay is how long a confirmation round waits for the peers that it asked
// first before it asks the others too. Asking a bare quorum first halves the
// messages of the common case.
const hedgeDelay = 3 * time.Millisecond

// noted is what a leader notes for a read before it is confirmed that it still
// leads: first the term in which it serves, then Raft's commit index. Another
// order, or the index of what the leader has applied, would be wrong: followers
// hear of a commit, and may show it, before the leader's own state machine has
// applied it.
type noted struct {
	term  uint64
	index uint64
	stamp fsm.Stamp
}

var (
	// errTermPassed: the node's term changed while it read. What it showed may be
	// that of a new leader that must not show it yet.
	errTermPassed = errors.New("the term changed during the read")

	errUnconfirmed = errors.New("no quorum confirmed the leader")
)

// Read runs fn on the shard's state. See command.ReadOptions for the terms. fn
// may run several times and must not keep entries.
func (g *Group) Read(ctx context.Context, opt command.ReadOptions, fn func(*command.Ctx)) (command.ReadInfo, error) {
	if opt.Consistency == command.Stale && g.fsm.Reached() >= opt.MinIndex {
		info, done, err := g.readStale(opt, fn)
		if done {
			return info, err
		}
	}
	index, due, err := g.readLinearizable(ctx, fn)
	if err == nil && due {
		// The key's time is up by the leader's clock. Moving the log clock makes it
		// so for everybody, and for ever.
		if _, err = g.Propose(ctx, command.Batch{}); err == nil {
			index, _, err = g.readLinearizable(ctx, fn)
		}
	}
	return command.ReadInfo{Index: index}, err
}

func (g *Group) readLinearizable(ctx context.Context, fn func(*command.Ctx)) (index uint64, due bool, err error) {
	err = g.linearizable(ctx, func(need uint64, at fsm.Stamp) (ok bool) {
		index, due, ok = g.fsm.ViewAt(need, at, fn)
		return ok
	})
	if err != nil {
		return 0, false, err
	}
	return index, due, nil
}

// WriteBackup writes the shard's newest acknowledged keys as an RDB file. They are
// taken under the rule of reads, within the time of reading; to write them may take
// longer.
func (g *Group) WriteBackup(reading context.Context, w io.Writer) (index uint64, err error) {
	var b *fsm.Backup
	defer func() {
		if b != nil {
			b.Release()
		}
	}()
	err = g.linearizable(reading, func(need uint64, _ fsm.Stamp) (ok bool) {
		if b != nil { // what was taken did not count
			b.Release()
		}
		g.failpoint("shard/backup/freeze")
		b, ok = g.fsm.FreezeBackup(need)
		return ok
	})
	if err != nil {
		return 0, err
	}
	return b.Write(w)
}

// linearizable calls take until what it took counts; see tryTake.
func (g *Group) linearizable(ctx context.Context, take func(need uint64, at fsm.Stamp) bool) error {
	for {
		err := g.tryTake(ctx, take)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w: no leader confirmed the read in time: %v", command.ErrUnavailable, err)
		}
		if errors.Is(err, errStopped) {
			return fmt.Errorf("%w: %w", command.ErrUnavailable, err)
		}
		clock.Pause(ctx, session.RetryPause)
	}
}

// tryTake takes from a state that has reached what the leader noted after the
// call. It counts only if this node's term is still the noted one afterwards: a
// leader that lost and regained its leadership meanwhile, or a snapshot of a new
// leader that is still silent, may have changed the state that was read. take is
// not ok if the state has not reached need.
func (g *Group) tryTake(ctx context.Context, take func(need uint64, at fsm.Stamp) (ok bool)) error {
	n, err := g.note(ctx)
	if err != nil {
		return err
	}
	g.failpoint("shard/read/noted")
	for ok := false; !ok; {
		need, err := g.awaitReached(ctx, n.index)
		if err != nil {
			return err
		}
		ok = take(need, n.stamp)
	}
	// In this order: a replica that was rebuilt is sound only when its Raft has the terms of
	// all entries in its state.
	if !g.sound() {
		return errDiverged
	}
	if g.raft.CurrentTerm() != n.term && !g.termUnseen() {
		return errTermPassed
	}
	return nil
}

// failpoint is a place where tests can let something happen on this node.
func (g *Group) failpoint(place string) {
	if failpoint.Enabled {
		_ = failpoint.Inject(place + "/" + g.self)
	}
}

func (g *Group) termUnseen() bool {
	return mutant.On(mutant.ReadTermUnseen) && g.serving.Load() != 0 ||
		mutant.On(mutant.FollowerTermUnseen) && g.serving.Load() == 0
}

// note returns what a leader noted after the call and what was then confirmed.
func (g *Group) note(ctx context.Context) (noted, error) {
	term := g.serving.Load()
	if term == 0 {
		return g.indexes.join(ctx)
	}
	if mono, ok := g.leaseValid(term); ok {
		// That the lease is valid before the index is noted suffices: whatever
		// happens after, however long this process sleeps, the read has begun, and
		// the term is looked at once more in the end.
		return g.noteAt(mono, term), nil
	}
	return g.confirms.join(ctx)
}

// noteAt notes for a leader that serves in term, at a reading of the monotonic
// clock.
func (g *Group) noteAt(mono time.Duration, term uint64) noted {
	return noted{term: term, index: g.raft.CommitIndex(), stamp: g.stampAt(mono)}
}

// A replica that waits for an index looks now and then whether Raft has committed
// that far: the end of the log may be an entry that never comes to the state
// machine. It looks less and less often, for many may wait on a replica that is far
// behind.
const (
	commitPoll     = time.Millisecond
	commitPollMost = 64 * time.Millisecond
)

// awaitReached waits until this replica has reached index, and returns what the
// state must have reached to be as new: the newest command at or below index. It
// is looked up only after Raft has committed so far here: before that, the log may
// end earlier, or differently.
func (g *Group) awaitReached(ctx context.Context, index uint64) (need uint64, err error) {
	if mutant.On(mutant.FollowerReadNoWait) && g.serving.Load() == 0 {
		return 0, nil
	}
	for poll := commitPoll; ; poll = min(2*poll, commitPollMost) {
		reached := g.fsm.Reached()
		if reached >= index {
			return index, nil
		}
		need = index
		if mutant.On(mutant.ReachedByLogAlone) {
			need = g.log.NewestCommand(min(index, g.raft.LastIndex()))
		} else if g.raft.CommitIndex() >= index {
			need = g.log.NewestCommand(index)
		}
		if reached >= need {
			return need, nil
		}
		wait, cancel := context.WithTimeout(ctx, poll)
		err = g.fsm.WaitReached(wait, need)
		cancel()
		if err != nil && ctx.Err() != nil {
			return 0, err
		}
	}
}

// confirm runs one confirmation round: it succeeds when a quorum of voters
// answers with the noted term to a question asked after that was noted. A voter
// with that term has voted in no later election, so no later leader can have been
// elected by the time it answered.
//
// raft.VerifyLeader does not do: it counts answers to heartbeats that were sent
// before the call, and those of nonvoters.
func (g *Group) confirm(ctx context.Context) (noted, error) {
	term := g.serving.Load()
	if term == 0 || !g.leads(term) {
		return noted{}, session.ErrNotServing
	}
	started := g.clock.Mono()
	begin := time.Now()
	n := g.noteAt(started, term)
	g.failpoint("shard/confirm/noted")
	if mutant.On(mutant.ConfirmAnyTerm) {
		term = g.raft.CurrentTerm()
	}
	// A round is shared: the deadline of the caller who happens to run it
	// must not fail the others.
	if err := g.askQuorum(context.WithoutCancel(ctx), term); err != nil {
		return noted{}, err
	}
	// This node counts itself, as a voter like the others: by its term after what
	// was noted.
	if g.raft.CurrentTerm() != term {
		return noted{}, session.ErrNotServing
	}
	g.metrics.round(time.Since(begin))
	if mutant.On(mutant.LeaseFromEnd) {
		started = g.clock.Mono()
	}
	g.lease.extend(term, started, g.leaseDuration())
	if mutant.On(mutant.ReadIndexApplied) {
		n.index = g.fsm.Applied()
	}
	return n, nil
}

func (g *Group) leads(term uint64) bool {
	return g.raft.State() == raft.Leader && g.raft.CurrentTerm() == term
}

// askQuorum returns when enough peers confirmed term.
func (g *Group) askQuorum(ctx context.Context, term uint64) error {
	needed := g.quorum - 1
	if needed == 0 || mutant.On(mutant.ReadUnconfirmed) {
		return nil
	}
	req := confirmQuestion(g.id, term)
	peers := g.peersByPreference()
	if needed == 1 {
		// The common case costs no goroutine.
		hctx, cancel := context.WithTimeout(ctx, hedgeDelay)
		ok := g.askPeer(hctx, peers[0], req, term)
		cancel()
		if ok {
			return nil
		}
		g.preferred.Add(1)
	}
	return g.askAll(ctx, peers, req, term, needed)
}

// confirmQuestion is the message of methodConfirm.
func confirmQuestion(group uint32, term uint64) []byte {
	return binary.AppendUvarint(appendGroup(make([]byte, 0, 16), group), term)
}

// askAll asks every peer and returns when needed of them confirmed.
func (g *Group) askAll(ctx context.Context, peers []string, req []byte, term uint64, needed int) error {
	ctx, cancel := context.WithTimeout(ctx, g.opt.ElectionTimeout*2)
	defer cancel()
	answers := make(chan bool, len(peers))
	for _, peer := range peers {
		go func() { answers <- g.askPeer(ctx, peer, req, term) }()
	}
	for range peers {
		if <-answers {
			if needed--; needed == 0 {
				return nil
			}
		}
	}
	return errUnconfirmed
}

func (g *Group) askPeer(ctx context.Context, peer string, req []byte, term uint64) bool {
	reply, err := g.net.Call(ctx, peer, methodConfirm, req)
	if err != nil {
		return false
	}
	answer, _, err := cutUvarint(reply)
	return err == nil && answer == term
}

// peersByPreference returns the other voters, the one that answered last first.
func (g *Group) peersByPreference() []string {
	n := len(g.peers)
	first := int(g.preferred.Load() % uint64(n))
	out := make([]string, 0, n)
	for i := range n {
		out = append(out, g.peers[(first+i)%n])
	}
	return out
}

// answerConfirm is a voter's side of a round. A replica in quarantine has no
// vote and gives no answer.
func (g *Group) answerConfirm() (term uint64, ok bool) {
	return g.raft.CurrentTerm(), !g.quarantined.Load()
}

// askIndex asks the leader, which is another node, for what it notes. It is
// shared like a confirmation round.
func (g *Group) askIndex(ctx context.Context) (noted, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.opt.ElectionTimeout*2)
	defer cancel()
	n, _, err := g.callReadIndex(ctx)
	return n, err
}

// callReadIndex asks the leader, which is another node, for what it notes and for
// the end of its log.
func (g *Group) callReadIndex(ctx context.Context) (n noted, last uint64, err error) {
	leader := g.Leader()
	if leader == "" || leader == g.self {
		return noted{}, 0, session.ErrNotServing
	}
	reply, err := g.net.Call(ctx, leader, methodReadIndex, appendReads(appendGroup(nil, g.id), g.fsm.ReadLog()))
	if err != nil {
		return noted{}, 0, err
	}
	if n, last, err = decodeNoted(reply); err == nil {
		g.told.serves(n.term)
	}
	return n, last, err
}

// answerReadIndex is the leader's side of askIndex.
func (g *Group) answerReadIndex(ctx context.Context) (noted, error) {
	term := g.serving.Load()
	if term == 0 {
		return noted{}, session.ErrNotServing
	}
	if mono, ok := g.leaseValid(term); ok {
		return g.noteAt(mono, term), nil
	}
	return g.confirms.join(ctx)
}

// refresh finds out how fresh this replica is: everything that was acknowledged
// before the question was asked is applied when it returns.
func (g *Group) refresh(ctx context.Context) {
	asked := g.clock.Mono()
	n, err := g.note(ctx)
	if err != nil {
		return
	}
	if _, err := g.awaitReached(ctx, n.index); err != nil || g.raft.CurrentTerm() != n.term {
		return
	}
	if mutant.On(mutant.StaleAgeUnderstated) {
		asked = g.clock.Mono()
	}
	g.freshAt.Store(int64(asked))
}

// age is how long ago this replica was known to hold everything acknowledged.
func (g *Group) age() time.Duration {
	return g.clock.Mono() - time.Duration(g.freshAt.Load())
}

// readStale answers from what is here. It is not done when the state has not reached
// the index that is asked for, or was taken back behind it.
func (g *Group) readStale(opt command.ReadOptions, fn func(*command.Ctx)) (info command.ReadInfo, done bool, err error) {
	age := g.age()
	if opt.MaxStaleness > 0 && age > opt.MaxStaleness {
		return command.ReadInfo{Age: age}, true, fmt.Errorf("%w: %v", command.ErrTooStale, age)
	}
	index, _, ok := g.fsm.ViewAt(opt.MinIndex, fsm.Stamp{}, fn)
	if ok && !g.sound() {
		return command.ReadInfo{Age: age}, true, fmt.Errorf("%w: %w", command.ErrUnavailable, errDiverged)
	}
	return command.ReadInfo{Index: index, Age: age}, ok, nil
}
