package batch

import (
	"context"
	"slices"
	"time"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/shard/session"
)

// largeWindow is how many fragments of a large entry may be on their way: enough
// that the disks are never idle. With others beside it is sharedWindow: an entry of theirs
// is flushed together with the fragments before it, on every node. One instead of two halves
// the wait of others (p99 of 55 to 71 ms instead of 116 to 141, beside 256 MiB), and a large
// value is as fast.
const (
	largeWindow  = 8
	sharedWindow = 1
	// besideFor is how long others count after an entry of theirs.
	besideFor = 100 * time.Millisecond
)

// submitLarge is submit for a large batch. One that has not got its turn when its time is up
// is given up for certain.
func (p *Packer) submitLarge(ctx context.Context, in *incoming) (fsm.BatchResult, error) {
	turn := ctx
	if until, ok := ctx.Deadline(); ok {
		in.until = until.Add(-session.WithdrawGrace)
		var cancel context.CancelFunc
		turn, cancel = context.WithDeadline(ctx, in.until)
		defer cancel()
	}
	p.mu.Lock()
	p.bulk = append(p.bulk, in)
	p.mu.Unlock()
	p.Kick()
	result, err := in.wait(turn)
	if err == nil || turn.Err() == nil {
		return result, err
	}
	p.mu.Lock()
	i := slices.Index(p.bulk, in)
	if i >= 0 {
		p.bulk = slices.Delete(p.bulk, i, i+1)
	}
	p.mu.Unlock()
	if i >= 0 {
		return fsm.BatchResult{}, session.ErrNotServing
	}
	return in.wait(ctx)
}

// packLarge sends a large batch on its way if there is one and none is.
func (p *Packer) packLarge(ctx context.Context, term uint64) {
	select {
	case p.large <- struct{}{}:
	default:
		return
	}
	pk := p.collectLarge()
	if pk == nil {
		<-p.large
		return
	}
	cut := p.reserve(pk)
	if cut == nil {
		<-p.large
		p.nudge() // for the next one
		return
	}
	p.finishLarge(ctx, pk, cut, term)
}

// finishLarge is finish for the large entry, which goes in the background.
func (p *Packer) finishLarge(ctx context.Context, pk *pack, cut *fsm.Cutter, term uint64) {
	if len(pk.remote) == 1 && len(pk.inFlight) == 0 {
		p.lent.Store(&pk.remote[0].batch)
	}
	go func() {
		p.finish(ctx, pk, cut, term)
		p.lent.Store(nil)
		<-p.large
		p.nudge()
	}()
}

// Lend returns the units of the batch that is on its way, if that is the one; see fsm.Lender.
func (p *Packer) Lend(node string, boot, seq uint64) [][]byte {
	if b := p.lent.Load(); b != nil && b.Node == node && b.Boot == boot && b.Seq == seq {
		return b.Segments()
	}
	return nil
}

// collectLarge takes a large batch: of this node and of others in turn.
func (p *Packer) collectLarge() *pack {
	pk := &pack{session: p.opt.Session}
	p.mu.Lock()
	if n := len(p.bulk); n > 0 && !p.othersLast {
		p.othersLast = true
	} else if f := p.opt.Session.TakeLarge(); f != nil {
		pk.inFlight, p.othersLast = []*session.InFlight{f}, false
	} else if n == 0 {
		p.mu.Unlock()
		return nil
	}
	if len(pk.inFlight) == 0 {
		pk.remote = []*incoming{p.bulk[0]}
		p.bulk[0] = nil
		p.bulk = p.bulk[1:]
	}
	p.mu.Unlock()
	p.fill(pk)
	return pk
}

// window is how many fragments may be on their way now.
func (p *Packer) window() int {
	if time.Since(time.Unix(0, p.packed.Load())) < besideFor {
		return sharedWindow
	}
	return largeWindow
}
