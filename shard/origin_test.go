package shard

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

func testOrigin() *origin {
	return newOrigin("n1", 1, 1<<20, func() {}, func() {}, prometheus.NewHistogram(prometheus.HistogramOpts{Name: "x"}))
}

func appendBatch(word string) command.Batch {
	var b command.Batch
	b.Add(command.Args{[]byte("APPEND"), []byte("log"), []byte(word)})
	return b
}

// wakeAll lets the batches that rest be sent again.
func wakeAll(o *origin) {
	o.mu.Lock()
	flights := slices.Clone(o.small.flights)
	o.mu.Unlock()
	for _, f := range flights {
		o.wakeRested(f, time.Time{})
	}
}

// TestEveryProposalHappensOnce runs an origin against leaders that log batches
// or not, answer or not, log late, and log twice. Whatever happens, an answered
// proposal is in the data exactly once, one that failed for certain is not, and
// one in doubt at most once.
func TestEveryProposalHappensOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := testOrigin()
		var kicks atomic.Int64
		o.kick = func() { kicks.Add(1) }
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
		var out []*flight
		proposed, abandon := 0, map[int]context.CancelFunc{}
		propose := func() {
			word := fmt.Sprintf("<%d>", proposed)
			ctx, cancel := context.WithCancel(context.Background())
			abandon[proposed] = cancel
			proposed++
			before := kicks.Load()
			go func() {
				_, err := o.propose(ctx, appendBatch(word))
				outcomes <- outcome{word, err}
			}()
			for kicks.Load() == before {
				runtime.Gosched()
			}
		}
		pick := func() *flight {
			i := rapid.IntRange(0, len(out)-1).Draw(t, "flight")
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
				if f := o.take(rapid.IntRange(1, 64).Draw(t, "room")); f != nil {
					out = append(out, f)
				}
			case 4: // logged and answered
				if len(out) > 0 {
					f := pick()
					o.resolve(f, apply(f.batch))
				}
			case 5: // the answer is lost; the batch is logged now, later or never
				if len(out) > 0 {
					f := pick()
					switch rapid.IntRange(0, 2).Draw(t, "fate") {
					case 0:
						apply(f.batch)
					case 1:
						late = append(late, f.batch)
					}
					o.fail(f, true)
				}
			case 6: // refused for certain
				if len(out) > 0 {
					o.fail(pick(), false)
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
					o.refuse(pick(), errFull)
				}
			case 9:
				wakeAll(o)
			}
		}
		for {
			wakeAll(o)
			if f := o.take(1 << 20); f != nil {
				out = append(out, f)
			} else if len(out) == 0 {
				break
			}
			for len(out) > 0 {
				f := out[0]
				out = out[1:]
				o.resolve(f, apply(f.batch))
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
		if o.bytes != 0 || o.waiting.Load() != 0 || len(o.small.flights) != 0 {
			t.Fatalf("left over: %d bytes, %d units, %d flights", o.bytes, o.waiting.Load(), len(o.small.flights))
		}
	})
}

func count(s, word string) (n int) {
	for i := 0; i+len(word) <= len(s); i++ {
		if s[i:i+len(word)] == word {
			n++
		}
	}
	return n
}

func TestOverloadIsRefusedForCertain(t *testing.T) {
	o := testOrigin()
	ctx, cancel := context.WithCancel(t.Context()) // not a time, which might be over before it is seen to wait
	defer cancel()
	big := command.Batch{N: 1, Body: make([]byte, 2<<20)}
	go o.propose(t.Context(), big)
	for held := int64(0); held == 0; runtime.Gosched() {
		o.mu.Lock()
		held = o.bytes
		o.mu.Unlock()
	}
	if _, err := o.propose(ctx, appendBatch("x")); !errors.Is(err, command.ErrOverloaded) {
		t.Fatalf("error %v, want overloaded", err)
	}
}

