package readindex

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/internal/clock"
	"github.com/lockstepkv/lockstep/internal/failpoint"
	"github.com/lockstepkv/lockstep/shard/session"
)

// Reader finds out which state may be answered from.
type Reader struct {
	opt      Options
	confirms *rounds
	indexes  *rounds
	lease    lease

	preferred atomic.Uint64 // which voter is asked first
	freshAt   atomic.Int64  // monotonic time; see Age
}

// New returns a reader for one replica of a shard.
func New(opt Options) *Reader {
	r := &Reader{opt: opt}
	r.confirms, r.indexes = &rounds{run: r.confirm}, &rounds{run: r.askIndex}
	return r
}

// AskLeader asks the leader for an index, together with the reads that wait. An answer says that its
// term serves.
func (r *Reader) AskLeader(ctx context.Context) error {
	_, err := r.indexes.join(ctx)
	return err
}

// View runs fn on a state as new as any that a client has seen before the call, and returns its index.
// fn may run several times. due: a key's time is up by the leader's clock, and not in the log yet.
func (r *Reader) View(ctx context.Context, fn func(*command.Ctx)) (index uint64, due bool, err error) {
	err = r.Take(ctx, func(need uint64, at fsm.Stamp) (ok bool) {
		index, due, ok = r.opt.State.ViewAt(need, at, fn)
		return ok
	})
	if err != nil {
		return 0, false, err
	}
	return index, due, nil
}

// Take calls take until what it took counts; see tryTake.
func (r *Reader) Take(ctx context.Context, take func(need uint64, at fsm.Stamp) bool) error {
	for {
		err := r.tryTake(ctx, take)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w: no leader confirmed the read in time: %v", command.ErrUnavailable, err)
		}
		clock.Pause(ctx, session.RetryPause)
	}
}

// tryTake takes from a state that has reached what the leader noted after the
// call. It counts only if this node's term is still the noted one afterwards: a
// leader that lost and regained its leadership meanwhile, or a snapshot of a new
// leader that is still silent, may have changed the state that was read. take is
// not ok if the state has not reached need.
func (r *Reader) tryTake(ctx context.Context, take func(need uint64, at fsm.Stamp) (ok bool)) error {
	n, err := r.note(ctx)
	if err != nil {
		return err
	}
	r.failpoint("shard/read/noted")
	for ok := false; !ok; {
		need, err := r.AwaitReached(ctx, n.Index)
		if err != nil {
			return err
		}
		ok = take(need, n.Stamp)
	}
	// In this order: a replica that was rebuilt is sound only when its Raft has the terms of
	// all entries in its state.
	if !r.opt.Shard.Sound() {
		return ErrDiverged
	}
	if r.opt.Raft.CurrentTerm() != n.Term {
		return errTermPassed
	}
	return nil
}

// failpoint is a place where tests can let something happen on this node.
func (r *Reader) failpoint(place string) {
	if failpoint.Enabled {
		_ = failpoint.Inject(place + "/" + r.opt.Self)
	}
}

// note returns what a leader noted after the call and what was then confirmed.
func (r *Reader) note(ctx context.Context) (Noted, error) {
	term := r.opt.Shard.Serving()
	if term == 0 {
		return r.indexes.join(ctx)
	}
	if mono, ok := r.leaseValid(term); ok {
		// That the lease is valid before the index is noted suffices: whatever
		// happens after, however long this process sleeps, the read has begun, and
		// the term is looked at once more in the end.
		return r.noteAt(mono, term), nil
	}
	return r.confirms.join(ctx)
}

// noteAt notes for a leader that serves in term, at a reading of the monotonic
// clock.
func (r *Reader) noteAt(mono time.Duration, term uint64) Noted {
	return Noted{Term: term, Index: r.opt.Raft.CommitIndex(), Stamp: r.opt.Shard.StampAt(mono)}
}

// A replica that waits for an index looks now and then whether Raft has committed
// that far: the end of the log may be an entry that never comes to the state
// machine. It looks less and less often, for many may wait on a replica that is far
// behind.
const (
	commitPoll     = time.Millisecond
	commitPollMost = 64 * time.Millisecond
)

// AwaitReached waits until this replica has reached index, and returns what the
// state must have reached to be as new: the newest command at or below index. It
// is looked up only after Raft has committed so far here: before that, the log may
// end earlier, or differently.
func (r *Reader) AwaitReached(ctx context.Context, index uint64) (need uint64, err error) {
	for poll := commitPoll; ; poll = min(2*poll, commitPollMost) {
		reached := r.opt.State.Reached()
		if reached >= index {
			return index, nil
		}
		need = index
		if r.opt.Raft.CommitIndex() >= index {
			need = r.opt.Log.NewestCommand(index)
		}
		if reached >= need {
			return need, nil
		}
		wait, cancel := context.WithTimeout(ctx, poll)
		err = r.opt.State.WaitReached(wait, need)
		cancel()
		if err != nil && ctx.Err() != nil {
			return 0, err
		}
	}
}

// Refresh finds out how fresh this replica is: everything that was acknowledged
// before the question was asked is applied when it returns.
func (r *Reader) Refresh(ctx context.Context) {
	asked := r.opt.Shard.Mono()
	n, err := r.note(ctx)
	if err != nil {
		return
	}
	if _, err := r.AwaitReached(ctx, n.Index); err != nil || r.opt.Raft.CurrentTerm() != n.Term {
		return
	}
	r.freshAt.Store(int64(asked))
}

// Age is how long ago this replica was known to hold everything acknowledged.
func (r *Reader) Age() time.Duration {
	return r.opt.Shard.Mono() - time.Duration(r.freshAt.Load())
}

// Stale answers from what is here. It is not done when the state has not reached
// the index that is asked for, or was taken back behind it.
func (r *Reader) Stale(opt command.ReadOptions, fn func(*command.Ctx)) (info command.ReadInfo, done bool, err error) {
	age := r.Age()
	if opt.MaxStaleness > 0 && age > opt.MaxStaleness {
		return command.ReadInfo{Age: age}, true, fmt.Errorf("%w: %v", command.ErrTooStale, age)
	}
	index, _, ok := r.opt.State.ViewAt(opt.MinIndex, fsm.Stamp{}, fn)
	if ok && !r.opt.Shard.Sound() {
		return command.ReadInfo{Age: age}, true, fmt.Errorf("%w: %w", command.ErrUnavailable, ErrDiverged)
	}
	return command.ReadInfo{Index: index, Age: age}, ok, nil
}
