package leadership

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockstepkv/lockstep/internal/clock"
	"github.com/lockstepkv/lockstep/internal/failpoint"
	"github.com/lockstepkv/lockstep/shard/readindex"
	"github.com/lockstepkv/lockstep/shard/session"
)

// Office is a replica's leadership of its shard.
type Office struct {
	opt       Options
	changes   chan bool // Raft says that this node leads, or no longer
	since     atomic.Int64
	transfers transfers
	wg        sync.WaitGroup
}

// New returns an office that nobody holds. Raft may be there later.
func New(opt Options) *Office { return &Office{opt: opt, changes: make(chan bool, 16)} }

// Changes is where Raft says that this node leads, or no longer.
func (o *Office) Changes() chan<- bool { return o.changes }

// Since is the monotonic time at which this node last began to serve.
func (o *Office) Since() time.Duration { return time.Duration(o.since.Load()) }

// Run follows Raft's word on who leads and opens and closes the service, until ctx ends.
func (o *Office) Run(ctx context.Context) {
	defer o.wg.Wait()
	withdraw := func() {} // ends the attempt to establish this node as leader
	defer func() { withdraw() }()
	for {
		select {
		case <-ctx.Done():
			o.opt.Served.Store(0)
			return
		case leads := <-o.changes:
			withdraw()
			o.opt.Served.Store(0)
			o.opt.Service.Closed()
			if leads {
				withdraw = o.campaignWon(ctx)
			}
		}
	}
}

// campaignWon begins to establish this node as leader, and returns how to end that.
func (o *Office) campaignWon(ctx context.Context) (withdraw context.CancelFunc) {
	o.opt.Figures.Election("won")
	ctx, withdraw = context.WithCancel(ctx)
	o.wg.Go(func() { o.establish(ctx) })
	return withdraw
}

// establish makes a new leader ready, and tries again as long as it leads: Raft
// says only once who leads. A leader that cannot serve for resignAfter gives the
// leadership up, if there is anybody who could take it.
func (o *Office) establish(ctx context.Context) {
	term := o.opt.Raft.Term()
	elected := o.opt.Clock.Mono() // or earlier; the silence below only gets longer
	var told error
	for {
		err := o.tryEstablish(ctx, term, elected)
		if err == nil || ctx.Err() != nil || !o.opt.Raft.Leads(term) {
			return
		}
		if told == nil || told.Error() != err.Error() {
			o.opt.Logger.Warn("this node leads and cannot serve yet", "term", term, "error", err)
			told = err
		}
		if o.opt.Clock.Mono()-elected > o.resignAfter() {
			o.opt.Logger.Warn("giving up a leadership that cannot serve", "term", term, "error", err)
			o.Resign(ctx, term)
			elected = o.opt.Clock.Mono() // from now on, should nobody take it
		}
		clock.Pause(ctx, establishPause)
	}
}

// establishPause is how long a leader that could not begin to serve waits before
// it tries again.
const establishPause = 50 * time.Millisecond

var errClockOff = errors.New("this node's clock differs from those of a quorum")

// tryEstablish opens the service once everything committed before the term is
// applied, and no earlier leader can still answer under a lease.
func (o *Office) tryEstablish(ctx context.Context, term uint64, elected time.Duration) error {
	if failpoint.Enabled {
		if err := failpoint.Inject("shard/establish/" + o.opt.Self); err != nil {
			return err
		}
	}
	if err := o.opt.Raft.Barrier(); err != nil {
		return fmt.Errorf("apply what was committed before: %w", err)
	}
	clock.Pause(ctx, elected+o.opt.Shard.Silence()-o.opt.Clock.Mono())
	if ctx.Err() != nil || !o.opt.Raft.Leads(term) {
		return session.ErrNotServing
	}
	if !o.opt.Shard.Sound() {
		return readindex.ErrDiverged
	}
	if o.opt.Shard.ClockOff(ctx) {
		o.opt.Shard.HandOver(ctx)
		return errClockOff
	}
	o.open(ctx, term)
	return nil
}

// open begins the service.
func (o *Office) open(ctx context.Context, term uint64) {
	o.opt.Service.Prepare()
	o.since.Store(int64(o.opt.Clock.Mono()))
	o.opt.Served.Store(term)
	o.opt.Service.Served(term)
	if ctx.Err() != nil || !o.opt.Shard.Sound() { // lost meanwhile: Run has closed the service already, or is about to
		o.opt.Served.CompareAndSwap(term, 0)
		return
	}
	o.opt.Service.Opened(term)
}

// resignAfter is longer than any transfer of leadership takes that does not hang.
func (o *Office) resignAfter() time.Duration { return o.opt.Timeout + time.Second }

// Resign makes Raft give the leadership up. The library has no call for that, so
// the others get no more messages from this leader, until it has noticed that it
// has no quorum; by then they elect another one.
func (o *Office) Resign(ctx context.Context, term uint64) {
	if len(o.opt.Shard.Others()) == 0 {
		return
	}
	o.opt.Shard.Mute(true)
	defer o.opt.Shard.Mute(false)
	over := o.opt.Clock.Mono() + 2*o.opt.Timeout + time.Second
	for o.opt.Raft.Leads(term) && ctx.Err() == nil && o.opt.Clock.Mono() < over {
		clock.Pause(ctx, establishPause)
	}
}
