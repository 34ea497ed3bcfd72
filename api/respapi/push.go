package respapi

import (
	"sync"
	"sync/atomic"

	"github.com/lockstepkv/lockstep/api/clientmem"
)

// pushes are what the client is told unasked and has not taken yet. Whoever tells it does
// not wait: the connection's goroutine writes them before its own replies, and while there
// is nothing to reply, another one does, as the client takes them.
type pushes struct {
	c     *conn
	bytes atomic.Int64 // what the queue takes; changed with mu

	mu    sync.Mutex
	queue [][]byte      // guarded by mu
	over  uint32        // guarded by mu; tick since which the soft limit is exceeded, plus one; 0: it is not
	open  bool          // guarded by mu; the connection is complete
	ended bool          // guarded by mu; nothing is taken any more
	idle  chan struct{} // guarded by mu; closed when deliver has ended; nil: it does not run
}

// costOf is what a push counts.
func costOf(p []byte) int64 { return int64(len(p)) + clientmem.SliceBytes }

// begin says that the connection is complete. What came before goes out now.
func (q *pushes) begin() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.open = true
	q.c.mem.Add(clientmem.Push, q.bytes.Load())
	if len(q.queue) > 0 {
		q.start()
	}
}

// start has the queue delivered; mu is held.
func (q *pushes) start() {
	if q.open && q.idle == nil {
		q.idle = make(chan struct{})
		go q.deliver(q.idle)
	}
}

// add queues encoded replies. False: the connection is at its end.
func (q *pushes) add(p []byte) bool {
	q.mu.Lock()
	if q.ended {
		q.mu.Unlock()
		return false
	}
	q.queue = append(q.queue, p)
	q.charge(costOf(p))
	late := q.exceeds(q.c.srv.ticks.Load())
	if !late {
		q.start()
	}
	q.mu.Unlock()
	if late {
		q.cut()
	}
	return !late
}

// charge is for who holds mu.
func (q *pushes) charge(n int64) {
	q.bytes.Add(n)
	if q.open {
		q.c.mem.Add(clientmem.Push, n)
	}
}

// exceeds reports whether the client must go; mu is held.
func (q *pushes) exceeds(now uint32) bool {
	l, held := q.c.srv.opt.PushLimits, q.bytes.Load()
	switch {
	case l.Hard > 0 && held >= l.Hard:
		return true
	case l.Soft <= 0 || held < l.Soft:
		q.over = 0
		return false
	case q.over == 0:
		q.over = now + 1
	}
	return now-(q.over-1) > q.c.srv.ticksOf(l.For)
}

// overdue is the janitor's look at a client that is told nothing more.
func (q *pushes) overdue(now uint32) bool {
	if q.bytes.Load() == 0 {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return !q.ended && q.exceeds(now)
}

// cut ends the connection of a client that does not read what it is told.
func (q *pushes) cut() {
	if !q.drop() {
		return
	}
	q.c.srv.opt.Backend.CountOutputCut()
	q.c.expel("what it is told is not read and exceeds the limit for that")
}

// drop gives up what is queued, and reports whether nobody did before.
func (q *pushes) drop() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended {
		return false
	}
	q.ended, q.queue = true, nil
	q.charge(-q.bytes.Load())
	return true
}

// end gives up what is queued, and returns when nothing more is written of it.
func (q *pushes) end() {
	q.drop()
	q.mu.Lock()
	idle := q.idle
	q.mu.Unlock()
	if idle != nil {
		<-idle
	}
}

// take returns the next of the queue, about as much as is kept in one piece; outMu is
// held, so that the order stays.
func (q *pushes) take() (list [][]byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, size := 0, int64(0)
	for n < len(q.queue) && size < pieceBytes {
		size += costOf(q.queue[n])
		n++
	}
	list = q.queue[:n]
	if q.queue = q.queue[n:]; len(q.queue) == 0 {
		q.queue = nil
	}
	if q.charge(-size); q.bytes.Load() < q.c.srv.opt.PushLimits.Soft {
		q.over = 0
	}
	return list
}

// write writes all that is queued; outMu is held.
func (q *pushes) write() error {
	for q.bytes.Load() > 0 {
		if err := q.writeSome(); err != nil {
			return err
		}
	}
	return nil
}

func (q *pushes) writeSome() error {
	list := q.take()
	defer clear(list) // the array of the queue lives on
	for _, p := range list {
		if err := q.c.w.WriteEncoded(p); err != nil {
			return err
		}
	}
	return nil
}

// deliver writes what is queued as the client takes it, and ends when nothing is left. What
// the client has not taken stays in the queue, where the limits see it.
func (q *pushes) deliver(idle chan struct{}) {
	defer close(idle)
	for q.more() {
		if q.c.out.finish() != nil || q.flushSome() != nil {
			q.drop() // the client cannot be written to
		}
	}
}

// more reports whether there is something to deliver; if not, deliver ends.
func (q *pushes) more() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.queue) == 0 {
		q.idle = nil
		return false
	}
	return true
}

func (q *pushes) flushSome() error {
	q.c.outMu.Lock()
	defer q.c.outMu.Unlock()
	if err := q.writeSome(); err != nil {
		return err
	}
	err := q.c.w.Flush()
	q.c.mem.Set(clientmem.Reply, int64(q.c.w.Held()))
	q.c.srv.opt.Backend.CountNetwork(0, q.c.bytesOut)
	q.c.bytesOut = 0
	return err
}
