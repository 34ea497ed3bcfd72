package shard

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"github.com/lockstepkv/lockstep/internal/clock"
	"github.com/lockstepkv/lockstep/shard/readindex"
	"github.com/lockstepkv/lockstep/shard/session"
)

// A replica whose state is wrong keeps its log and its vote. The log is taken to be right:
// what is read from the disk has a checksum, and so has what is kept in memory (raftlog). What
// was damaged before it had one, that does not tell. The replica gets the state of another one,
// applies its own log from there on, and takes a snapshot at once, since those it has may be
// wrong. That it is wrong is written down before, so that a restart does not forget it.

// mend takes a replica that is wrong out of service, and rebuilds it. What has failed is
// tried again the next time.
func (g *Group) mend(ctx context.Context, c *comparison) {
	if err := g.meta.SetDiverged(int(g.id), true); err != nil {
		g.logger.Error("could not write down that this replica is wrong", "error", err)
		return
	}
	g.stepAside(ctx)
	err := g.rebuild(ctx, c)
	if err == nil {
		err = g.replaceSnapshots(ctx)
	}
	switch {
	case ctx.Err() != nil || err == nil && !c.stands(g):
		return
	case err == nil:
		err = g.meta.SetDiverged(int(g.id), false)
	}
	if err != nil {
		if err.Error() != c.failed {
			g.logger.Warn("this replica could not be rebuilt yet", "error", err)
		}
		c.failed = err.Error()
		return
	}
	// What the wrong state said of locks may still be on its way to clients.
	g.hub.Changed(g.fsm.Applied(), nil)
	g.diverged.Store(false)
	g.setCampaigning()
	*c = comparison{tried: c.tried}
	g.logger.Warn("replica rebuilt", "index", g.fsm.Applied())
}

// stands reports whether the state is the one that was rebuilt, and was not found to be
// wrong since.
func (c *comparison) stands(g *Group) bool {
	return c.rebuilt != 0 && c.rebuilt == g.fsm.Restores() && c.condemned == g.condemned.Load()
}

