package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/internal/clock"
)

// sendWindow is how many batches of one shard a node keeps out at a leader on
// another node. Two, so that one is on its way while the other is on disk. A large one
// goes besides.
const sendWindow = 2

// RetryPause is how long the sender waits before it tries a leader again that
// refused, or looks again for a leader.
const RetryPause = 5 * time.Millisecond

// Route is what a sender knows of leaders.
type Route interface {
	// Leader returns the node that leads the shard as far as this node knows, or "".
	Leader() string
	// Submit hands b to the leader on another node and waits for its result. See ErrNotServing
	// and its siblings for the errors.
	Submit(ctx context.Context, leader string, b *fsm.Batch) (fsm.BatchResult, error)
	// Local is called when batches wait and this node leads. It has them taken here, and reports
	// whether that is done: else the sender calls again soon.
	Local() (served bool)
}

// Sender hands a session's batches to the leader while that is another node.
type Sender struct {
	self    string
	session *Session
	route   Route
	wake    chan struct{} // capacity 1

	wg  sync.WaitGroup
	mu  sync.Mutex
	out map[*InFlight]outbound // guarded by mu
	big int                    // guarded by mu; how many of out are large
}

// outbound is a batch at a leader on another node.
type outbound struct {
	leader string
	cancel context.CancelFunc
}

// NewSender returns the sender of node self for its session s.
func NewSender(self string, s *Session, route Route) *Sender {
	return &Sender{self: self, session: s, route: route, wake: make(chan struct{}, 1), out: make(map[*InFlight]outbound)}
}

// Kick makes the sender look for work, and for who leads.
func (s *Sender) Kick() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run sends until ctx ends.
func (s *Sender) Run(ctx context.Context) {
	defer s.wg.Wait()
	retry := time.NewTimer(RetryPause)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-retry.C:
		}
		if s.pump(ctx) {
			retry.Reset(RetryPause)
		}
	}
}

// pump sends what it can and reports whether to look again soon.
func (s *Sender) pump(ctx context.Context) (again bool) {
	leader := s.route.Leader()
	s.recall(leader)
	if leader == s.self {
		return !s.session.Idle() && !s.route.Local()
	}
	if leader == "" {
		return !s.session.Idle()
	}
	if _, large := s.outstanding(); large == 0 {
		if f := s.session.TakeLarge(); f != nil {
			s.send(ctx, leader, f)
		}
	}
	for {
		if small, _ := s.outstanding(); small >= sendWindow {
			return false
		}
		f := s.session.Take(fsm.MaxEntryBytes)
		if f == nil {
			return false
		}
		s.send(ctx, leader, f)
	}
}

func (s *Sender) outstanding() (small, large int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.out) - s.big, s.big
}

// settled takes f out of the window.
func (s *Sender) settled(f *InFlight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.out, f)
	s.big -= f.large()
}

// recall gives up waiting for the answers of nodes that no longer lead.
func (s *Sender) recall(leader string) {
	if leader == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.out {
		if o.leader != leader {
			o.cancel()
		}
	}
}

func (s *Sender) send(ctx context.Context, leader string, f *InFlight) {
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	s.out[f] = outbound{leader: leader, cancel: cancel}
	s.big += f.large()
	s.mu.Unlock()
	s.wg.Go(func() {
		defer cancel()
		result, err := s.submit(ctx, leader, f)
		if err != nil {
			// Keeps the place in the window for a moment, or a leader that
			// fails would be asked in a tight loop.
			clock.Pause(ctx, RetryPause)
		}
		s.settled(f)
		s.end(f, result, err)
	})
}

// end tells the session what came of f.
func (s *Sender) end(f *InFlight, result fsm.BatchResult, err error) {
	switch {
	case err == nil:
		s.session.Resolve(f, result)
		s.Kick()
	case errors.Is(err, ErrUnanswerable):
		s.session.Finish(f, fsm.BatchResult{}, fmt.Errorf("%w: %w", command.ErrInDoubt, err))
		s.Kick()
	case errors.Is(err, command.ErrNoRoom):
		s.session.Refuse(f, err)
	default:
		s.session.Fail(f, !errors.Is(err, ErrNotServing))
	}
}

// submit hands f over. The answer to a large batch is waited for until it is given up.
func (s *Sender) submit(ctx context.Context, leader string, f *InFlight) (fsm.BatchResult, error) {
	if until := f.until(); time.Now().Before(until) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, until.Add(WithdrawGrace))
		defer cancel()
	}
	return s.route.Submit(ctx, leader, &f.Batch)
}
