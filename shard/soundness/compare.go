package soundness

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/internal/clock"
	"github.com/lockstepkv/lockstep/internal/wire"
	"github.com/lockstepkv/lockstep/shard/readindex"
)

// Replicas compare themselves. Each notes at certain indexes what its state comes to
// (fsm.Note), asks the others every few seconds for their notes, and judges itself. One
// that differs from a majority of the voters is wrong, and is rebuilt: see rebuild.go.
// Where no majority can tell who is right, everybody goes on, says so, and takes no
// snapshot, for that could replace what is right by what is wrong.
//
// The notes rest on running sums. What these do not see is found by audits: now and then
// the leader has an entry logged at which every replica freezes its data, and reads all of
// them in its own time.

const (
	// compareEvery is how often notes are exchanged.
	compareEvery = 2 * time.Second
	// noteAfter is how long a change may stay without a note.
	noteAfter = 2 * time.Second
	// auditsKept is how many audits are remembered.
	auditsKept = 8
	// undecidedRounds is for how many rounds replicas must differ without a majority
	// before that is told: one of them may merely be behind.
	undecidedRounds = 2
)

// comparison is what a replica's comparing has come to. Its loop alone uses it.
type comparison struct {
	agreed    uint64 // newest index at which a majority had the same; of restores
	restores  uint64 // fsm.Restores
	told      string // what was said last
	undecided int    // rounds in a row
	tried     int    // peers asked for their state
	failed    string // why the last rebuilding failed
	rebuilt   uint64 // fsm.Restores after it was rebuilt; 0: it was not
	condemned uint64 // how often it had been condemned before that
}

// compare compares this replica with the others, and rebuilds it when it is wrong.
func (k *Keeper) compare(ctx context.Context) {
	var c comparison
	clock.Every(ctx, compareEvery, func() {
		if !k.unsound() {
			k.judgeSelf(ctx, &c)
		}
		if k.diverged.Load() {
			k.mend(ctx, &c)
		}
	})
}

func (k *Keeper) judgeSelf(ctx context.Context, c *comparison) {
	// What has agreed is not asked for again: an idle shard compares nothing.
	if restores := k.opt.State.Restores(); restores != c.restores {
		c.restores, c.agreed = restores, 0
	}
	v, audits := k.Look(ctx, c.agreed)
	if v.Decided && !v.differs() {
		c.agreed = v.Index
	}
	v = graver(v, audits)
	if v.differs() && !v.Decided {
		c.undecided++
	} else {
		c.undecided = 0
	}
	k.undecided.Store(c.undecided >= undecidedRounds)
	if v.Index != 0 {
		k.opt.Figures.Compared(v.Index, v.differing())
	}
	if !v.Wrong {
		k.tellVerdict(v, c)
	}
}

// NoteWait is a change that has no note yet. The zero value knows of none.
type NoteWait struct {
	newest uint64        // the newest note before it
	since  time.Duration // monotonic time
	on     bool
}

// KeepNoted has a note made, while this node leads, when something has changed since the
// newest one and none came for noteAfter: where little is written the next one that is made
// anyway may be far.
func (k *Keeper) KeepNoted(w *NoteWait) (asked bool) {
	newest, changed := k.opt.State.Unnoted()
	asked = w.over(newest, changed && k.opt.Shard.Serving() && !k.alone(), k.opt.Clock.Mono())
	if asked {
		k.opt.Wants.WantNote()
	}
	return asked
}

// over reports whether a note is to be asked for: once in noteAfter at most, and not when nothing
// has changed.
func (w *NoteWait) over(newest uint64, due bool, now time.Duration) bool {
	if !due || !w.on || newest != w.newest {
		*w = NoteWait{newest, now, due}
		return false
	}
	if now-w.since < noteAfter {
		return false
	}
	w.since = now
	return true
}