// rebuild gets the state of another replica, unless that was done before, and waits until
// this node's Raft has come as far. Until then its term tells nothing about the entries in
// it: they may be of one that it does not know.
func (g *Group) rebuild(ctx context.Context, c *comparison) error {
	if !c.stands(g) {
		peer := g.soundPeer(c)
		if peer == "" {
			return errNoSoundPeer
		}
		condemned := g.condemned.Load()
		r := &stateReader{ctx: ctx, g: g, peer: peer}
		err := g.fsm.Rebuild(r, func(index uint64) (*raft.Log, error) {
			var l raft.Log
			return &l, g.log.GetLog(index, &l)
		})
		if err != nil {
			return fmt.Errorf("from %s: %w", peer, err)
		}
		c.rebuilt, c.condemned = g.fsm.Restores(), condemned
		g.unreads.keep(c.rebuilt) // what the old state could not read is in this one
	}
	for g.raft.CommitIndex() < g.fsm.Applied() {
		if clock.Pause(ctx, session.RetryPause); ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

var errNoSoundPeer = errors.New("no other replica can be reached that is sound")

// stepAside ends this node's leadership and keeps it from leading.
func (g *Group) stepAside(ctx context.Context) {
	g.wire.SetCampaigning(false)
	g.serving.Store(0)
	g.reader.DropLease()
	if g.raft.State() != raft.Leader {
		return
	}
	term := g.raft.CurrentTerm()
	g.node.handOver(ctx, g)
	if g.leads(term) {
		g.resign(ctx, term)
	}
}

// soundPeer chooses whom to ask for the state: one after the other, but none that says it
// is wrong itself.
func (g *Group) soundPeer(c *comparison) string {
	others := g.voters.now().others
	for range others {
		peer := others[c.tried%len(others)]
		c.tried++
		if g.net.Health(peer).Connected && !g.node.peerDiverged(peer, g) {
			return peer
		}
	}
	return ""
}

// peerDiverged reports whether a node has said that its replica of g is wrong.
func (n *Node) peerDiverged(peer string, g *Group) bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	groups := n.peers[peer].Groups
	return int(g.id) < len(groups) && (groups[g.id].Diverged || groups[g.id].Repair)
}

// replaceSnapshots takes a snapshot of the rebuilt state and removes the older ones.
func (g *Group) replaceSnapshots(ctx context.Context) error {
	if !g.node.snapshotting.take(ctx) {
		return ctx.Err()
	}
	defer g.node.snapshotting.giveBack()
	err := g.await(g.raft.Snapshot())
	if errors.Is(err, raft.ErrNothingNewToSnapshot) {
		if g.fsm.Applied() == 0 {
			return nil
		}
		// Raft takes none before it has applied an entry in this process.
		if perr := g.proposeNothing(ctx); perr != nil {
			return perr
		}
	}
	if err != nil {
		return fmt.Errorf("snapshot of the new state: %w", err)
	}
	g.noteSnapshot()
	return g.snapshots.KeepNewest()
}

// The state travels in pieces, each asked for when the one before has been read.
const (
	statePiece    = 256 << 10
	stateTimeout  = 10 * time.Second // for one piece, at either end
	stateMore     = 1
	stateComplete = 0
)

// stateReader reads the state of a peer's replica.
type stateReader struct {
	ctx    context.Context
	g      *Group
	peer   string
	ticket uint64
	piece  []byte
	over   bool
}

func (r *stateReader) Read(p []byte) (int, error) {
	for len(r.piece) == 0 {
		if r.over {
			return 0, io.EOF
		}
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.piece)
	r.piece = r.piece[n:]
	return n, nil
}

func (r *stateReader) next() error {
	ctx, cancel := context.WithTimeout(r.ctx, stateTimeout)
	defer cancel()
	reply, err := r.g.net.Call(ctx, r.peer, methodState, binary.AppendUvarint(appendGroup(nil, r.g.id), r.ticket))
	if err != nil {
		return err
	}
	more, rest, err := cutUvarint(reply)
	if err != nil {
		return err
	}
	r.over = more == stateComplete
	r.ticket, r.piece, err = cutUvarint(rest)
	return err
}

// handout is this replica's state on its way to another. There is one at a time. mu
// guards the rest.
type handout struct {
	mu     sync.Mutex
	closed bool
	busy   bool   // a piece is being read
	ticket uint64 // of the newest
	out    *io.PipeReader
	buf    *bufio.Reader
	idle   *time.Timer // ends it when nobody asks for the next piece
	done   sync.WaitGroup
}

var errHandout = errors.New("the state is being told to another replica, or nobody asked for the next piece in time")

// answerState tells a peer the next piece of this replica's state. Ticket 0 begins.
func (g *Group) answerState(req []byte) ([]byte, error) {
	ticket, rest, err := cutUvarint(req)
	if err != nil || len(rest) > 0 {
		return nil, errMalformedMessage
	}
	if !g.sound() || g.quarantined.Load() {
		return nil, readindex.ErrDiverged
	}
	h := &g.handout
	out, ticket, err := h.take(g, ticket)
	if err != nil {
		return nil, err
	}
	// The writer may take its time: it verifies the state first.
	piece := make([]byte, statePiece)
	n, err := io.ReadFull(out, piece)
	more := uint64(stateMore)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		more, err = stateComplete, nil
	}
	h.putBack(ticket, more == stateMore && err == nil)
	if err != nil {
		return nil, err
	}
	return append(binary.AppendUvarint(binary.AppendUvarint(make([]byte, 0, n+16), more), ticket), piece[:n]...), nil
}

// take returns what to read the next piece from, to one reader at a time.
func (h *handout) take(g *Group, ticket uint64) (out *bufio.Reader, current uint64, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case ticket == 0 && h.out == nil && !h.closed:
		h.begin(g)
	case ticket == 0 || ticket != h.ticket || h.out == nil || h.busy:
		return nil, 0, errHandout
	}
	h.busy = true
	h.idle.Reset(stateTimeout)
	return h.buf, h.ticket, nil
}

// putBack ends what take began, and with it all, unless there is more.
func (h *handout) putBack(ticket uint64, more bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ticket != ticket {
		return
	}
	h.busy = false
	if !more {
		h.end(nil)
	}
}

// begin freezes the state; mu is held.
func (h *handout) begin(g *Group) {
	out, in := io.Pipe()
	h.ticket = rand.Uint64()>>1 | 1 // not one of an earlier life of this node
	h.busy = false
	h.out, h.buf = out, bufio.NewReaderSize(out, statePiece)
	ticket := h.ticket
	h.done.Go(func() {
		buffered := bufio.NewWriterSize(in, statePiece)
		_, err := g.fsm.WriteState(buffered)
		if err == nil {
			err = buffered.Flush()
		}
		_ = in.CloseWithError(err) // never fails
	})
	h.idle = time.AfterFunc(stateTimeout, func() { h.expire(ticket) })
}

// end lets go of the state; mu is held.
func (h *handout) end(err error) {
	if h.out == nil {
		return
	}
	if err == nil {
		err = errHandout
	}
	h.idle.Stop()
	_ = h.out.CloseWithError(err) // never fails; lets the writer end
	h.out, h.buf = nil, nil
}

func (h *handout) expire(ticket uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ticket == ticket {
		h.end(errHandout)
	}
}

// close ends it for good.
func (h *handout) close() {
	h.mu.Lock()
	h.closed = true
	h.end(errHandout)
	h.mu.Unlock()
	h.done.Wait()
}
