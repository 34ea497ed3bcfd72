package session

import (
	"errors"
	"slices"
	"testing"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// roomToldBy is what a test says about room.
type roomToldBy struct{ fit, asked, told chan bool }

func (r roomToldBy) Fits(*fsm.Batch) bool {
	r.asked <- true
	return <-r.fit
}

func (r roomToldBy) RestsNow(_ *fsm.Batch, first bool) { r.told <- first }

// TestRestedBatchIsPassed: up to a bound, by batches that do not claim that it is resolved.
func TestRestedBatchIsPassed(t *testing.T) {
	s := testSession()
	kicked := make(chan struct{}, 100)
	s.opt.Kick = func() { kicked <- struct{}{} }
	room := roomToldBy{make(chan bool, 1), make(chan bool, 9), make(chan bool, 9)}
	s.opt.Disks = room
	done := make(chan error, 9)
	propose := func() {
		_, err := s.Propose(t.Context(), appendBatch("x"))
		done <- err
	}
	next := func() *InFlight {
		go propose()
		<-kicked
		return s.Take(1 << 20)
	}
	f := next()
	s.Fail(f, true)
	<-kicked
	if s.Take(1<<20) != f {
		t.Fatal("a batch in doubt has to go again")
	}
	s.Refuse(f, ErrFull)
	<-kicked
	if first := <-room.told; !first || !s.Idle() {
		t.Errorf("first %v, idle %v", first, s.Idle())
	}
	g := next()
	if g == nil || g == f || g.Batch.Acked >= f.Batch.Seq {
		t.Fatalf("%+v went instead of the next one", g)
	}
	s.Resolve(g, fsm.BatchResult{Replies: []resp.Value{resp.BulkString(string(make([]byte, passedBytes)))}})
	if err := <-done; err != nil {
		t.Error(err)
	}
	if propose(); !errors.Is(<-done, command.ErrNoRoom) {
		t.Error("more passed than replies may be kept of")
	}
	<-room.asked
	room.fit <- true
	<-kicked
	if s.Take(1<<20) != f || s.Figures().Resting != 1 {
		t.Fatal("there is room, and it was not sent")
	}
	s.Resolve(f, fsm.BatchResult{Replies: []resp.Value{resp.OK}})
	if err := <-done; err != nil || s.Figures().Resting != 0 {
		t.Errorf("%v, %d rest", err, s.Figures().Resting)
	}
	if f := next(); f == nil || f.Batch.Acked != 2 || !slices.Equal(s.small.inFlight, []*InFlight{f}) {
		t.Error("the next one is kept back")
	}
}
