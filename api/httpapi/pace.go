package httpapi

import (
	"errors"
	"io"
	"iter"
	"net/http"
	"os"
	"time"
)

// The progress that Server asks for within its StallTimeout, or as much as is left.
const (
	bodyPace   = 16 << 10
	answerPace = 64 << 10
)

// paced runs next with a body that cannot stall. What a handler leaves of a body, net/http
// would read, for as long as the client likes; it gets little time.
func (s *Server) paced(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := r.Context().Value(connKey{}).(*conn)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		if !s.begin(c) {
			panic(http.ErrAbortHandler) // displaced: the client cannot be answered, so nothing is done
		}
		c.forgetHead()
		c.handled.Store(true)
		if r.Body != nil && r.Body != http.NoBody {
			body := &pacedBody{ReadCloser: r.Body, c: c, left: time.Now()}
			body.since = body.left
			body.extend()
			defer body.abandon()
			own := *r // net/http looks at the Body of its request again
			own.Body, r = body, &own
		}
		next.ServeHTTP(w, r)
	})
}

// pacedBody is a body that must go on.
type pacedBody struct {
	io.ReadCloser
	c        *conn
	due      int       // bytes that must come until deadline
	deadline time.Time // of the client; what the handler takes between two reads is added
	left     time.Time // when the last Read returned
	since    time.Time // that stillBytes have not come
	came     int       // since then
	done     bool
}

// extend begins a new step.
func (b *pacedBody) extend() {
	b.due, b.deadline = bodyPace, b.left.Add(b.c.s.stall)
	_ = b.c.SetReadDeadline(b.deadline) // a connection that is closed tells Read
}

func (b *pacedBody) Read(p []byte) (int, error) {
	if b.done {
		return b.ReadCloser.Read(p)
	}
	began := time.Now()
	own := began.Sub(b.left)
	b.deadline, b.since, b.left = b.deadline.Add(own), b.since.Add(own), began
	if b.due <= 0 {
		b.extend()
	} else {
		_ = b.c.SetReadDeadline(b.deadline)
	}
	if !b.c.await(b.since) {
		return 0, os.ErrDeadlineExceeded
	}
	n, err := b.ReadCloser.Read(p)
	b.c.await(time.Time{})
	b.due -= n
	b.left = time.Now()
	if b.came += n; b.came >= stillBytes {
		b.since, b.came = b.left, 0
	}
	switch {
	case errors.Is(err, io.EOF):
		b.done = true
		b.c.complete()
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.c.s.stalledBodies.Add(1)
	}
	return n, err
}

// abandon follows the handler. A client whose body was not wanted may send some of it, to
// read the answer, and makes room for others.
func (b *pacedBody) abandon() {
	if b.done {
		return
	}
	_ = b.c.SetReadDeadline(time.Now().Add(max(refusalPatience, b.c.s.least)))
	if b.c.await(time.Time{}) {
		b.c.s.rest(b.c, &b.c.s.fresh)
	}
}

// await notes that the handler waits for the body, and since when little has come. False: the body has no more time.
func (c *conn) await(since time.Time) bool {
	c.readMu.Lock()
	defer c.readMu.Unlock()
	c.reading = since
	return !c.pushed
}

// complete follows the end of the body. Nobody pushes it any more.
func (c *conn) complete() {
	c.readMu.Lock()
	defer c.readMu.Unlock()
	c.pushed = false
	_ = c.SetReadDeadline(time.Time{}) // net/http looks whether the client goes away
}

// stillSince is since when little of the body has come; ok if it is awaited and that is long.
func (c *conn) stillSince(now time.Time) (since time.Time, ok bool) {
	c.readMu.Lock()
	defer c.readMu.Unlock()
	return c.reading, !c.reading.IsZero() && !c.pushed && now.Sub(c.reading) >= bodyGrace
}

// push ends the time of a body that has not come on since then: its handler answers that it
// has stalled.
func (c *conn) push(since time.Time) bool {
	c.readMu.Lock()
	defer c.readMu.Unlock()
	if c.pushed || !c.reading.Equal(since) {
		return false // it goes on
	}
	c.pushed = true
	return c.SetReadDeadline(time.Unix(1, 0)) == nil
}

// A body stands still when less than stillBytes come in bodyGrace. Then it makes room for
// others who need some.
const (
	bodyGrace  = time.Second
	stillBytes = 1 << 10
)

// pushStillest pushes the body that has stood still for longest, and calls then.
func pushStillest(conns iter.Seq[*conn], then func(*conn)) bool {
	var found *conn
	now := time.Now()
	oldest := now
	for c := range conns {
		if since, ok := c.stillSince(now); ok && since.Before(oldest) {
			found, oldest = c, since
		}
	}
	if found == nil || !found.push(oldest) {
		return false
	}
	then(found)
	return true
}

// write writes b as fast as the client reads it, if it reads at all.
func (c *conn) write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		if err = c.Conn.SetWriteDeadline(time.Now().Add(c.s.stall)); err == nil {
			m, err = c.Conn.Write(b[n:min(n+answerPace, len(b))])
		}
		n += m
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.s.stalledAnswers.Add(1)
	}
	return n, err
}

// Headers cost memory before anybody knows from whom they are. What they take beside each
// other, above some for each, is bounded.
const (
	freeHead = 8 << 10
	maxHeads = 16 << 20
)

// takeHead counts n bytes of a request that no handler has yet. False: there are too many.
// Only the goroutine that reads calls it, and forgetHead before it reads again.
func (c *conn) takeHead(n int64) bool {
	was := c.head.Add(n) - n
	more := max(was+n-freeHead, 0) - max(was-freeHead, 0)
	return c.s.heads.Add(more) <= maxHeads || more == 0
}

// forgetHead gives back what takeHead has counted.
func (c *conn) forgetHead() {
	c.s.heads.Add(-max(c.head.Swap(0)-freeHead, 0))
}
