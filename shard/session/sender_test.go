package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// script is a Route on which the test decides who leads and what leaders answer.
type script struct {
	mu     sync.Mutex
	leader string
	served bool
	local  int       // calls of Local
	asked  []*asking // that have not been answered
}

// asking is a batch at a leader.
type asking struct {
	leader string
	seq    uint64
	lane   string
	units  int
	at     time.Time
	answer chan error // nil: it was applied
}

func (s *script) Leader() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leader
}

func (s *script) Local() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.local++
	return s.served
}

func (s *script) Submit(ctx context.Context, leader string, b *fsm.Batch) (fsm.BatchResult, error) {
	lane := "small"
	if b.Node == fsm.LargeBatches("n1") {
		lane = "large"
	}
	a := &asking{leader, b.Seq, lane, b.Units, time.Now(), make(chan error, 1)}
	s.mu.Lock()
	s.asked = append(s.asked, a)
	s.mu.Unlock()
	select {
	case err := <-a.answer:
		return fsm.BatchResult{Replies: make([]resp.Value, b.Units)}, err
	case <-ctx.Done():
		return fsm.BatchResult{}, ctx.Err()
	}
}

// elect says who leads.
func (s *script) elect(leader string, served bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leader, s.served = leader, served
}

// take returns what leaders were asked since the last call, when everybody waits, by number.
func (s *script) take() []*asking {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = nil
	slices.SortStableFunc(asked, func(a, b *asking) int { return cmp.Or(strings.Compare(b.lane, a.lane), cmp.Compare(a.seq, b.seq)) })
	return asked
}

// sending is a session with its sender and what becomes of proposals.
type sending struct {
	*script
	t       *testing.T
	session *Session
	sender  *Sender
	answers chan error
}

// withSender runs fn in virtual time, while leader leads.
func withSender(t *testing.T, leader string, fn func(s *sending)) {
	synctest.Test(t, func(t *testing.T) {
		s := &sending{script: &script{leader: leader}, t: t, session: testSession(), answers: make(chan error, 100)}
		s.session.opt.MaxBytes = 1 << 30
		s.sender = NewSender("n1", s.session, s.script)
		s.session.opt.Kick = s.sender.Kick
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			s.sender.Run(ctx)
			close(ended)
		}()
		defer func() {
			cancel()
			<-ended
			s.session.Close()
		}()
		fn(s)
	})
}

func (s *sending) propose(b command.Batch) {
	go func() {
		_, err := s.session.Propose(context.Background(), b)
		s.answers <- err
	}()
	synctest.Wait()
}

func (s *sending) want(asked []*asking, want ...string) {
	s.t.Helper()
	var got []string
	for _, a := range asked {
		got = append(got, fmt.Sprintf("%s %s %d: %d", a.leader, a.lane, a.seq, a.units))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		s.t.Fatalf("leaders were asked %q, want %q", got, want)
	}
}

// TestSenderWindow: two batches are at the leader, and a large one besides; what comes meanwhile
// shares the next batch.
func TestSenderWindow(t *testing.T) {
	withSender(t, "n2", func(s *sending) {
		for range 5 {
			s.propose(appendBatch("x"))
		}
		s.propose(largeBatch("big"))
		s.propose(largeBatch("big"))
		asked := s.take()
		s.want(asked, "n2 small 1: 1", "n2 small 2: 1", "n2 large 1: 1")
		asked[1].answer <- nil
		s.want(s.take(), "n2 small 3: 3")
		asked[2].answer <- nil
		s.want(s.take(), "n2 large 2: 1")
		if len(s.answers) != 2 {
			t.Errorf("%d answers", len(s.answers))
		}
	})
}

