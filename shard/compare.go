package shard

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/internal/clock"
	"github.com/lockstepkv/lockstep/shard/readindex"
	"github.com/lockstepkv/lockstep/store"
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

// notesOf are a replica's notes: running ones, and those of audits. Each list is in the
// order of the indexes.
type notesOf struct {
	running, audits []fsm.Note
}

// verdict is what a comparison has shown.
type verdict struct {
	index    uint64   // at which a difference was found, or the newest one compared; 0: none
	wrong    bool     // this replica differs from a majority
	majority []string // the others that agree with the majority, if this one does not
	others   []string // that differ from the majority or, without one, from this replica
	decided  bool     // there is a majority
}

// differs reports whether anything does.
func (v *verdict) differs() bool { return v.wrong || len(v.others) > 0 }

// judgeNotes compares this replica's notes with those of peers, who have votes. voters is how many
// voters there are, whether they answered or not, and votes says whether this replica is one: the
// note of one that is not makes no majority. It looks for the newest index at which a
// majority tells; at a newer one a replica that would decide may be missing.
func judgeNotes(own []fsm.Note, peers map[string][]fsm.Note, voters int, votes bool) verdict {
	byIndex := make(map[string]map[uint64]fsm.Note, len(peers))
	for id, list := range peers {
		byIndex[id] = make(map[uint64]fsm.Note, len(list))
		for _, n := range list {
			byIndex[id][n.Index] = n
		}
	}
	newest := verdict{}
	for i := len(own) - 1; i >= 0; i-- {
		noted := map[fsm.Note][]string{own[i]: {""}}
		for id, notes := range byIndex {
			if n, ok := notes[own[i].Index]; ok {
				noted[n] = append(noted[n], id)
			}
		}
		v := countVotes(own[i], noted, voters, votes)
		switch {
		case v.index == 0: // nobody to compare with
		case v.decided && v.differs():
			return v
		case newest.index == 0 && !v.differs():
			return v
		case newest.index == 0:
			newest = v
		case !v.differs():
			return newest // they were equal before
		}
	}
	return newest
}

// countVotes judges one index. noted has who noted what; "" stands for this replica.
func countVotes(own fsm.Note, noted map[fsm.Note][]string, voters int, votes bool) (v verdict) {
	if len(noted) == 1 && len(noted[own]) == 1 {
		return v
	}
	v.index = own.Index
	right := own
	for note, ids := range noted {
		n := len(ids)
		if note == own && !votes {
			n--
		}
		if n > voters/2 {
			right, v.decided = note, true
		}
	}
	v.wrong = right != own
	if v.wrong {
		v.majority = slices.Sorted(slices.Values(noted[right]))
	}
	for note, ids := range noted {
		if note != right {
			v.others = append(v.others, ids...)
		}
	}
	v.others = slices.DeleteFunc(v.others, func(id string) bool { return id == "" })
	slices.Sort(v.others)
	return v
}

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
func (g *Group) compare(ctx context.Context) {
	var c comparison
	every(ctx, compareEvery, func() {
		if !g.wrong() {
			g.judgeSelf(ctx, &c)
		}
		if g.diverged.Load() {
			g.mend(ctx, &c)
		}
	})
}

func (g *Group) judgeSelf(ctx context.Context, c *comparison) {
	// What has agreed is not asked for again: an idle shard compares nothing.
	if restores := g.fsm.Restores(); restores != c.restores {
		c.restores, c.agreed = restores, 0
	}
	v, audits := g.look(ctx, c.agreed)
	if v.decided && !v.differs() {
		c.agreed = v.index
	}
	if audits.wrong && !v.wrong || audits.differs() && !v.differs() {
		v = audits
	}
	if v.differs() && !v.decided {
		c.undecided++
	} else {
		c.undecided = 0
	}
	g.undecided.Store(c.undecided >= undecidedRounds)
	g.metrics.compared(v)
	if !v.wrong {
		g.tellVerdict(v, c)
	}
}