// Look compares this replica's running notes of indexes above after, and those of its
// audits, with the others', and condemns it if it is wrong by either.
func (k *Keeper) Look(ctx context.Context, after uint64) (running, audits Verdict) {
	restores := k.opt.State.Restores()
	own := notesOf{running: k.unreads.read(k.opt.State.Notes(after)), audits: k.unreads.read(k.audits.list(restores))}
	if len(own.running)+len(own.audits) == 0 {
		return Verdict{}, Verdict{}
	}
	others, voters := k.opt.Shard.Voters()
	votes := voters > len(others)
	theirRunning, theirAudits := make(map[string][]fsm.Note), make(map[string][]fsm.Note)
	for _, peer := range others {
		if notes, err := k.askNotes(ctx, peer, own); err == nil {
			theirRunning[peer], theirAudits[peer] = notes.running, notes.audits
		}
	}
	running = judgeNotes(own.running, theirRunning, voters, votes)
	audits = judgeNotes(own.audits, theirAudits, voters, votes)
	for _, v := range []Verdict{running, audits} {
		if v.Wrong && k.opt.State.Restores() == restores {
			k.Condemn(fmt.Sprintf("this replica's state at index %d differs from that of a majority, %s", v.Index, strings.Join(v.Majority, ", ")))
			break
		}
	}
	return running, audits
}

// Limits of verify.
const (
	verifyTimeout = 5 * time.Second
	verifyPause   = 50 * time.Millisecond
)

// Verify returns nil when a majority of the voters has the state that this replica has now,
// at an index above the given one. A wrong state that was written would be restored by
// this replica and, when it leads, by others: then the majority might be wrong.
func (k *Keeper) Verify(index uint64) error {
	if k.alone() || k.opt.Unverified {
		return nil
	}
	ctx, cancel := context.WithTimeout(k.life, verifyTimeout)
	defer cancel()
	for ctx.Err() == nil {
		if k.unreads.first.Load() > 0 {
			return readindex.ErrDiverged
		}
		if notes := k.opt.State.Notes(index); len(notes) == 0 {
			_ = k.opt.Wants.ProposeNothing(ctx) // asks for a note; if not, one comes with the next entries
			clock.Pause(ctx, verifyPause)
			continue
		}
		switch v, audits := k.Look(ctx, index); {
		case v.Wrong || audits.Wrong:
			return readindex.ErrDiverged
		case v.Decided:
			return nil
		}
		clock.Pause(ctx, verifyPause) // somebody is behind
	}
	return ErrUnverified
}

// tellVerdict says what has changed about who differs.
func (k *Keeper) tellVerdict(v Verdict, c *comparison) {
	state := ""
	if v.Decided && v.differs() || c.undecided >= undecidedRounds {
		state = fmt.Sprint(v.Decided, v.Others)
	}
	if state == c.told {
		return
	}
	c.told = state
	others := strings.Join(v.Others, ", ")
	switch {
	case state == "":
		k.opt.Logger.Info("the replicas agree again", "index", v.Index)
	case v.Decided:
		k.opt.Logger.Error("replicas differ from the majority, and are to rebuild themselves", "replicas", others, "index", v.Index)
	default:
		k.opt.Logger.Error("replicas differ, and no majority can tell which is right; this one goes on and takes no snapshots",
			"replicas", others, "index", v.Index)
	}
}

// askNotes asks a peer for the notes that could be compared with own.
func (k *Keeper) askNotes(ctx context.Context, peer string, own notesOf) (notesOf, error) {
	ctx, cancel := context.WithTimeout(ctx, compareEvery/2)
	defer cancel()
	req := wire.AppendUvarints(nil, fsm.NoteFormat, before(own.running), before(own.audits))
	reply, err := k.opt.Peers.Ask(ctx, peer, AskNotes, req)
	if err != nil {
		return notesOf{}, err
	}
	return decodeNotes(reply)
}

// before is an index below all of a list's.
func before(list []fsm.Note) uint64 {
	if len(list) == 0 {
		return 1 << 62
	}
	return list[0].Index - 1
}

var errNoteFormat = errors.New("this node makes notes of another format")

// answerNotes tells a peer this replica's notes.
func (k *Keeper) answerNotes(req []byte) ([]byte, error) {
	var v [3]uint64
	for i, ok := 0, true; i < len(v); i++ {
		if v[i], req, ok = wire.CutUvarint(req); !ok {
			return nil, errMalformed
		}
	}
	if v[0] != fsm.NoteFormat {
		return nil, errNoteFormat
	}
	audits := k.audits.list(k.opt.State.Restores())
	audits = slices.DeleteFunc(audits, func(n fsm.Note) bool { return n.Index <= v[2] })
	running := k.opt.State.Notes(v[1])
	return appendNotes(nil, notesOf{running: k.unreads.read(running), audits: k.unreads.read(audits)}), nil
}
