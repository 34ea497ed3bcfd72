package httpapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/lockstepkv/lockstep/api/clientmem"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// holding is what a request holds of the memory for clients: its body, what is decoded from that, and
// its answer. As long as nothing has been done it is refused what does not fit; once its answer is being
// sent it counts as a client of the Redis protocol does, and may be closed. In between it is let alone:
// the client could not be told what has happened.
type holding struct {
	*charge
	a    *api
	in   io.Reader // the body
	conn *conn     // nil: not known, as in tests

	mem     *clientmem.Account // nil until there is something to count
	buffer  int64              // of the body, as counted
	old     int64              // the buffer before it
	pending int64              // decoded, and not counted yet
	tooMuch bool               // it does not fit by itself
	reading atomic.Bool
}

// smallBytes are counted with the connection.
const smallBytes = 4 << 10

// errNoMemory ends the reading of a body; the holding knows which of the two problems it is.
var (
	errNoMemory = errors.New("httpapi: clients hold as much memory as they may")
	noMemory    = problem{Status: http.StatusServiceUnavailable, Code: "overloaded",
		Detail: "clients hold as much memory as --maxmemory-clients allows"}
	tooMuchMemory = problem{Status: http.StatusRequestEntityTooLarge, Code: "too_large",
		Detail: "the request takes more memory than --maxmemory-clients allows, also by itself"}
)

// hold begins a request with a body, or an answer, that may be large.
func (a *api) hold(r *http.Request, body io.Reader) *holding {
	c, _ := r.Context().Value(connKey{}).(*conn)
	h := &holding{charge: a.held.open(c), a: a, in: body, conn: c}
	h.reading.Store(body != nil)
	return h
}

// account returns where the request's memory is counted.
func (h *holding) account() *clientmem.Account {
	if h.mem == nil {
		h.mem = h.a.router.Memory().Open(h.end)
		if !h.reading.Load() {
			h.mem.Protect(true) // see run
		}
	}
	return h.mem
}

// end is called when the request has to go. It must not wait.
func (h *holding) end() {
	switch {
	case h.conn == nil:
	case h.reading.Load():
		h.conn.cutBody() // Read says why
	default:
		h.conn.end()
	}
}

// cutBody ends the time of a body, whether it stands still or not.
func (c *conn) cutBody() {
	c.readMu.Lock()
	defer c.readMu.Unlock()
	c.pushed = true
	_ = c.SetReadDeadline(time.Unix(1, 0))
}

// Read reads the body, as long as the request may stay.
func (h *holding) Read(p []byte) (int, error) {
	if h.mem.Doomed() {
		return 0, errNoMemory
	}
	n, err := h.in.Read(p)
	if err != nil && err != io.EOF && h.mem.Doomed() {
		err = errNoMemory
	}
	return n, err
}

// grow counts a buffer of n bytes for the body, beside the one that it replaces.
func (h *holding) grow(ctx context.Context, n int64) error {
	if err := h.charge.grow(ctx, n); err != nil {
		return err
	}
	h.dropOld()
	if err := h.take(n); err != nil {
		return err
	}
	h.old, h.buffer = h.buffer, n
	return nil
}

// dropOld forgets the buffer that was replaced.
func (h *holding) dropOld() {
	h.mem.Add(clientmem.Body, -h.old)
	h.old = 0
}

func (h *holding) take(n int64) error {
	if h.account().Take(clientmem.Body, n) {
		return nil
	}
	h.tooMuch = h.mem.Total()+n > h.a.router.Memory().Limit()
	return errNoMemory
}

// decoded counts what is decoded from the body, before it takes memory.
func (h *holding) decoded(n int64) error {
	if h.pending += n; h.pending < smallBytes {
		return nil
	}
	n, h.pending = h.pending, 0
	if h.take(n) != nil {
		return h.refusal()
	}
	return nil
}

// decoding is decoded for a body with one value: what has escapes is copied twice, base64 once, anything
// else not at all.
func (h *holding) decoding(body []byte) error {
	switch n := int64(len(body)); {
	case bytes.IndexByte(body, '\\') >= 0:
		return h.decoded(2 * n)
	case bytes.Contains(body, []byte(`"value_base64"`)):
		return h.decoded(n)
	}
	return nil
}

// refusal is the answer to a request that was refused memory.
func (h *holding) refusal() problem {
	if h.tooMuch {
		return tooMuchMemory
	}
	return noMemory
}

// run follows the body: the request is let alone now.
func (h *holding) run() error {
	h.dropOld()
	h.mem.Protect(true)
	h.reading.Store(false)
	if h.mem.Doomed() {
		return errNoMemory
	}
	return nil
}

// answer counts an answer that is about to be sent.
func (h *holding) answer(bytes int64) {
	if bytes >= smallBytes {
		h.account().Add(clientmem.Reply, bytes)
	}
	h.mem.Protect(false)
}

// streamBytes is about what a backup holds while it is sent: the encoder's buffer and a value.
const streamBytes = 1 << 20

// stream counts a backup that is about to be sent.
func (h *holding) stream() {
	h.account().Add(clientmem.Stream, streamBytes)
	h.mem.Protect(false)
}

// release gives everything back.
func (h *holding) release() {
	h.mem.Close()
	h.charge.release()
}

// encodings is how many times an answer is in memory while it is sent: as it came from the shard, as
// strings, as JSON.
const encodings = 3

// answering counts replies that are about to be sent as JSON, and returns how to forget them.
func (a *api) answering(r *http.Request, out ...resp.Value) (done func()) {
	n := int64(0)
	for i := range out {
		n += int64(command.ReplyCost(out[i]))
	}
	if n < freeBytes {
		return func() {}
	}
	h := a.hold(r, nil)
	h.answer(encodings * n)
	return h.release
}
