package transport

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// inFlight is how many appends may be under way to a follower: one that is
// being stored and one that waits at its door. More would only be cut into
// smaller batches (hashicorp/raft pull request 541).
const inFlight = 2

// pipeline is a raft.AppendPipeline: appends leave without waiting for the
// answer to the one before.
type pipeline struct {
	c       *raftConn
	results chan raft.AppendFuture
	sent    chan *appendFuture // in order; never full
	room    chan struct{}      // signalled when an answer arrives
	open    atomic.Int32       // appends without an answer
	done    chan struct{}
	once    sync.Once
}

func newPipeline(c *raftConn) (*pipeline, error) {
	p := &pipeline{
		c: c, results: make(chan raft.AppendFuture), sent: make(chan *appendFuture, 2*inFlight),
		room: make(chan struct{}, 1), done: make(chan struct{}),
	}
	if !c.g.t.start(p.receive) {
		c.fail(ErrClosed)
		return nil, ErrClosed
	}
	return p, nil
}

// AppendEntries implements raft.AppendPipeline. It returns once there is room
// for the next, so that the caller gathers as many entries as possible for it.
func (p *pipeline) AppendEntries(req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	if p.c.g.muted.Load() > 0 {
		p.c.fail(ErrMuted)
		return nil, ErrMuted
	}
	f := &appendFuture{p: p, start: time.Now(), req: req, resp: resp, done: make(chan struct{})}
	p.c.begin()
	p.open.Add(1)
	select {
	case p.sent <- f:
	case <-p.done:
		return nil, p.c.reason(raft.ErrPipelineShutdown)
	}
	if err := p.c.send(rpcAppend, req); err != nil {
		p.c.fail(err)
		return nil, p.c.reason(err)
	}
	for p.open.Load() >= inFlight {
		select {
		case <-p.room:
		case <-p.done:
			return nil, p.c.reason(raft.ErrPipelineShutdown)
		}
	}
	return f, nil
}

// receive hands out the answers.
func (p *pipeline) receive() {
	defer p.Close()
	for {
		resp := new(raft.AppendEntriesResponse)
		err := p.c.receive(resp)
		var f *appendFuture
		select {
		case f = <-p.sent:
		default:
		}
		if f == nil {
			return // closed, or an answer to nothing
		}
		if err != nil {
			err = p.c.reason(err)
		} else {
			*f.resp = *resp
			p.c.g.progress.note(p.c.p.id, resp.LastLog)
		}
		f.err = err
		close(f.done)
		p.c.end()
		p.open.Add(-1)
		select {
		case p.room <- struct{}{}:
		default:
		}
		// A failed append is not handed out: the Raft library would take it for
		// a sign of life of the follower. The next append ends the pipeline.
		if err != nil {
			return
		}
		select {
		case p.results <- f:
		case <-p.done:
			return
		}
	}
}

// Consumer implements raft.AppendPipeline.
func (p *pipeline) Consumer() <-chan raft.AppendFuture { return p.results }

// Close implements raft.AppendPipeline.
func (p *pipeline) Close() error {
	p.once.Do(func() {
		close(p.done)
		p.c.fail(raft.ErrPipelineShutdown)
	})
	return nil
}

// appendFuture implements raft.AppendFuture.
type appendFuture struct {
	p     *pipeline
	start time.Time
	req   *raft.AppendEntriesRequest
	resp  *raft.AppendEntriesResponse
	done  chan struct{}
	err   error // set before done is closed
}

func (f *appendFuture) Error() error {
	select {
	case <-f.done:
		return f.err
	case <-f.p.done:
	}
	select {
	case <-f.done:
		return f.err
	default:
		return f.p.c.reason(raft.ErrPipelineShutdown)
	}
}

func (f *appendFuture) Start() time.Time                      { return f.start }
func (f *appendFuture) Request() *raft.AppendEntriesRequest   { return f.req }
func (f *appendFuture) Response() *raft.AppendEntriesResponse { return f.resp }
