package session

import (
	"errors"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/internal/invariant"
	"github.com/lockstepkv/lockstep/resp"
)

// proposal is one call of Propose.
type proposal struct {
	batch   command.Batch
	lane    *lane
	queued  time.Time
	until   time.Time // the caller's deadline; zero: none
	in      *InFlight // guarded by Session.mu
	taken   bool      // part of a batch; guarded by Session.mu
	doubted bool      // part of a batch that was in doubt once; guarded by Session.mu
	gone    bool      // the caller gave up; guarded by Session.mu
	done    chan struct{}
	replies []resp.Value
	index   uint64 // see command.Batch.Index
	err     error
}

// answer is what Propose returns once p is done.
func (p *proposal) answer() ([]resp.Value, error) {
	if p.batch.Index != nil && p.err == nil {
		*p.batch.Index = p.index
	}
	return p.replies, p.err
}

// late tells a caller that is in doubt what came of it.
func (p *proposal) late() {
	if p.batch.Late != nil && (p.gone || errors.Is(p.err, command.ErrInDoubt)) {
		p.batch.Late(p.replies, p.err)
	}
}

// InFlight is a numbered batch on its way.
type InFlight struct {
	Batch     fsm.Batch // whoever took the batch reads it, and changes nothing
	proposals []*proposal
	lane      *lane
	out       bool // a leader has it; guarded by Session.mu
	doubt     bool // a leader may have logged it; guarded by Session.mu
	resting   bool // disks have no room for it; guarded by Session.mu
	refused   int  // how often they had none; guarded by Session.mu

	// withdrawn: nobody waits for it any more. A leader that has not logged all of it stops.
	withdrawn atomic.Bool
}

// whole reports whether the state machine may keep the long arguments where they are.
func (f *InFlight) whole() bool { return len(f.proposals) == 1 && f.proposals[0].batch.Whole }

// Withdrawn reports whether nobody waits for it any more: a leader that has not logged all of it stops.
func (f *InFlight) Withdrawn() bool { return f.withdrawn.Load() }

// large is 1 for a large batch and 0 for others.
func (f *InFlight) large() int {
	if f.Batch.UnitBytes() > LargeBytes {
		return 1
	}
	return 0
}

// until is when a large batch is given up that is not logged as a whole; zero: never.
func (f *InFlight) until() time.Time {
	if f.large() == 0 {
		return time.Time{}
	}
	return f.proposals[0].until
}

// checkAlone checks of the long arguments among parts, each of which comes after an encoding, that
// they were allocated alone, as far as that can be seen: nothing is behind them, and they begin
// where the runtime lets large objects begin, at a page.
func checkAlone(parts [][]byte) {
	const pageBytes = 8 << 10
	for i := 1; i < len(parts); i += 2 {
		p := parts[i]
		at := uintptr(unsafe.Pointer(unsafe.SliceData(p)))
		invariant.Check(cap(p) == len(p) && at%pageBytes == 0, "a lent argument of %d bytes is part of something larger", len(p))
	}
}

// joinBodies returns the units of proposals, which have no parts unless there is one only.
func joinBodies(ps []*proposal, size int) (parts [][]byte, body []byte) {
	if len(ps) == 1 {
		return ps[0].batch.Parts, ps[0].batch.Body
	}
	body = make([]byte, 0, size)
	for _, p := range ps {
		body = append(body, p.batch.Body...)
	}
	return nil, body
}
