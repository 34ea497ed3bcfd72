package batch

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/internal/clock"
	"github.com/lockstepkv/lockstep/shard/session"
	"github.com/lockstepkv/lockstep/store"
)

// Packer puts every batch that waits into one log entry. It keeps one entry in
// flight: what comes meanwhile goes into the next. A large entry, which goes in
// fragments, may be on its way besides.
type Packer struct {
	opt  Options
	wake chan struct{} // capacity 1

	mu     sync.Mutex
	queue  []*incoming  // from other nodes
	bulk   []*incoming  // likewise, large ones
	queued atomic.Int64 // units in queue

	audit atomic.Bool  // the next entry is to ask for an audit
	note  atomic.Bool  // the next entry is to ask for a note
	tick  atomic.Bool  // an entry is wanted even if nothing waits
	want  atomic.Int64 // while gather waits: how many units it waits for

	packed atomic.Int64 // when a small entry last began or ended, Unix nanoseconds

	large chan struct{} // capacity 1, full while a large entry is on its way
	// lent is the batch of that entry, if another node sent it.
	lent atomic.Pointer[fsm.Batch]

	// What follows is touched by run alone.
	timer      *time.Timer
	pacer      *pacer
	expected   int64 // units that may come together for the next entry
	lastStamp  fsm.Stamp
	nextID     uint64 // of fragmented entries
	othersLast bool   // a large batch of another node was taken last
	picker     *store.Picker
}

// New returns a packer for one replica of a shard.
func New(opt Options) *Packer {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	return &Packer{
		opt: opt, wake: make(chan struct{}, 1), large: make(chan struct{}, 1), timer: timer,
		pacer: newPacer(time.Now), picker: store.NewPicker(),
	}
}

// WantAudit has the next entry ask for an audit.
func (p *Packer) WantAudit() {
	p.audit.Store(true)
	p.Kick()
}

// WantNote has the next entry ask for a note.
func (p *Packer) WantNote() {
	p.note.Store(true)
	p.Kick()
}

// WantEntry has an entry logged even if nothing waits.
func (p *Packer) WantEntry() {
	p.tick.Store(true)
	p.Kick()
}

// Kick makes the packer look for work, unless it waits for more than there is.
func (p *Packer) Kick() {
	if want := p.want.Load(); want > 0 && p.waiting() < want {
		return
	}
	p.nudge()
}

// nudge makes the packer look for work.
func (p *Packer) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Submit has b logged and waits for its result.
func (p *Packer) Submit(ctx context.Context, b fsm.Batch) (fsm.BatchResult, error) {
	in := &incoming{batch: b, done: make(chan struct{})}
	if b.UnitBytes() > session.LargeBytes {
		return p.submitLarge(ctx, in)
	}
	p.mu.Lock()
	p.queue = append(p.queue, in)
	p.mu.Unlock()
	p.queued.Add(int64(b.Units))
	p.Kick()
	return in.wait(ctx)
}

// Run packs until ctx ends.
func (p *Packer) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			p.turnAway(session.ErrNotServing)
			p.large <- struct{}{} // the goroutine of a large entry has ended
			return
		case <-p.wake:
		}
		for ctx.Err() == nil && p.packOne(ctx) {
		}
	}
}

// packOne logs one entry and reports whether there may be more to do.
func (p *Packer) packOne(ctx context.Context) bool {
	term := p.opt.Shard.Leading()
	if term == 0 {
		p.turnAway(session.ErrNotServing)
		return false
	}
	p.gather(ctx)
	p.packLarge(ctx, term)
	pk := p.collect()
	if pk == nil {
		return false
	}
	cut := p.reserve(pk)
	if cut == nil {
		clock.Pause(ctx, session.RetryPause) // what the shard itself wants to log comes again
		return true
	}
	if cut.Large() { // for the sake of what it evicts
		p.large <- struct{}{}
		p.finishLarge(ctx, pk, cut, term)
		return true
	}
	p.packed.Store(time.Now().UnixNano())
	waited := p.finish(ctx, pk, cut, term)
	p.packed.Store(time.Now().UnixNano())
	p.expected = int64(pk.units) + waited
	p.pacer.logged(pk.units)
	return true
}

func (p *Packer) cut(pk *pack) *fsm.Cutter {
	p.nextID++
	return fsm.Cut(&pk.entry, p.nextID)
}

// reserve has disks keep room for an entry until it is logged. Where there is room only for
// what frees, the rest is refused. It returns nil if nothing remains.
func (p *Packer) reserve(pk *pack) *fsm.Cutter {
	if !p.opt.Disks.Full() {
		if cut := p.cut(pk); p.opt.Disks.Ask(cut.Bytes(), false) {
			return cut
		}
	}
	if pk.refuse(func(b *fsm.Batch) bool { return !p.opt.Disks.Frees(b) }); pk.empty() {
		return nil
	}
	if cut := p.cut(pk); p.opt.Disks.Ask(cut.Bytes(), true) {
		return cut
	}
	pk.refuse(func(*fsm.Batch) bool { return true })
	if pk.tick {
		p.tick.Store(true) // with the next entry
	}
	return nil
}

// finish logs the entry and answers its batches. It returns how many units were
// waiting when they were answered.
func (p *Packer) finish(ctx context.Context, pk *pack, cut *fsm.Cutter, term uint64) (waited int64) {
	started := time.Now()
	results, err := p.log(pk, cut)
	if err == nil && !p.opt.Shard.MayAcknowledge(term) {
		err = session.ErrDoubt
	}
	if errors.Is(err, session.ErrUnread) {
		results, err = pk.unread(), nil
	}
	p.opt.Shard.Logged(time.Since(started), pk.units, len(pk.entry.Batches))
	waited = p.waiting()
	pk.deliver(results, err)
	if errors.Is(err, session.ErrNotServing) {
		clock.Pause(ctx, session.RetryPause) // leadership is being handed over, or is lost
	}
	return waited
}

// gather waits a moment for the clients that were just answered: they are about
// to send their next commands, and can share an entry with those that came
// while the last one was on its way. Together they are as many as the last entry
// answered and found waiting.
func (p *Packer) gather(ctx context.Context) {
	want, wait := p.expected*7/8, p.pacer.wait()
	if wait == 0 || want < 2 || p.waiting() >= want {
		return
	}
	p.want.Store(want)
	defer p.want.Store(0)
	p.timer.Reset(wait)
	defer p.timer.Stop()
	for p.waiting() < want {
		select {
		case <-p.wake:
		case <-p.timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// waiting returns how many units wait to be logged by this node.
func (p *Packer) waiting() int64 { return p.opt.Session.Waiting() + p.queued.Load() }

// turnAway sends waiting batches of other nodes back.
func (p *Packer) turnAway(why error) {
	p.mu.Lock()
	queue, bulk := p.queue, p.bulk
	p.queue, p.bulk = nil, nil
	p.mu.Unlock()
	for _, in := range queue {
		p.queued.Add(-int64(in.batch.Units))
	}
	answer(append(queue, bulk...), why)
}
