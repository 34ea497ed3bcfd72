package soundness

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstepkv/lockstep/internal/wire"
	"github.com/lockstepkv/lockstep/shard/readindex"
)

// ask asks for a piece of a state, 0 for the first one.
func (p *replica) ask(ticket uint64) (next uint64, more bool, err error) {
	reply, err := p.k.Answer(AskState, wire.AppendUvarints(nil, ticket))
	left, rest, _ := wire.CutUvarint(reply)
	next, _, _ = wire.CutUvarint(rest)
	return next, left == stateMore, err
}

// TestHandoutEnds: the state of a replica is handed out to one other at a time, and not kept for one that
// does not ask for the rest.
func TestHandoutEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRing("a", "b")
		defer r.close()
		a := r["a"]
		a.data = strings.Repeat("x", 5*statePiece)
		ticket, more, err := a.ask(0)
		if err != nil || !more {
			t.Fatal(more, err)
		}
		if _, _, err := a.ask(0); !errors.Is(err, errHandout) {
			t.Errorf("a second one: %v", err)
		}
		if _, _, err := a.ask(ticket + 2); !errors.Is(err, errHandout) {
			t.Errorf("with another ticket: %v", err)
		}
		for range 3 {
			time.Sleep(stateTimeout - time.Second)
			if _, _, err := a.ask(ticket); err != nil {
				t.Errorf("in time: %v", err)
			}
		}
		time.Sleep(stateTimeout)
		synctest.Wait()
		if _, _, err := a.ask(ticket); !errors.Is(err, errHandout) {
			t.Errorf("after its time: %v", err)
		}
		a.k.handout.done.Wait()
		if got, err := io.ReadAll(r["b"].k.ReadState(t.Context(), "a")); err != nil || string(got) != a.data {
			t.Errorf("the state as a peer reads it: %d bytes, %v", len(got), err)
		}
	})
}

// TestHandoutOfEverySize: the last piece may be full, or the only one, or empty.
func TestHandoutOfEverySize(t *testing.T) {
	r := newRing("a", "b")
	defer r.close()
	for _, size := range []int{0, 1, statePiece - 1, statePiece, statePiece + 1, 2 * statePiece} {
		r["a"].data = strings.Repeat("y", size)
		if got, err := io.ReadAll(r["b"].k.ReadState(t.Context(), "a")); err != nil || string(got) != r["a"].data {
			t.Errorf("%d bytes: %d, %v", size, len(got), err)
		}
	}
}

// TestWhoMayNotHandOut: a state that is not known to be right, and one that has yet to catch up.
func TestWhoMayNotHandOut(t *testing.T) {
	for name, given := range map[string]func(p *replica){
		"wrong":      func(p *replica) { p.k.Condemn("the test says so") },
		"unread":     func(p *replica) { p.k.Refused(bad, errTest) },
		"quarantine": func(p *replica) { p.quarantined = true },
	} {
		a := newRing("a", "b")["a"]
		given(a)
		if _, _, err := a.ask(0); !errors.Is(err, readindex.ErrDiverged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCloseEndsTheHandout, and nothing is handed out afterwards.
func TestCloseEndsTheHandout(t *testing.T) {
	a := newRing("a", "b")["a"]
	a.data = strings.Repeat("x", 3*statePiece)
	ticket, _, err := a.ask(0)
	if err != nil {
		t.Fatal(err)
	}
	a.k.Close()
	for _, n := range []uint64{0, ticket} {
		if _, _, err := a.ask(n); !errors.Is(err, errHandout) {
			t.Errorf("with ticket %d: %v", n, err)
		}
	}
}

// TestMalformedStateMessages are refused on both sides.
func TestMalformedStateMessages(t *testing.T) {
	r := newRing("a", "b")
	defer r.close()
	for _, msg := range [][]byte{nil, {0, 0}, {0x80}} {
		if _, err := r["a"].k.Answer(AskState, msg); !errors.Is(err, errMalformed) {
			t.Errorf("%v: %v", msg, err)
		}
	}
}
