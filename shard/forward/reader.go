package forward

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/internal/clock"
)

// Nodes is whom a Reader asks.
type Nodes interface {
	// Order lists the nodes with a replica, as the view in force says: whom to ask first is first.
	Order() []string
	// Denied is told of a node that does not lead, or could not be asked.
	Denied(node string)
	// Read sends a request to a node and returns what AppendAnswer wrote there. An error that
	// wraps ErrFinal is the same at every node.
	Read(ctx context.Context, node string, request ...[]byte) ([]byte, error)
}

// ErrFinal is an error of Nodes.Read for a request that no node will answer: it cannot be read, or
// its answer is too long to be sent.
var ErrFinal = errors.New("no node answers this request")

const (
	// patience is how many rounds may find that none of the nodes of the view has a replica.
	patience = 16
	// roundPause and roundPauseMost are the pauses after a round in vain.
	roundPause     = 5 * time.Millisecond
	roundPauseMost = 100 * time.Millisecond
)

// Reader has reads answered by nodes that have a replica: the leader first, and another one when it
// does not answer soon. All follow the same rule, so the first answer counts. A read changes
// nothing, so it may be asked several times, and its errors are definite.
type Reader struct {
	nodes Nodes
	hedge time.Duration         // after which the next node is asked as well
	count func(outcome Outcome) // never blocks
}

// Outcome is what came of a read, for the figures.
type Outcome string

// Outcomes.
const (
	Answered Outcome = "answered"
	Refused  Outcome = "refused" // for good: too stale, or nothing that can be answered
	Failed   Outcome = "failed"  // no node answered in time
)

// NewReader returns a reader. hedge is how long a node may take before the next one is asked, too.
func NewReader(nodes Nodes, hedge time.Duration, count func(Outcome)) *Reader {
	return &Reader{nodes: nodes, hedge: hedge, count: count}
}

// Read has q answered.
func (r *Reader) Read(ctx context.Context, opt command.ReadOptions, q command.Sent) (command.ReadInfo, error) {
	var req command.Request
	q.Ask(&req)
	msg := append([][]byte{AppendRequest(nil, opt, &req)}, req.Units.Parts...)
	msg = append(msg, req.Units.Body)
	began := time.Now()
	vain := 0
	for pause := roundPause; ; pause = min(2*pause, roundPauseMost) {
		info, answer, err := r.round(ctx, msg, req.Units.N)
		switch {
		case err == nil:
			r.count(Answered)
			if opt.Consistency == command.Stale {
				info.Age += time.Since(began) // it is older by now
			}
			q.Take(&answer)
			return info, nil
		case errors.Is(err, command.ErrTooStale):
			r.count(Refused)
			return info, err
		case errors.Is(err, ErrFinal):
			r.count(Refused)
			return info, fmt.Errorf("%w: %w", command.ErrUnavailable, err)
		case errors.Is(err, ErrNotHere):
			vain++
		}
		if vain >= patience || ctx.Err() != nil {
			r.count(Failed)
			return info, fmt.Errorf("%w: no node with a replica answered: %w", command.ErrUnavailable, err)
		}
		clock.Pause(ctx, pause)
	}
}

// told is one node's answer.
type told struct {
	node   string
	info   command.ReadInfo
	answer command.Answer
	err    error
}

// round asks the nodes one after the other, the next one when the last has failed or takes long, and
// returns the first answer. Its error is ErrNotHere only if all said that.
func (r *Reader) round(ctx context.Context, msg [][]byte, units int) (command.ReadInfo, command.Answer, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	order := r.nodes.Order()
	answers := make(chan told, len(order))
	timer := time.NewTimer(r.hedge)
	defer timer.Stop()
	worst, ask := told{err: ErrNotHere}, true
	for next, out := 0, 0; ; {
		if ask && next < len(order) {
			node := order[next]
			next, out, ask = next+1, out+1, false
			go func() { answers <- r.ask(ctx, node, msg, units) }()
			timer.Reset(r.hedge)
		}
		if out == 0 {
			return worst.info, worst.answer, worst.err
		}
		select {
		case a := <-answers:
			if a.err == nil || errors.Is(a.err, ErrFinal) {
				return a.info, a.answer, a.err
			}
			out, ask = out-1, true
			if ctx.Err() == nil {
				r.nodes.Denied(a.node)
			}
			if !errors.Is(a.err, ErrNotHere) && !errors.Is(worst.err, command.ErrTooStale) {
				worst = a
			}
		case <-timer.C:
			ask = true
		case <-ctx.Done():
			return worst.info, worst.answer, ctx.Err()
		}
	}
}

func (r *Reader) ask(ctx context.Context, node string, msg [][]byte, units int) told {
	reply, err := r.nodes.Read(ctx, node, msg...)
	if err != nil {
		return told{node: node, err: err}
	}
	info, answer, err := DecodeAnswer(reply, units)
	return told{node, info, answer, err}
}
