package quarantine

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/lockstepkv/lockstep/internal/clock"
)

// A replica that lost its log, its snapshots or its whole directory has lost
// promises too: the entries that it acknowledged and the terms that it voted
// in. Raft has no word for that; such a replica could elect a leader without
// entries that are committed. So it is put in quarantine:
//
//   - Before Raft starts, it asks every other voter for its term and takes the
//     highest, so that it acknowledges nothing to a leader that was deposed with
//     the help of a vote that it forgot. Every other voter must answer: any one
//     of them may be the leader that the forgotten vote elected.
//   - It neither votes nor campaigns nor confirms leaders until it holds
//     everything that was committed when it asked the leader for an index.
//
// A node that starts with an empty directory cannot tell a new cluster from an
// old one whose data it lost; it asks the others (admission). All of them must
// answer: a majority without the one that holds the data would found a second
// cluster over it.

// ErrMalformed: an answer of a peer cannot be.
var ErrMalformed = errors.New("malformed message from a peer")

const (
	admissionPoll = 100 * time.Millisecond
	askTimeout    = time.Second
)

// Admission is what a voter knows of a group, told to a replica that knows nothing.
type Admission struct {
	Established bool   `json:"established"` // the group has elected a leader or logged something
	Term        uint64 `json:"term"`
	Boot        uint64 `json:"boot"` // the newest start of the asking node that is known
}

// Guard knows whether a replica is in quarantine.
type Guard struct {
	opt Options
	on  atomic.Bool
}

// New returns the guard of a replica that has lost nothing, as far as it knows.
func New(opt Options) *Guard { return &Guard{opt: opt} }

// On reports whether the replica has lost its log, and has no vote yet.
func (g *Guard) On() bool { return g.on.Load() }

// set turns the quarantine on or off, for good. It is written down first: a crash in between must not bring the replica
// back with a vote.
func (g *Guard) set(on bool) error {
	if err := g.opt.Marks.SetQuarantine(g.opt.ID, on); err != nil {
		return err
	}
	g.use(on)
	return nil
}

func (g *Guard) use(on bool) {
	g.on.Store(on)
	g.opt.Shard.SetVoting(!on)
}

// Admit decides whether a replica may vote. has tells that there is something in its log or a snapshot.
func (g *Guard) Admit(ctx context.Context, has bool) error {
	on, err := g.opt.Marks.Quarantined(g.opt.ID)
	if err != nil {
		return err
	}
	g.use(on)
	if has || len(g.opt.Shard.Others()) == 0 {
		return nil
	}
	g.opt.Shard.Admitting(on)
	known, err := g.askAll(ctx)
	if err != nil {
		return err
	}
	if err := g.opt.Shard.Outnumber(known); err != nil {
		return err
	}
	established, term := judge(known, on)
	if !established {
		return nil
	}
	if err := g.set(true); err != nil {
		return err
	}
	g.opt.Logger.Warn("this replica is empty but the shard is not new; it gets no vote until it has caught up", "term", term)
	return g.opt.Shard.SetTerm(term)
}

// askAll asks the other voters what they know of the group until all of them have told.
func (g *Guard) askAll(ctx context.Context) ([]Admission, error) {
	for asked := g.opt.Clock.Mono(); ; {
		known, err := g.poll(ctx)
		if err != nil || len(known) == len(g.opt.Shard.Others()) {
			return known, err
		}
		g.opt.Shard.Waits(g.opt.Clock.Mono() - asked)
		if clock.Pause(ctx, admissionPoll); ctx.Err() != nil {
			return nil, fmt.Errorf("the other nodes did not answer: %w", context.Cause(ctx))
		}
	}
}

// poll asks each of them once.
func (g *Guard) poll(ctx context.Context) (known []Admission, err error) {
	for _, peer := range g.opt.Shard.Others() {
		cctx, cancel := context.WithTimeout(ctx, askTimeout)
		s, err := g.opt.Peers.Ask(cctx, peer)
		cancel()
		switch {
		case errors.Is(err, ErrMalformed):
			return nil, err
		case err == nil:
			known = append(known, s)
		}
	}
	return known, nil
}

// judge decides from the answers of all other voters whether the group exists
// already, and which is the highest term that anybody knows.
func judge(known []Admission, lost bool) (established bool, term uint64) {
	established, term = lost, 1
	for _, s := range known {
		established = established || s.Established
		term = max(term, s.Term)
	}
	return established, term
}

// TryEnd gives this replica its vote back once it holds everything that
// the leader had logged when it asked, committed or not: the leader may still
// count what this replica acknowledged before it lost its log.
func (g *Guard) TryEnd(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	index, all := g.opt.Shard.Caught(ctx)
	if !all {
		return
	}
	if err := g.set(false); err != nil {
		g.opt.Logger.Error("could not end the quarantine", "error", err)
		return
	}
	g.opt.Logger.Info("replica repaired: it holds everything that was committed", "index", index)
}
