package soundness

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/internal/clock"
	"github.com/lockstepkv/lockstep/internal/wire"
)

// A log entry that cannot be read is passed over by the state machine (fsm.Refusal). Two things
// may have happened: the bytes are bad on this replica alone, and the others have applied the
// entry; or what the replicas agreed on was bad already. A replica cannot tell alone. So it
// answers nothing, acknowledges nothing and hands its state to nobody until every other voter
// has said what it has made of the entry:
//
//   - One that is sound and has the entry behind it without having refused these bytes could
//     read it. Then this replica's bytes are wrong, and it is rebuilt as one that diverged is.
//   - If all have refused it, nobody can have acknowledged it: who acknowledges has applied, and
//     stays a voter. The states are the same, without the entry, and everybody goes on.
//   - Who is away, or has not come so far, is waited for: it may have applied the entry.
//
// That an entry is settled is written down, so that a restart need not ask again.

// Pauses between two rounds of questions: at first, and when somebody is waited for.
const (
	unreadPause     = 20 * time.Millisecond
	unreadPauseMost = 500 * time.Millisecond
)

// settledKept is how many settled entries are remembered.
const settledKept = 1024

// unread is a refused entry that is not settled.
type unread struct {
	fsm.Refusal
	of uint64 // fsm.Restores: the state that passed it over
}

// unreads are those of a replica.
type unreads struct {
	mu      sync.Mutex
	pending []unread             // guarded by mu
	settled map[fsm.Refusal]bool // guarded by mu
	first   atomic.Uint64        // index of the first that is pending; 0: none is
	waits   atomic.Pointer[string]
	nudge   chan struct{} // capacity 1
	ends    sync.Once
}

// add reports whether r must be settled.
func (u *unreads) add(r fsm.Refusal, of uint64) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.settled[r] {
		return false
	}
	u.pending = append(u.pending, unread{r, of})
	u.first.Store(u.pending[0].Index)
	select {
	case u.nudge <- struct{}{}:
	default:
	}
	return true
}

// keep drops what is pending of other states than the given one, and returns the first of the rest.
func (u *unreads) keep(of uint64) (fsm.Refusal, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.pending = slices.DeleteFunc(u.pending, func(p unread) bool { return p.of != of })
	return u.firstLocked()
}

func (u *unreads) firstLocked() (r fsm.Refusal, ok bool) {
	if ok = len(u.pending) > 0; ok {
		r = u.pending[0].Refusal
	}
	u.first.Store(r.Index)
	return r, ok
}

// settle takes r off the list for good.
func (u *unreads) settle(r fsm.Refusal) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.settled) >= settledKept {
		clear(u.settled) // should one of them be applied again, it is settled again
	}
	u.settled[r] = true
	u.pending = slices.DeleteFunc(u.pending, func(p unread) bool { return p.Refusal == r })
	u.firstLocked()
}

func (u *unreads) count() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.pending)
}

// read keeps the notes that were made before the first entry that is pending: others must
// not be compared with a state of which nobody knows whether it is right.
func (u *unreads) read(list []fsm.Note) []fsm.Note {
	first := u.first.Load()
	if first == 0 {
		return list
	}
	return slices.DeleteFunc(list, func(n fsm.Note) bool { return n.Index > first })
}

// settleUnread settles what cannot be read.
func (k *Keeper) settleUnread(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.unreads.nudge:
		}
		for wait := unreadPause; ; wait = min(2*wait, unreadPauseMost) {
			r, ok := k.unreads.keep(k.opt.State.Restores())
			if !ok {
				break
			}
			if k.settleOne(ctx, r) {
				wait = unreadPause
				continue
			}
			if clock.Pause(ctx, wait); ctx.Err() != nil {
				return
			}
		}
		k.unreads.waits.Store(nil)
		k.opt.Service.Settled()
	}
}

