package respapi

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockstepkv/lockstep/internal/linger"
	"github.com/lockstepkv/lockstep/resp"
)

// Options are the terms of a Server. Zero fields other than Listener and
// Backend have defaults.
type Options struct {
	Listener net.Listener
	Backend  Backend
	Limits   resp.Limits // MaxBulk 0: 64 MiB; Budget nil: of RequestBytes
	Logger   *slog.Logger

	// RequestBytes bounds what requests that are still being read hold together, apart
	// from 128 KiB each. It is taken before memory is, so that many large requests
	// at once wait for each other. Default max(256 MiB, 3 x MaxBulk), at least 1.25 x MaxBulk.
	RequestBytes int64

	// StallTimeout ends a connection that holds memory without progress: a long
	// request of which nothing more comes, or replies that nobody reads.
	// Default 2 minutes.
	StallTimeout time.Duration
	// AuthTimeout ends a connection that has not shown its certificate and its
	// password by then. Default 30 s.
	AuthTimeout time.Duration
	// OutputLimit is how many bytes of replies are kept for a client that does not
	// read them yet, default 128 MiB, OutputTotal for all of them together, default
	// 256 MiB. At the limit a client may take OutputPatience, default 10 s, before it
	// reads on; then it is cut off.
	OutputLimit, OutputTotal int64
	OutputPatience           time.Duration
	// PushLimits are for what clients are told unasked, default Redis's 32 MiB, and 8 MiB
	// for a minute.
	PushLimits PushLimits
	// Tick is how often connections are inspected. Default 1 s.
	Tick time.Duration

	patience time.Duration // at least so long has a client that is refused; for tests on a busy machine
}

const (
	defaultMaxBulk = 64 << 20
	minBudget      = 256 << 20
	budgetPatience = 5 * time.Second

	defaultOutput         = 128 << 20
	defaultOutputTotal    = 256 << 20
	defaultOutputPatience = 10 * time.Second
)

var defaultPushLimits = PushLimits{Hard: 32 << 20, Soft: 8 << 20, For: time.Minute}

func (o Options) withDefaults() Options {
	if o.Limits.MaxBulk <= 0 {
		o.Limits.MaxBulk = defaultMaxBulk
	}
	if o.Limits.Budget == nil {
		if o.RequestBytes <= 0 {
			o.RequestBytes = max(minBudget, 3*o.Limits.MaxBulk)
		}
		o.Limits.Budget = resp.NewBudget(max(o.RequestBytes, o.Limits.MaxBulk+o.Limits.MaxBulk/4), budgetPatience)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.StallTimeout <= 0 {
		o.StallTimeout = 2 * time.Minute
	}
	if o.AuthTimeout <= 0 {
		o.AuthTimeout = 30 * time.Second
	}
	if o.OutputLimit <= 0 {
		o.OutputLimit = defaultOutput
	}
	if o.OutputTotal <= 0 {
		o.OutputTotal = defaultOutputTotal
	}
	if o.OutputPatience <= 0 {
		o.OutputPatience = defaultOutputPatience
	}
	if o.PushLimits == (PushLimits{}) {
		o.PushLimits = defaultPushLimits
	}
	if o.Tick <= 0 {
		o.Tick = time.Second
	}
	return o
}

// Server accepts connections and serves each until it ends.
type Server struct {
	opt     Options
	ctx     context.Context // of all commands; ended when Close loses its patience
	cancel  context.CancelFunc
	ticks   atomic.Uint32 // counts Options.Tick; the clock of all timeouts here
	unread  atomic.Int64  // bytes of replies kept for clients
	batches sync.Pool     // of *batch
	refusal chan struct{} // bounds the refusals being written

	discarded atomic.Int64 // bytes

	stop     chan struct{} // closed by Close
	stopOnce sync.Once
	wg       sync.WaitGroup // the janitor, connections, refusals

	mu    sync.Mutex
	conns map[*conn]struct{} // guarded by mu; nil once Close has begun
	// strangers are the conns that have yet to authenticate, the oldest first.
	strangers list.List // guarded by mu
}

// New returns a Server that is not accepting yet.
func New(o Options) *Server {
	s := &Server{
		opt:     o.withDefaults(),
		stop:    make(chan struct{}),
		refusal: make(chan struct{}, 16),
		conns:   make(map[*conn]struct{}),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.batches.New = func() any { return new(batch) }
	return s
}

// Serve accepts until Close, and then returns nil. It returns an error when the
// listener fails for good.
func (s *Server) Serve() error {
	if !s.spawn(s.janitor) {
		return nil
	}
	var wait time.Duration
	for {
		nc, err := s.opt.Listener.Accept()
		switch {
		case err == nil:
			wait = 0
			s.admit(nc)
		case s.closing():
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		default:
			// Such as too many open files: others may close theirs.
			wait = min(max(2*wait, 5*time.Millisecond), time.Second)
			s.opt.Logger.Warn("accepting a client failed", "error", err, "retry_in", wait)
			select {
			case <-time.After(wait):
			case <-s.stop:
				return nil
			}
		}
	}
}

// Close stops accepting, lets every connection finish the commands it has
// begun, and waits. When ctx ends first, it cancels what still runs, closes the
// connections, waits for that and returns ctx's error.
func (s *Server) Close(ctx context.Context) error {
	s.stopOnce.Do(func() { close(s.stop) })
	err := s.opt.Listener.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	s.mu.Lock()
	open := s.conns
	s.conns = nil
	s.mu.Unlock()
	for c := range open {
		c.wake()
	}
	done := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		err = ctx.Err()
		s.cancel()
		for c := range open {
			_ = c.nc.Close()
		}
		<-done
	}
	s.cancel()
	return err
}

func (s *Server) closing() bool {
	select {
	case <-s.stop:
		return true
	default:
		return false
	}
}

// spawn runs fn in a goroutine that Close waits for; false once Close began.
func (s *Server) spawn(fn func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		return false
	}
	s.wg.Go(fn)
	return true
}

