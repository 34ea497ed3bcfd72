package session

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/commandset"
	"github.com/lockstepkv/lockstep/resp"
)

func testSession() *Session {
	return New(Options{
		Node: "n1", Boot: 1, MaxBytes: 1 << 20, Kick: func() {}, Outlived: func() {},
		Queued: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "x"}),
	})
}

func appendBatch(word string) command.Batch {
	var b command.Batch
	b.Add(command.Args{[]byte("APPEND"), []byte("log"), []byte(word)})
	return b
}

// wakeAll lets the batches that rest be sent again.
func wakeAll(s *Session) {
	s.mu.Lock()
	inFlight := slices.Clone(s.small.inFlight)
	s.mu.Unlock()
	for _, f := range inFlight {
		s.wakeRested(f, time.Time{})
	}
}

// TestEveryProposalHappensOnce runs a session against leaders that log batches
// or not, answer or not, log late, and log twice. Whatever happens, an answered
// proposal is in the data exactly once, one that failed for certain is not, and
// one in doubt at most once.
func TestEveryProposalHappensOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := testSession()
		var kicks atomic.Int64
		s.opt.Kick = func() { kicks.Add(1) }
		machine := fsm.New(fsm.Options{Table: commandset.New()})
		index := uint64(0)
		apply := func(b fsm.Batch) fsm.BatchResult {
			index++
			e := fsm.Entry{StampMillis: 1, Batches: []fsm.Batch{b}}
			return machine.Apply(&raft.Log{Type: raft.LogCommand, Index: index, Term: 1, Data: e.AppendTo(nil)}).([]fsm.BatchResult)[0]
		}
		type outcome struct {
			word string
			err  error
		}
		outcomes := make(chan outcome, 1000)
		var late []fsm.Batch // copies in some log that will still be applied
		var out []*InFlight
		proposed, abandon := 0, map[int]context.CancelFunc{}
		propose := func() {
			word := fmt.Sprintf("<%d>", proposed)
			ctx, cancel := context.WithCancel(context.Background())
			abandon[proposed] = cancel
			proposed++
			before := kicks.Load()
			go func() {
				_, err := s.Propose(ctx, appendBatch(word))
				outcomes <- outcome{word, err}
			}()
			for kicks.Load() == before {
				runtime.Gosched()
			}
		}
		pick := func() *InFlight {
			i := rapid.IntRange(0, len(out)-1).Draw(t, "which")
			f := out[i]
			out = append(out[:i], out[i+1:]...)
			return f
		}
		results := map[string]error{}
		collect := func(o outcome) { results[o.word] = o.err }
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0, 1:
				propose()
			case 2, 3:
				if f := s.Take(rapid.IntRange(1, 64).Draw(t, "room")); f != nil {
					out = append(out, f)
				}
			case 4: // logged and answered
				if len(out) > 0 {
					f := pick()
					s.Resolve(f, apply(f.Batch))
				}
			case 5: // the answer is lost; the batch is logged now, later or never
				if len(out) > 0 {
					f := pick()
					switch rapid.IntRange(0, 2).Draw(t, "fate") {
					case 0:
						apply(f.Batch)
					case 1:
						late = append(late, f.Batch)
					}
					s.Fail(f, true)
				}
			case 6: // refused for certain
				if len(out) > 0 {
					s.Fail(pick(), false)
				}
			case 7:
				if len(late) > 0 {
					apply(late[0])
					late = late[1:]
				} else if proposed > 0 {
					abandon[rapid.IntRange(0, proposed-1).Draw(t, "abandoned")]()
				}
			case 8: // there is no room for it
				if len(out) > 0 {
					s.Refuse(pick(), ErrFull)
				}
			case 9:
				wakeAll(s)
			}
		}
		for {
			wakeAll(s)
			if f := s.Take(1 << 20); f != nil {
				out = append(out, f)
			} else if len(out) == 0 {
				break
			}
			for len(out) > 0 {
				f := out[0]
				out = out[1:]
				s.Resolve(f, apply(f.Batch))
			}
		}
		for _, b := range late {
			apply(b)
		}
		for range proposed {
			collect(<-outcomes)
		}
		var log string
		machine.View(fsm.Stamp{}, func(ctx *command.Ctx) {
			if e := ctx.Lookup([]byte("log")); e != nil {
				log = string(e.Bytes())
			}
		})
		for i := range proposed {
			word := fmt.Sprintf("<%d>", i)
			n, err := count(log, word), results[word]
			switch {
			case err == nil && n != 1:
				t.Fatalf("%s was answered and is there %d times: %s", word, n, log)
			case errors.Is(err, command.ErrInDoubt) && n > 1:
				t.Fatalf("%s is there %d times: %s", word, n, log)
			case (errors.Is(err, command.ErrUnavailable) || errors.Is(err, command.ErrNoRoom)) && n != 0:
				t.Fatalf("%s failed for certain and is there: %s", word, log)
			}
		}
		if s.bytes != 0 || s.waiting.Load() != 0 || len(s.small.inFlight) != 0 {
			t.Fatalf("left over: %d bytes, %d units, %d batches", s.bytes, s.waiting.Load(), len(s.small.inFlight))
		}
	})
}