// TestRefusedIsSentAnew, in another batch and not at once, and what is in doubt again in the same.
func TestRefusedIsSentAnew(t *testing.T) {
	withSender(t, "n2", func(s *sending) {
		s.propose(appendBatch("x"))
		first := s.take()[0]
		first.answer <- ErrNotServing
		if s.want(s.take()); len(s.answers) > 0 {
			t.Fatal("it was answered")
		}
		time.Sleep(RetryPause)
		again := s.take()
		s.want(again, "n2 small 2: 1")
		if waited := again[0].at.Sub(first.at); waited < RetryPause {
			t.Errorf("asked again after %v", waited)
		}
		again[0].answer <- errors.New("the connection broke")
		time.Sleep(RetryPause)
		again = s.take()
		s.want(again, "n2 small 2: 1")
		again[0].answer <- nil
		if err := <-s.answers; err != nil {
			t.Error(err)
		}
	})
}

// TestOutcomesOfALeader: which errors of a leader are definite, and which end a batch.
func TestOutcomesOfALeader(t *testing.T) {
	withSender(t, "n2", func(s *sending) {
		for answer, want := range map[error]error{
			ErrFull: command.ErrNoRoom,
			fmt.Errorf("%w: too long", ErrUnanswerable): command.ErrInDoubt,
		} {
			s.propose(appendBatch("x"))
			s.take()[0].answer <- answer
			if err := <-s.answers; !errors.Is(err, want) {
				t.Errorf("after %v: %v, want %v", answer, err, want)
			}
		}
	})
}

// TestAnotherLeader gets the batches whose answers are not waited for any more, under their
// numbers: the one before may have logged them.
func TestAnotherLeader(t *testing.T) {
	withSender(t, "n2", func(s *sending) {
		s.propose(appendBatch("x"))
		s.propose(appendBatch("y"))
		s.want(s.take(), "n2 small 1: 1", "n2 small 2: 1")
		s.elect("", false)
		s.sender.Kick()
		time.Sleep(time.Second)
		s.want(s.take()) // it may come back
		s.elect("n3", false)
		s.sender.Kick()
		time.Sleep(2 * RetryPause)
		asked := s.take()
		s.want(asked, "n3 small 1: 1", "n3 small 2: 1")
		for _, a := range asked {
			a.answer <- nil
			if err := <-s.answers; err != nil {
				t.Error(err)
			}
		}
	})
}

// TestNoLeaderYet: what waits is sent as soon as there is one, without a kick.
func TestNoLeaderYet(t *testing.T) {
	withSender(t, "", func(s *sending) {
		s.propose(appendBatch("x"))
		time.Sleep(time.Second)
		s.want(s.take())
		s.elect("n3", false)
		time.Sleep(RetryPause)
		s.want(s.take(), "n3 small 1: 1")
	})
}

// TestThisNodeLeads: then the batches are taken here. The sender goes on asking until that is
// done, and rests when nothing waits.
func TestThisNodeLeads(t *testing.T) {
	withSender(t, "n1", func(s *sending) {
		time.Sleep(time.Second)
		if synctest.Wait(); s.local > 0 {
			t.Errorf("asked %d times, and nothing waits", s.local)
		}
		s.propose(appendBatch("x"))
		time.Sleep(10 * RetryPause)
		if synctest.Wait(); s.local < 9 {
			t.Errorf("asked %d times while it does not serve yet", s.local)
		}
		s.elect("n1", true)
		time.Sleep(RetryPause)
		synctest.Wait()
		asked := s.local
		time.Sleep(10 * RetryPause)
		if synctest.Wait(); s.local != asked {
			t.Errorf("asked %d times more though it serves", s.local-asked)
		}
		s.want(s.take())
	})
}

// TestLargeBatchHasItsTime: the leader is told until when, and answers a little later at most.
func TestLargeBatchHasItsTime(t *testing.T) {
	withSender(t, "n2", func(s *sending) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		began := time.Now()
		_, err := s.session.Propose(ctx, largeBatch("big"))
		if took := time.Since(began); !errors.Is(err, command.ErrInDoubt) || took != 10*time.Second+WithdrawGrace {
			t.Errorf("%v after %v", err, took)
		}
		s.want(s.take()[:1], "n2 large 1: 1")
	})
}