// noteWait is a change that has no note yet.
type noteWait struct {
	newest uint64        // the newest note before it
	since  time.Duration // monotonic time
	on     bool
}

// keepNoted has a note made, while this node leads, when something has changed since the
// newest one and none came for noteAfter: where little is written the next one that is made
// anyway may be far. It asks once in noteAfter at most, and not when nothing has changed.
func (g *Group) keepNoted(w *noteWait) (asked bool) {
	newest, due := g.fsm.Unnoted()
	now := g.clock.Mono()
	if due = due && g.Serving() && !g.voters.lately().alone(); !due || !w.on || newest != w.newest {
		*w = noteWait{newest, now, due}
		return false
	}
	if now-w.since < noteAfter {
		return false
	}
	w.since = now
	g.packer.WantNote()
	return true
}

// look compares this replica's running notes of indexes above after, and those of its
// audits, with the others', and condemns it if it is wrong by either.
func (g *Group) look(ctx context.Context, after uint64) (running, audits verdict) {
	restores := g.fsm.Restores()
	own := notesOf{running: g.unreads.read(g.fsm.Notes(after)), audits: g.unreads.read(g.audits.list(restores))}
	if len(own.running)+len(own.audits) == 0 {
		return verdict{}, verdict{}
	}
	voters := g.voters.now()
	theirRunning, theirAudits := make(map[string][]fsm.Note), make(map[string][]fsm.Note)
	for _, peer := range voters.others {
		if notes, err := g.askNotes(ctx, peer, own); err == nil {
			theirRunning[peer], theirAudits[peer] = notes.running, notes.audits
		}
	}
	running = judgeNotes(own.running, theirRunning, voters.size(), voters.self)
	audits = judgeNotes(own.audits, theirAudits, voters.size(), voters.self)
	for _, v := range []verdict{running, audits} {
		if v.wrong && g.fsm.Restores() == restores {
			g.condemn(fmt.Sprintf("this replica's state at index %d differs from that of a majority, %s", v.index, strings.Join(v.majority, ", ")))
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

var errUnverified = errors.New("no majority of the replicas has confirmed the state in time")

// verify returns nil when a majority of the voters has the state that this replica has now,
// at an index above the given one. A wrong state that was written would be restored by
// this replica and, when it leads, by others: then the majority might be wrong.
func (g *Group) verify(index uint64) error {
	if g.voters.now().alone() || g.opt.Unverified {
		return nil
	}
	ctx, cancel := context.WithTimeout(g.life, verifyTimeout)
	defer cancel()
	for ctx.Err() == nil {
		if g.unreads.first.Load() > 0 {
			return readindex.ErrDiverged
		}
		if notes := g.fsm.Notes(index); len(notes) == 0 {
			_ = g.proposeNothing(ctx) // asks for a note; if not, one comes with the next entries
			clock.Pause(ctx, verifyPause)
			continue
		}
		switch v, audits := g.look(ctx, index); {
		case v.wrong || audits.wrong:
			return readindex.ErrDiverged
		case v.decided:
			return nil
		}
		clock.Pause(ctx, verifyPause) // somebody is behind
	}
	g.putOff.Store(true)
	return errUnverified
}

// tellVerdict says what has changed about who differs.
func (g *Group) tellVerdict(v verdict, c *comparison) {
	state := ""
	if v.decided && v.differs() || c.undecided >= undecidedRounds {
		state = fmt.Sprint(v.decided, v.others)
	}
	if state == c.told {
		return
	}
	c.told = state
	others := strings.Join(v.others, ", ")
	switch {
	case state == "":
		g.logger.Info("the replicas agree again", "index", v.index)
	case v.decided:
		g.logger.Error("replicas differ from the majority, and are to rebuild themselves", "replicas", others, "index", v.index)
	default:
		g.logger.Error("replicas differ, and no majority can tell which is right; this one goes on and takes no snapshots",
			"replicas", others, "index", v.index)
	}
}

// condemn takes this replica out of service: its state is wrong.
func (g *Group) condemn(why string) {
	if g.voters.now().alone() {
		g.logger.Error("the data in memory are damaged; a restart reads them anew from the disk", "reason", why)
		return
	}
	g.condemned.Add(1)
	if !g.diverged.CompareAndSwap(false, true) {
		return
	}
	g.metrics.condemned()
	g.logger.Error("REPLICA DIVERGED: it neither answers nor leads nor takes snapshots until it is rebuilt from another", "reason", why)
}

// askNotes asks a peer for the notes that could be compared with own.
func (g *Group) askNotes(ctx context.Context, peer string, own notesOf) (notesOf, error) {
	ctx, cancel := context.WithTimeout(ctx, compareEvery/2)
	defer cancel()
	req := appendGroup(nil, g.id)
	for _, v := range [...]uint64{fsm.NoteFormat, before(own.running), before(own.audits)} {
		req = binary.AppendUvarint(req, v)
	}
	reply, err := g.net.Call(ctx, peer, methodNotes, req)
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
func (g *Group) answerNotes(req []byte) ([]byte, error) {
	var v [3]uint64
	var err error
	for i := range v {
		if v[i], req, err = cutUvarint(req); err != nil {
			return nil, err
		}
	}
	if v[0] != fsm.NoteFormat {
		return nil, errNoteFormat
	}
	audits := g.audits.list(g.fsm.Restores())
	audits = slices.DeleteFunc(audits, func(n fsm.Note) bool { return n.Index <= v[2] })
	running := g.fsm.Notes(v[1])
	return appendNotes(nil, notesOf{running: g.unreads.read(running), audits: g.unreads.read(audits)}), nil
}

func appendNotes(dst []byte, n notesOf) []byte {
	for _, list := range [...][]fsm.Note{n.running, n.audits} {
		dst = binary.AppendUvarint(dst, uint64(len(list)))
		for _, note := range list {
			dst = binary.AppendUvarint(dst, note.Index)
			dst = binary.LittleEndian.AppendUint64(dst, note.Data)
			dst = binary.LittleEndian.AppendUint64(dst, note.State)
		}
	}
	return dst
}

func decodeNotes(msg []byte) (n notesOf, err error) {
	for _, list := range [...]*[]fsm.Note{&n.running, &n.audits} {
		var size uint64
		if size, msg, err = cutUvarint(msg); err != nil || size > uint64(len(msg))/noteBytes {
			return notesOf{}, errMalformedMessage
		}
		for range size {
			var note fsm.Note
			if note.Index, msg, err = cutUvarint(msg); err != nil || len(msg) < 16 {
				return notesOf{}, errMalformedMessage
			}
			note.Data, note.State = binary.LittleEndian.Uint64(msg), binary.LittleEndian.Uint64(msg[8:])
			*list, msg = append(*list, note), msg[16:]
		}
	}
	if len(msg) > 0 {
		return notesOf{}, errMalformedMessage
	}
	return n, nil
}

// noteBytes is what a note takes at least.
const noteBytes = 17

// wrong reports whether this replica's state is known to be wrong, or not known to be right:
// see unread.go.
func (g *Group) wrong() bool { return g.diverged.Load() || g.unreads.first.Load() > 0 }

// sound reports whether this replica may answer.
func (g *Group) sound() bool { return !g.wrong() }

// recallDiverged finds out whether this replica was wrong when the node stopped.
func (g *Group) recallDiverged() error {
	on, err := g.meta.Diverged(int(g.id))
	if err != nil || !on || g.voters.now().alone() {
		return err
	}
	g.condemn("it was wrong when the node stopped")
	g.wire.SetCampaigning(false)
	return nil
}

// audited is given the data as of an entry that asks for an audit.
func (g *Group) audited(index uint64, data *store.Snapshot) {
	select {
	case g.auditing <- audit{index, data, g.fsm.Restores()}:
	default: // the last one is not over
		data.Release()
	}
}