func count(in, word string) (n int) {
	for i := 0; i+len(word) <= len(in); i++ {
		if in[i:i+len(word)] == word {
			n++
		}
	}
	return n
}

func TestOverloadIsRefusedForCertain(t *testing.T) {
	s := testSession()
	ctx, cancel := context.WithCancel(t.Context()) // not a time, which might be over before it is seen to wait
	defer cancel()
	big := command.Batch{N: 1, Body: make([]byte, 2<<20)}
	go s.Propose(t.Context(), big)
	for held := int64(0); held == 0; runtime.Gosched() {
		s.mu.Lock()
		held = s.bytes
		s.mu.Unlock()
	}
	if _, err := s.Propose(ctx, appendBatch("x")); !errors.Is(err, command.ErrOverloaded) {
		t.Fatalf("error %v, want overloaded", err)
	}
}

// TestNoRoomIsDefinite unless an earlier leader left the batch in doubt: then it is tried again.
func TestNoRoomIsDefinite(t *testing.T) {
	s := testSession()
	type outcome struct {
		replies []resp.Value
		err     error
	}
	done := make(chan outcome, 2)
	take := func() (f *InFlight) {
		for f == nil {
			runtime.Gosched()
			f = s.Take(1 << 20)
		}
		return f
	}
	propose := func() *InFlight {
		go func() {
			replies, err := s.Propose(t.Context(), appendBatch("x"))
			done <- outcome{replies, err}
		}()
		return take()
	}
	s.Refuse(propose(), ErrFull)
	if got := <-done; !errors.Is(got.err, command.ErrNoRoom) {
		t.Fatalf("%v, want no room", got.err)
	}
	f := propose()
	s.Fail(f, true)
	if again := take(); again != f {
		t.Fatal("another batch")
	}
	s.Refuse(f, ErrFull)
	if again := take(); again != f || len(done) > 0 {
		t.Fatal("a batch in doubt was given up")
	}
	s.Resolve(f, fsm.BatchResult{Replies: []resp.Value{resp.OK}})
	if got := <-done; got.err != nil || len(got.replies) != 1 {
		t.Fatalf("%v", got)
	}
	if s.bytes != 0 || s.waiting.Load() != 0 || len(s.small.inFlight) != 0 {
		t.Errorf("left over: %d bytes, %d units, %d batches", s.bytes, s.waiting.Load(), len(s.small.inFlight))
	}
}

// TestLateOutcome: who gave up in doubt is told what came of it.
func TestLateOutcome(t *testing.T) {
	for name, end := range map[string]struct {
		do   func(s *Session, f *InFlight)
		want error
	}{
		"applied": {func(s *Session, f *InFlight) {
			s.Fail(f, true)
			s.Resolve(s.Take(1000), fsm.BatchResult{Replies: []resp.Value{resp.One}})
		}, nil},
		"refused":          {func(s *Session, f *InFlight) { s.Fail(f, false) }, command.ErrUnavailable},
		"unknown for ever": {func(s *Session, f *InFlight) { s.Finish(f, fsm.BatchResult{}, command.ErrInDoubt) }, command.ErrInDoubt},
	} {
		t.Run(name, func(t *testing.T) {
			s := testSession()
			late := make(chan error, 2)
			b := appendBatch("x")
			b.Late = func(_ []resp.Value, err error) { late <- err }
			ctx, cancel := context.WithCancel(context.Background())
			kicked := make(chan struct{}, 10)
			s.opt.Kick = func() { kicked <- struct{}{} }
			answer := make(chan error, 1)
			go func() {
				_, err := s.Propose(ctx, b)
				answer <- err
			}()
			<-kicked
			f := s.Take(1000)
			cancel()
			if err := <-answer; !errors.Is(err, command.ErrInDoubt) {
				t.Fatalf("the caller got %v", err)
			}
			end.do(s, f)
			if err := <-late; !errors.Is(err, end.want) {
				t.Errorf("late outcome %v, want %v", err, end.want)
			}
			if len(late) > 0 {
				t.Error("told twice")
			}
		})
	}
}