// admit starts a connection, or refuses it when there are too many.
func (s *Server) admit(nc net.Conn) {
	t := s.opt.Backend.Tuning()
	if !s.mayEnter(t.MaxClients) {
		s.opt.Backend.CountRejectedConnection()
		s.refuse(nc)
		return
	}
	keepAlive(nc, t.KeepAlive)
	c := newConn(s, nc)
	_, secured := nc.(*tls.Conn)
	s.encounter(c, secured || c.sess.NeedsAuth())
	s.mu.Lock()
	if s.conns != nil {
		s.conns[c] = struct{}{}
		s.wg.Go(c.serve)
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	c.finish()
}

// Connections returns the number of open connections.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Discarded counts the bytes of refused requests that were thrown away.
func (s *Server) Discarded() int64 { return s.discarded.Load() }

// outputLimits are how much of the replies may be kept for a client and for all.
func (s *Server) outputLimits() (one, all int64) {
	if limit := s.opt.Backend.Tuning().OutputLimit; limit > 0 {
		return limit, 2 * limit
	}
	return s.opt.OutputLimit, s.opt.OutputTotal
}

func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if c.strange != nil {
		s.strangers.Remove(c.strange)
		c.strange = nil
	}
}

// refuse answers in Redis's words. It does not wait for the client; when too
// many refusals wait already, the connection is closed without a word.
func (s *Server) refuse(nc net.Conn) {
	select {
	case s.refusal <- struct{}{}:
	default:
		_ = nc.Close()
		return
	}
	started := s.spawn(func() {
		defer func() { <-s.refusal }()
		_ = nc.SetDeadline(time.Now().Add(max(refusalPatience, s.opt.patience)))
		if _, err := io.WriteString(nc, "-ERR max number of clients reached\r\n"); err == nil {
			bounds := linger.Stranger()
			bounds.Total = refusalPatience
			s.discarded.Add(linger.End(nc, bounds.Least(s.opt.patience), s.closing))
		}
		_ = nc.Close()
	})
	if !started {
		_ = nc.Close()
		<-s.refusal
	}
}

// janitor looks after connections that are blocked in a system call and so
// cannot look after themselves. It spares every read and write a deadline.
func (s *Server) janitor() {
	tick := time.NewTicker(s.opt.Tick)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
		now := s.ticks.Add(1)
		idle := s.ticksOf(s.opt.Backend.Tuning().IdleTimeout)
		stall := s.ticksOf(s.opt.StallTimeout)
		s.mu.Lock()
		for c := range s.conns {
			if c.late(now, s.opt.AuthTimeout) {
				c.expel("it has not authenticated in time")
				continue
			}
			c.inspect(now, idle, stall)
		}
		s.mu.Unlock()
	}
}

// ticksOf rounds up, and one more for the tick that is under way.
func (s *Server) ticksOf(d time.Duration) uint32 {
	if d <= 0 {
		return 0
	}
	return uint32((d+s.opt.Tick-1)/s.opt.Tick) + 1
}
