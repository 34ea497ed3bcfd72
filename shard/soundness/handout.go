package soundness

import (
	"bufio"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/lockstepkv/lockstep/internal/wire"
	"github.com/lockstepkv/lockstep/shard/readindex"
)

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
	k      *Keeper
	peer   string
	ticket uint64
	piece  []byte
	over   bool
}

// ReadState reads the state of a peer's replica.
func (k *Keeper) ReadState(ctx context.Context, peer string) io.Reader {
	return &stateReader{ctx: ctx, k: k, peer: peer}
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
	reply, err := r.k.opt.Peers.Ask(ctx, r.peer, AskState, wire.AppendUvarints(nil, r.ticket))
	if err != nil {
		return err
	}
	more, rest, ok := wire.CutUvarint(reply)
	if !ok {
		return errMalformed
	}
	r.over = more == stateComplete
	if r.ticket, r.piece, ok = wire.CutUvarint(rest); !ok {
		return errMalformed
	}
	return nil
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
func (k *Keeper) answerState(req []byte) ([]byte, error) {
	ticket, rest, ok := wire.CutUvarint(req)
	if !ok || len(rest) > 0 {
		return nil, errMalformed
	}
	if !k.Sound() || k.opt.Shard.Quarantined() {
		return nil, readindex.ErrDiverged
	}
	h := &k.handout
	out, ticket, err := h.take(k.opt.State, ticket)
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
	return append(wire.AppendUvarints(make([]byte, 0, n+16), more, ticket), piece[:n]...), nil
}

// take returns what to read the next piece from, to one reader at a time.
func (h *handout) take(state State, ticket uint64) (out *bufio.Reader, current uint64, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case ticket == 0 && h.out == nil && !h.closed:
		h.begin(state)
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
func (h *handout) begin(state State) {
	out, in := io.Pipe()
	h.ticket = rand.Uint64()>>1 | 1 // not one of an earlier life of this node
	h.busy = false
	h.out, h.buf = out, bufio.NewReaderSize(out, statePiece)
	ticket := h.ticket
	h.done.Go(func() {
		buffered := bufio.NewWriterSize(in, statePiece)
		_, err := state.WriteState(buffered)
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
