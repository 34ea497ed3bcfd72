package session

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// largeBatch stores a value that goes in fragments.
func largeBatch(key string) command.Batch {
	var b command.Batch
	b.Add(command.Args{[]byte("SET"), []byte(key), make([]byte, 3<<20)})
	return b
}

// TestRepliesGoThoughALargeBatchIsOut: what a node has got its answers for is not remembered
// until its large batch is answered too.
func TestRepliesGoThoughALargeBatchIsOut(t *testing.T) {
	s := testSession()
	kicked := make(chan struct{}, 10)
	s.opt.Kick = func() { kicked <- struct{}{} }
	answers := make(chan error, 2)
	propose := func(b command.Batch) {
		go func() {
			_, err := s.Propose(t.Context(), b)
			answers <- err
		}()
		<-kicked
	}
	s.opt.MaxBytes = 10 << 20
	propose(largeBatch("big"))
	big := s.TakeLarge()
	for seq := uint64(1); seq <= 3; seq++ {
		propose(appendBatch("x"))
		f := s.Take(1000)
		if f.Batch.Node == big.Batch.Node || f.Batch.Seq != seq || f.Batch.Acked != seq-1 {
			t.Fatalf("batch %d of %q, resolved up to %d", f.Batch.Seq, f.Batch.Node, f.Batch.Acked)
		}
		s.Resolve(f, fsm.BatchResult{Replies: []resp.Value{resp.One}})
		<-answers
	}
	s.Resolve(big, fsm.BatchResult{Replies: []resp.Value{resp.OK}})
	<-answers
}

// TestNoLeaderForALargeValue: it has more time than others, but not to wait for a leader.
func TestNoLeaderForALargeValue(t *testing.T) {
	s := testSession()
	s.opt.MaxBytes = 10 << 20
	s.opt.Led = func() bool { return false }
	b := largeBatch("big")
	b.Patience = 10 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := s.Propose(ctx, b); !errors.Is(err, command.ErrUnavailable) || ctx.Err() != nil {
		t.Errorf("%v, %v", err, ctx.Err())
	}
}

// TestWithdrawnInDoubt: a batch that was withdrawn too late is sent again until it is answered.
func TestWithdrawnInDoubt(t *testing.T) {
	s := testSession()
	s.opt.MaxBytes = 10 << 20
	kicked := make(chan struct{}, 10)
	s.opt.Kick = func() { kicked <- struct{}{} }
	ctx, cancel := context.WithCancel(t.Context())
	answer := make(chan error, 1)
	go func() {
		_, err := s.Propose(ctx, largeBatch("big"))
		answer <- err
	}()
	<-kicked
	f := s.TakeLarge()
	cancel()
	for !f.withdrawn.Load() {
		runtime.Gosched()
	}
	s.Fail(f, true)
	if err := <-answer; !errors.Is(err, command.ErrInDoubt) {
		t.Errorf("%v", err)
	}
	if again := s.TakeLarge(); again != f || again.withdrawn.Load() {
		t.Error("the leader would not log it, and nobody would ever know")
	}
}

// TestPatienceIsForOneSpell: a leader that comes and goes is not the lack of one.
func TestPatienceIsForOneSpell(t *testing.T) {
	s := testSession()
	s.opt.MaxBytes = 10 << 20
	looks := make(chan bool)
	s.opt.Led = func() bool { return <-looks }
	b := largeBatch("big")
	b.Patience = leaderLooks * time.Millisecond
	answer := make(chan error, 1)
	go func() {
		_, err := s.Propose(t.Context(), b)
		answer <- err
	}()
	for i := range 4 * leaderLooks {
		select {
		case looks <- i%leaderLooks == leaderLooks-1:
		case err := <-answer:
			t.Fatalf("given up after %d looks: %v", i, err)
		}
	}
	for {
		select {
		case looks <- false:
			continue
		case err := <-answer:
			if !errors.Is(err, command.ErrUnavailable) {
				t.Error(err)
			}
		}
		return
	}
}