// settleOne finds out what is to become of an entry, and reports whether that is over.
func (k *Keeper) settleOne(ctx context.Context, r fsm.Refusal) bool {
	if k.diverged.Load() {
		return false // it is being rebuilt
	}
	others, voters := k.opt.Shard.Voters()
	if len(others) == 0 && r.Index <= k.opt.Shard.OpenedWith() {
		// It may have been read, and acknowledged, before the disk changed it.
		k.unreads.ends.Do(func() {
			k.opt.Fatal(fmt.Errorf("shard %d: log entry %d cannot be read, and there is no other replica to repair it from: restore a backup", k.opt.ID, r.Index))
		})
		return false
	}
	made := make(map[string]int, len(others))
	for _, peer := range others {
		if m, err := k.askMade(ctx, peer, r); err == nil {
			made[peer] = m
		}
	}
	switch agreed, reader, missing := judgeUnread(made, others, voters > len(others)); {
	case reader != "":
		k.Condemn(fmt.Sprintf("log entry %d cannot be read here, and %s has not refused it", r.Index, reader))
		return false
	case !agreed:
		k.waitToSettle(r, missing)
		return false
	}
	if err := k.opt.Marks.Settle(k.opt.ID, r); err != nil {
		k.opt.Logger.Error("could not write down that a log entry is passed over", "index", r.Index, "error", err)
		return false
	}
	k.unreads.settle(r)
	k.opt.Figures.Skipped()
	k.opt.Logger.Error("LOG ENTRY SKIPPED: no replica can read it; whoever waits for what was in it is told that it is in doubt",
		"index", r.Index, "term", r.Term)
	return true
}

// waitToSettle says who is waited for, in the log when that changes.
func (k *Keeper) waitToSettle(r fsm.Refusal, missing []string) {
	text := fmt.Sprintf("log entry %d cannot be read, and it is not known what other nodes made of it: %s", r.Index, strings.Join(missing, ", "))
	if old := k.unreads.waits.Swap(&text); old == nil || *old != text {
		k.opt.Logger.Warn("waiting for others to say what they made of a log entry", "index", r.Index, "nodes", missing)
	}
}

// Unanswered says why this replica answers nothing though it is not known to be wrong; "" if it does.
func (k *Keeper) Unanswered() string {
	first := k.unreads.first.Load()
	if first == 0 {
		return ""
	}
	if text := k.unreads.waits.Load(); text != nil {
		return *text
	}
	return fmt.Sprintf("log entry %d cannot be read; the other nodes are being asked", first)
}

// judgeUnread decides from what peers have made of an entry. reader is one that could read
// it. Without one, all agree when a majority has refused the same bytes and the others
// different ones: their states will differ from the majority's. votes says whether this replica,
// which has refused them, counts.
func judgeUnread(made map[string]int, peers []string, votes bool) (agreed bool, reader string, missing []string) {
	same, voters := 0, len(peers)
	if votes {
		same, voters = 1, voters+1
	}
	for _, peer := range peers {
		switch made[peer] {
		case fsm.NotRefused:
			return false, peer, nil
		case fsm.RefusedSame:
			same++
		case fsm.RefusedOtherwise:
		default:
			missing = append(missing, peer)
		}
	}
	return len(missing) == 0 && same > voters/2, "", missing
}

// askMade asks a peer what it has made of an entry.
func (k *Keeper) askMade(ctx context.Context, peer string, r fsm.Refusal) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	reply, err := k.opt.Peers.Ask(ctx, peer, AskMade, AppendRefusal(nil, r))
	if err != nil {
		return 0, err
	}
	made, _, ok := wire.CutUvarint(reply)
	if !ok {
		return 0, errMalformed
	}
	return int(made), nil
}

// answerMade tells a peer what this replica has made of an entry. What is not known to be
// right counts as not reached, but for what was refused.
func (k *Keeper) answerMade(req []byte) ([]byte, error) {
	r, err := DecodeRefusal(req)
	if err != nil {
		return nil, err
	}
	made := k.opt.State.Made(r)
	switch sound := k.Sound(); { // looked at after the state was
	case made == fsm.NotRefused && !sound:
		made = fsm.NotReached
	case made == fsm.RefusedOtherwise && sound:
		made = fsm.NotRefused
	}
	return wire.AppendUvarints(nil, uint64(made)), nil
}
