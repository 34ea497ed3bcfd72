package shard

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/transport"
)

// sendWindow is how many batches of one shard a node keeps out at a leader on
// another node. Two, so that one is on its way while the other is on disk. A large one
// goes besides.
const sendWindow = 2

// retryPause is how long the sender waits before it tries a leader again that
// refused, or looks again for a leader.
const retryPause = 5 * time.Millisecond

// sender hands this node's batches to the leader while that is another node.
type sender struct {
	g    *Group
	wake chan struct{} // capacity 1

	wg  sync.WaitGroup
	mu  sync.Mutex
	out map[*flight]outbound // guarded by mu
	big int                  // guarded by mu; how many of out are large
}

// outbound is a batch at a leader on another node.
type outbound struct {
	leader string
	cancel context.CancelFunc
}

func newSender(g *Group) *sender {
	return &sender{g: g, wake: make(chan struct{}, 1), out: make(map[*flight]outbound)}
}

func (s *sender) kick() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run sends until ctx ends.
func (s *sender) run(ctx context.Context) {
	defer s.wg.Wait()
	retry := time.NewTimer(retryPause)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-retry.C:
		}
		if s.pump(ctx) {
			retry.Reset(retryPause)
		}
	}
}

// pump sends what it can and reports whether to look again soon.
func (s *sender) pump(ctx context.Context) (again bool) {
	leader := s.g.Leader()
	s.recall(leader)
	if leader == s.g.self {
		if s.g.origin.idle() {
			return false
		}
		s.g.packer.kick()
		return s.g.serving.Load() == 0
	}
	if leader == "" {
		return !s.g.origin.idle()
	}
	if _, large := s.outstanding(); large == 0 {
		if f := s.g.origin.takeLarge(); f != nil {
			s.send(ctx, leader, f)
		}
	}
	for {
		if small, _ := s.outstanding(); small >= sendWindow {
			return false
		}
		f := s.g.origin.take(fsm.MaxEntryBytes)
		if f == nil {
			return false
		}
		s.send(ctx, leader, f)
	}
}

func (s *sender) outstanding() (small, large int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.out) - s.big, s.big
}

// settled takes f out of the window.
func (s *sender) settled(f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.out, f)
	s.big -= f.large()
}

// recall gives up waiting for the answers of nodes that no longer lead.
func (s *sender) recall(leader string) {
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

func (s *sender) send(ctx context.Context, leader string, f *flight) {
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	s.out[f] = outbound{leader: leader, cancel: cancel}
	s.big += f.large()
	s.mu.Unlock()
	s.wg.Go(func() {
		defer cancel()
		result, err := s.call(ctx, leader, f)
		if err != nil {
			// Keeps the place in the window for a moment, or a leader that
			// fails would be asked in a tight loop.
			pause(ctx, retryPause)
		}
		s.settled(f)
		if err == nil {
			s.g.origin.resolve(f, result)
			s.kick()
			return
		}
		if remote := new(transport.RemoteError); errors.As(err, &remote) {
			// The leader got the batch and cannot answer it, now or ever: its
			// reply exceeds what nodes can send each other.
			s.g.origin.finish(f, fsm.BatchResult{}, fmt.Errorf("%w: %w", command.ErrInDoubt, err))
			s.kick()
			return
		}
		if errors.Is(err, command.ErrNoRoom) {
			s.g.origin.refuse(f, err)
			return
		}
		s.g.origin.fail(f, !errors.Is(err, errNotServing))
	})
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (s *sender) call(ctx context.Context, leader string, f *flight) (fsm.BatchResult, error) {
	if until := f.until(); time.Now().Before(until) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, until.Add(withdrawGrace))
		defer cancel()
	}
	reply, err := s.g.net.CallParts(ctx, leader, methodPropose, f.batch.Encoded(appendGroup(nil, s.g.id))...)
	if errors.Is(err, transport.ErrNotSent) {
		return fsm.BatchResult{}, errNotServing
	}
	if err != nil {
		return fsm.BatchResult{}, err
	}
	return decodeResult(reply)
}
