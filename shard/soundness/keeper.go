package soundness

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/store"
)

// ErrUnverified: no majority has confirmed a state that was to be written.
var ErrUnverified = errors.New("no majority of the replicas has confirmed the state in time")

// Keeper knows whether a replica's state is right, and sees to it that it becomes so.
//
// Two things make a state unsound: that it is wrong (diverged), or that it holds a log entry of which
// nobody knows yet what it should have become (unreads). While it is, nobody is told of it.
type Keeper struct {
	opt Options

	diverged  atomic.Bool   // the state is wrong
	condemned atomic.Uint64 // how often it was found to be
	undecided atomic.Bool   // replicas differ, and nobody can tell which is right
	unreads   unreads
	audits    audits
	auditing  chan audit // capacity 1
	handout   handout

	life context.Context // ends with Close
	stop context.CancelFunc
}

// New returns a keeper that takes the state for right; see Recall.
func New(opt Options) *Keeper {
	k := &Keeper{opt: opt, auditing: make(chan audit, 1)}
	k.unreads.nudge, k.unreads.settled = make(chan struct{}, 1), make(map[fsm.Refusal]bool)
	k.life, k.stop = context.WithCancel(context.Background())
	return k
}

// Recall reads what was known of the state when the node stopped.
func (k *Keeper) Recall() error {
	list, err := k.opt.Marks.Settled(k.opt.ID)
	if err != nil {
		return err
	}
	for _, r := range list {
		k.unreads.settled[r] = true
	}
	on, err := k.opt.Marks.Diverged(k.opt.ID)
	if err == nil && on {
		k.Condemn("it was wrong when the node stopped")
	}
	return err
}

// Run compares, audits and settles until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, loop := range []func(context.Context){k.audit, k.compare, k.settleUnread} {
		wg.Go(func() { loop(ctx) })
	}
	wg.Wait()
}

// Close lets go of a state that is being handed out, and ends what waits for others.
func (k *Keeper) Close() {
	k.stop()
	k.handout.close()
}

// Sound reports whether this replica may answer: its state is not known to be wrong, and known to be right.
func (k *Keeper) Sound() bool { return !k.unsound() }

func (k *Keeper) unsound() bool { return k.diverged.Load() || k.unreads.first.Load() > 0 }

// Diverged reports whether the state is known to be wrong.
func (k *Keeper) Diverged() bool { return k.diverged.Load() }

// Undecided reports whether replicas differ, and no majority tells which is right.
func (k *Keeper) Undecided() bool { return k.undecided.Load() }

// Unread reports whether there is a log entry of which it is not known what became of it.
func (k *Keeper) Unread() bool { return k.unreads.first.Load() > 0 }

// Unsettled is how many of them there are.
func (k *Keeper) Unsettled() int { return k.unreads.count() }

// Condemn takes this replica out of service: its state is wrong.
func (k *Keeper) Condemn(why string) {
	if k.alone() {
		k.opt.Logger.Error("the data in memory are damaged; a restart reads them anew from the disk", "reason", why)
		return
	}
	k.condemned.Add(1)
	if !k.diverged.CompareAndSwap(false, true) {
		return
	}
	k.opt.Figures.Condemned()
	k.opt.Logger.Error("REPLICA DIVERGED: it neither answers nor leads nor takes snapshots until it is rebuilt from another", "reason", why)
}

// Audited is given the data as of an entry that asks for an audit.
func (k *Keeper) Audited(index uint64, data *store.Snapshot) {
	select {
	case k.auditing <- audit{index, data, k.opt.State.Restores()}:
	default: // the last one is not over
		data.Release()
	}
}

// Refused is told of an entry that this replica cannot read; nobody has seen the state yet.
func (k *Keeper) Refused(r fsm.Refusal, err error) {
	k.opt.Figures.Refused()
	if !k.unreads.add(r, k.opt.State.Restores()) {
		k.opt.Logger.Warn("a log entry that no replica can read is passed over", "index", r.Index, "term", r.Term)
		return
	}
	k.opt.Logger.Error("LOG ENTRY UNREADABLE: this replica answers nothing until it knows what the others made of it",
		"index", r.Index, "term", r.Term, "sum", fmt.Sprintf("%x", r.Sum), "error", err)
}

// Answer answers another replica's keeper.
func (k *Keeper) Answer(q Question, msg []byte) ([]byte, error) {
	switch q {
	case AskNotes:
		return k.answerNotes(msg)
	case AskMade:
		return k.answerMade(msg)
	case AskState:
		return k.answerState(msg)
	}
	return nil, errMalformed
}

func (k *Keeper) others() []string {
	others, _ := k.opt.Shard.Voters()
	return others
}

// alone reports whether there is nobody to compare with.
func (k *Keeper) alone() bool { return len(k.others()) == 0 }