func TestResultSurvivesTheWire(t *testing.T) {
	want := fsm.BatchResult{Index: 1 << 40, Replies: []resp.Value{resp.OK, resp.Int(7), resp.Nil, resp.Array(resp.BulkString("a"), resp.NilArray)}}
	got, err := decodeResult(encodeResult(want, nil))
	if err != nil || got.Index != want.Index || fmt.Sprint(got.Replies) != fmt.Sprint(want.Replies) {
		t.Fatalf("%v %v, want %v", got, err, want)
	}
	if _, err := decodeResult(encodeResult(fsm.BatchResult{}, errNotServing)); !errors.Is(err, errNotServing) {
		t.Fatalf("%v, want not serving", err)
	}
	if _, err := decodeResult(encodeResult(fsm.BatchResult{}, errFull)); !errors.Is(err, command.ErrNoRoom) {
		t.Fatalf("%v, want no room", err)
	}
	if _, err := decodeResult(encodeResult(fsm.BatchResult{}, errors.New("x"))); !errors.Is(err, errDoubt) {
		t.Fatalf("%v, want doubt", err)
	}
}

// TestNoRoomIsDefinite unless an earlier leader left the batch in doubt: then it is tried again.
func TestNoRoomIsDefinite(t *testing.T) {
	o := testOrigin()
	type outcome struct {
		replies []resp.Value
		err     error
	}
	done := make(chan outcome, 2)
	take := func() (f *flight) {
		for f == nil {
			runtime.Gosched()
			f = o.take(1 << 20)
		}
		return f
	}
	propose := func() *flight {
		go func() {
			replies, err := o.propose(t.Context(), appendBatch("x"))
			done <- outcome{replies, err}
		}()
		return take()
	}
	o.refuse(propose(), errFull)
	if got := <-done; !errors.Is(got.err, command.ErrNoRoom) {
		t.Fatalf("%v, want no room", got.err)
	}
	f := propose()
	o.fail(f, true)
	if again := take(); again != f {
		t.Fatal("another batch")
	}
	o.refuse(f, errFull)
	if again := take(); again != f || len(done) > 0 {
		t.Fatal("a batch in doubt was given up")
	}
	o.resolve(f, fsm.BatchResult{Replies: []resp.Value{resp.OK}})
	if got := <-done; got.err != nil || len(got.replies) != 1 {
		t.Fatalf("%v", got)
	}
	if o.bytes != 0 || o.waiting.Load() != 0 || len(o.small.flights) != 0 {
		t.Errorf("left over: %d bytes, %d units, %d flights", o.bytes, o.waiting.Load(), len(o.small.flights))
	}
}

// TestLateOutcome: who gave up in doubt is told what came of it.
func TestLateOutcome(t *testing.T) {
	for name, end := range map[string]struct {
		do   func(o *origin, f *flight)
		want error
	}{
		"applied": {func(o *origin, f *flight) {
			o.fail(f, true)
			o.resolve(o.take(1000), fsm.BatchResult{Replies: []resp.Value{resp.One}})
		}, nil},
		"refused":          {func(o *origin, f *flight) { o.fail(f, false) }, command.ErrUnavailable},
		"unknown for ever": {func(o *origin, f *flight) { o.finish(f, fsm.BatchResult{}, command.ErrInDoubt) }, command.ErrInDoubt},
	} {
		t.Run(name, func(t *testing.T) {
			o := testOrigin()
			late := make(chan error, 2)
			b := appendBatch("x")
			b.Late = func(_ []resp.Value, err error) { late <- err }
			ctx, cancel := context.WithCancel(context.Background())
			kicked := make(chan struct{}, 10)
			o.kick = func() { kicked <- struct{}{} }
			answer := make(chan error, 1)
			go func() {
				_, err := o.propose(ctx, b)
				answer <- err
			}()
			<-kicked
			f := o.take(1000)
			cancel()
			if err := <-answer; !errors.Is(err, command.ErrInDoubt) {
				t.Fatalf("the caller got %v", err)
			}
			end.do(o, f)
			if err := <-late; !errors.Is(err, end.want) {
				t.Errorf("late outcome %v, want %v", err, end.want)
			}
			if len(late) > 0 {
				t.Error("told twice")
			}
		})
	}
}
