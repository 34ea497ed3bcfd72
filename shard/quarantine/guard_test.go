package quarantine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// replica is everything around a guard.
type replica struct {
	g *Guard

	marked  bool
	markErr error
	voting  bool
	term    uint64
	damaged bool // what the others were told
	asks    int
	waits   time.Duration
	others  []string
	answers map[string]func() (Admission, error)
	known   []Admission
	caught  bool
}

var errTest = errors.New("the test says so")

// passing is a clock that goes with time.Now, in a bubble as well.
type passing struct{ since time.Time }

func (p passing) Mono() time.Duration { return time.Since(p.since) }
func (p passing) WallMillis() int64   { return time.Now().UnixMilli() }

func newReplica(others ...string) *replica {
	r := &replica{others: others, voting: true, answers: map[string]func() (Admission, error){}}
	r.start()
	return r
}

// start is what a restart leaves.
func (r *replica) start() {
	r.g = New(Options{Marks: r, Shard: r, Peers: r, Clock: passing{time.Now()}, Logger: slog.New(slog.DiscardHandler)})
}

func (r *replica) knows(peer string, s Admission) {
	r.answers[peer] = func() (Admission, error) { return s, nil }
}

func (r *replica) Quarantined(int) (bool, error) { return r.marked, nil }

func (r *replica) SetQuarantine(_ int, on bool) error {
	if r.markErr == nil {
		r.marked = on
	}
	return r.markErr
}

func (r *replica) Others() []string       { return r.others }
func (r *replica) SetVoting(may bool)     { r.voting = may }
func (r *replica) Admitting(damaged bool) { r.damaged = damaged }
func (r *replica) Waits(d time.Duration)  { r.waits = d }

func (r *replica) SetTerm(term uint64) error {
	r.term = term
	return nil
}

func (r *replica) Outnumber(known []Admission) error {
	r.known = known
	return nil
}

func (r *replica) Caught(context.Context) (uint64, bool) { return 9, r.caught }

func (r *replica) Ask(_ context.Context, peer string) (Admission, error) {
	r.asks++
	if answer := r.answers[peer]; answer != nil {
		return answer()
	}
	return Admission{}, errTest
}

// TestAdmit: who may vote, by what the replica and the others have.
func TestAdmit(t *testing.T) {
	empty, old := Admission{}, Admission{Established: true, Term: 7}
	for name, c := range map[string]struct {
		has, marked, alone bool
		b, c               Admission
		voting             bool
		term               uint64
		asks               int
	}{
		"a new cluster":               {false, false, false, empty, empty, true, 0, 2},
		"one knows the shard":         {false, false, false, empty, old, false, 7, 2},
		"the highest term counts":     {false, false, false, Admission{Term: 9}, old, false, 9, 2},
		"it was set aside":            {false, true, false, empty, empty, false, 1, 2},
		"has a log":                   {true, false, false, old, old, true, 0, 0},
		"has a log, still quarantine": {true, true, false, old, old, false, 0, 0},
		"alone":                       {false, false, true, empty, empty, true, 0, 0},
	} {
		r := newReplica("b", "c")
		if r.marked = c.marked; c.alone {
			r.others = nil
		}
		r.knows("b", c.b)
		r.knows("c", c.c)
		if err := r.g.Admit(t.Context(), c.has); err != nil {
			t.Fatal(err)
		}
		if r.voting != c.voting || r.g.On() == c.voting || r.marked == c.voting || r.term != c.term || r.asks != c.asks {
			t.Errorf("%s: voting %v, quarantine %v, marked %v, term %d, asked %d times", name, r.voting, r.g.On(), r.marked, r.term, r.asks)
		}
		if len(r.known) != c.asks || r.damaged != (c.marked && c.asks > 0) {
			t.Errorf("%s: %d answers, damaged %v", name, len(r.known), r.damaged)
		}
	}
}

// TestAllMustAnswer: any of them may be the one that holds the data, or the leader that a forgotten vote elected.
func TestAllMustAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReplica("b", "c", "d", "e")
		for _, id := range r.others[:3] {
			r.knows(id, Admission{})
		}
		began := time.Now()
		r.answers["e"] = func() (Admission, error) {
			if time.Since(began) < time.Minute {
				return Admission{}, errTest
			}
			return Admission{Established: true, Term: 5}, nil
		}
		if err := r.g.Admit(t.Context(), false); err != nil || r.voting || r.term != 5 {
			t.Errorf("%v, voting %v, term %d", err, r.voting, r.term)
		}
		if took := time.Since(began); took < time.Minute || r.waits < time.Minute-2*admissionPoll {
			t.Errorf("after %v, having told of %v", took, r.waits)
		}
	})
}

// TestAdmitEnds: with the start of the node, or with an answer that cannot be.
func TestAdmitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := newReplica("b").g.Admit(ctx, false); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
	r := newReplica("b")
	r.answers["b"] = func() (Admission, error) { return Admission{}, fmt.Errorf("%w: a term", ErrMalformed) }
	if err := r.g.Admit(t.Context(), false); !errors.Is(err, ErrMalformed) || r.asks != 1 {
		t.Errorf("%v, asked %d times", err, r.asks)
	}
}

// TestQuarantineIsWrittenDownFirst: what is not must not be forgotten with the next restart.
func TestQuarantineIsWrittenDownFirst(t *testing.T) {
	r := newReplica("b")
	r.knows("b", Admission{Established: true, Term: 7})
	r.markErr = errTest
	if err := r.g.Admit(t.Context(), false); !errors.Is(err, errTest) || r.term != 0 {
		t.Errorf("%v, term %d", err, r.term)
	}
	r.markErr, r.marked = nil, true
	r.start()
	if err := r.g.Admit(t.Context(), true); err != nil || !r.g.On() {
		t.Fatal(err, r.g.On())
	}
	r.markErr, r.caught = errTest, true
	if r.g.TryEnd(t.Context()); !r.g.On() || r.voting {
		t.Error("it votes, and a restart would not know")
	}
}

// TestTryEnd: the vote is given back for everything that the leader had logged, and for good.
func TestTryEnd(t *testing.T) {
	r := newReplica("b")
	r.marked = true
	if err := r.g.Admit(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if r.g.TryEnd(t.Context()); !r.g.On() || r.voting || !r.marked {
		t.Error("it votes, and lacks something")
	}
	r.caught = true
	if r.g.TryEnd(t.Context()); r.g.On() || !r.voting || r.marked {
		t.Errorf("quarantine %v, voting %v, marked %v", r.g.On(), r.voting, r.marked)
	}
}
