package shard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/internal/clock"
	"github.com/lockstepkv/lockstep/internal/mutant"
	"github.com/lockstepkv/lockstep/shard/session"
	"github.com/lockstepkv/lockstep/store"
)

// enqueueTimeout bounds how long Raft's main loop may take to accept an entry.
// It blocks on the leader's disk, so this is generous; the watchdog looks after
// a disk that hangs.
const enqueueTimeout = 10 * time.Second

// incoming is a batch that another node sent to this leader.
type incoming struct {
	batch  fsm.Batch
	until  time.Time // when a large batch that is not logged as a whole is given up; zero: never
	result fsm.BatchResult
	err    error
	done   chan struct{}
}

// largeWindow is how many fragments of a large entry may be on their way: enough
// that the disks are never idle. With others beside it is sharedWindow: an entry of theirs
// is flushed together with the fragments before it, on every node.
const (
	largeWindow  = 8
	sharedWindow = 2
	// besideFor is how long others count after an entry of theirs.
	besideFor = 100 * time.Millisecond
)

// packer puts every batch that waits into one log entry. It keeps one entry in
// flight: what comes meanwhile goes into the next. A large entry, which goes in
// fragments, may be on its way besides.
type packer struct {
	g    *Group
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

func newPacker(g *Group) *packer {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	return &packer{g: g, wake: make(chan struct{}, 1), large: make(chan struct{}, 1), timer: timer, pacer: newPacer(time.Now), picker: store.NewPicker()}
}

// kick makes the packer look for work, unless it waits for more than there is.
func (p *packer) kick() {
	if want := p.want.Load(); want > 0 && p.waiting() < want {
		return
	}
	p.nudge()
}

// nudge makes the packer look for work.
func (p *packer) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// submit has b logged and waits for its result.
func (p *packer) submit(ctx context.Context, b fsm.Batch) (fsm.BatchResult, error) {
	in := &incoming{batch: b, done: make(chan struct{})}
	if b.UnitBytes() > session.LargeBytes {
		return p.submitLarge(ctx, in)
	}
	p.mu.Lock()
	p.queue = append(p.queue, in)
	p.mu.Unlock()
	p.queued.Add(int64(b.Units))
	p.kick()
	return in.wait(ctx)
}

// submitLarge is submit for a large batch. One that has not got its turn when its time is up
// is given up for certain.
func (p *packer) submitLarge(ctx context.Context, in *incoming) (fsm.BatchResult, error) {
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
	p.kick()
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

// wait waits for the result.
func (in *incoming) wait(ctx context.Context) (fsm.BatchResult, error) {
	select {
	case <-in.done:
		return in.result, in.err
	case <-ctx.Done():
		return fsm.BatchResult{}, session.ErrDoubt
	}
}

// run packs until ctx ends.
func (p *packer) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			p.refuse()
			p.large <- struct{}{} // the goroutine of a large entry has ended
			return
		case <-p.wake:
		}
		for ctx.Err() == nil && p.packOne(ctx) {
		}
	}
}

// packOne logs one entry and reports whether there may be more to do.
func (p *packer) packOne(ctx context.Context) bool {
	term := p.g.serving.Load()
	if term == 0 || p.g.unreads.first.Load() > 0 {
		p.refuse()
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

func (p *packer) cut(pk *pack) *fsm.Cutter {
	p.nextID++
	return fsm.Cut(&pk.entry, p.nextID)
}

// reserve has disks keep room for an entry until it is logged. Where there is room only for
// what frees, the rest is refused. It returns nil if nothing remains.
func (p *packer) reserve(pk *pack) *fsm.Cutter {
	if p.g.room() != noneLeft {
		if cut := p.cut(pk); p.g.ask(cut.Bytes(), keepsAny) {
			return cut
		}
	}
	if pk.refuse(func(b *fsm.Batch) bool { return !p.g.opt.Table.FreesAll(b.Parts, b.Body) }); pk.empty() {
		return nil
	}
	if cut := p.cut(pk); p.g.ask(cut.Bytes(), keepsFrees) {
		return cut
	}
	pk.refuse(func(*fsm.Batch) bool { return true })
	if pk.tick {
		p.tick.Store(true) // with the next entry
	}
	return nil
}

// packLarge sends a large batch on its way if there is one and none is.
func (p *packer) packLarge(ctx context.Context, term uint64) {
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
func (p *packer) finishLarge(ctx context.Context, pk *pack, cut *fsm.Cutter, term uint64) {
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

// lend returns the units of the batch that is on its way, if that is the one; see fsm.Lender.
func (p *packer) lend(node string, boot, seq uint64) [][]byte {
	if b := p.lent.Load(); b != nil && b.Node == node && b.Boot == boot && b.Seq == seq {
		return b.Segments()
	}
	return nil
}

// collectLarge takes a large batch: of this node and of others in turn.
func (p *packer) collectLarge() *pack {
	pk := &pack{g: p.g}
	p.mu.Lock()
	if n := len(p.bulk); n > 0 && !p.othersLast {
		p.othersLast = true
	} else if f := p.g.session.TakeLarge(); f != nil {
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

// finish logs the entry and answers its batches. It returns how many units were
// waiting when they were answered.
func (p *packer) finish(ctx context.Context, pk *pack, cut *fsm.Cutter, term uint64) (waited int64) {
	started := time.Now()
	results, err := p.log(pk, cut)
	if err == nil && !p.g.mayAcknowledge(term) {
		err = session.ErrDoubt
	}
	if errors.Is(err, errUnread) {
		results, err = pk.unread(), nil
	}
	p.g.metrics.entry(time.Since(started), pk.units, len(pk.entry.Batches))
	waited = p.waiting()
	pk.deliver(results, err)
	if errors.Is(err, session.ErrNotServing) {
		clock.Pause(ctx, session.RetryPause) // leadership is being handed over, or is lost
	}
	return waited
}

// mayAcknowledge reports whether an entry that was packed in term, and is applied
// now, may be acknowledged. If another term has come, the wait that its leader owes
// to older leases may not be over; the batches are sent again and answered from
// the session. The flag alone would not do: it is cleared late.
func (g *Group) mayAcknowledge(term uint64) bool {
	return g.serving.Load() == term && g.sound() && (g.raft.CurrentTerm() == term || mutant.On(mutant.AckTermUnseen))
}

// gather waits a moment for the clients that were just answered: they are about
// to send their next commands, and can share an entry with those that came
// while the last one was on its way. Together they are as many as the last entry
// answered and found waiting.
func (p *packer) gather(ctx context.Context) {
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
func (p *packer) waiting() int64 { return p.g.session.Waiting() + p.queued.Load() }

// pack is the content of one entry on its way.
type pack struct {
	g        *Group
	entry    fsm.Entry
	remote   []*incoming
	inFlight []*session.InFlight
	units    int
	tick     bool // it is wanted even if it holds nothing
}

func (pk *pack) empty() bool {
	return len(pk.remote)+len(pk.inFlight)+len(pk.entry.Settings) == 0 && !pk.tick
}

// hold makes the batches those of the entry.
func (pk *pack) hold() {
	pk.entry.Batches, pk.units = nil, 0
	for _, in := range pk.remote {
		pk.entry.Batches = append(pk.entry.Batches, in.batch)
		pk.units += in.batch.Units
	}
	for _, f := range pk.inFlight {
		pk.entry.Batches = append(pk.entry.Batches, f.Batch)
		pk.units += f.Batch.Units
	}
}

// refuse takes batches out for which disks have no room.
func (pk *pack) refuse(which func(*fsm.Batch) bool) {
	pk.remote = slices.DeleteFunc(pk.remote, func(in *incoming) bool {
		no := which(&in.batch)
		if no {
			in.err = session.ErrFull
			close(in.done)
		}
		return no
	})
	pk.inFlight = slices.DeleteFunc(pk.inFlight, func(f *session.InFlight) bool {
		no := which(&f.Batch)
		if no {
			pk.g.session.Refuse(f, session.ErrFull)
		}
		return no
	})
	pk.hold()
}

// collect takes what waits, up to the size of an entry.
func (p *packer) collect() *pack {
	pk := &pack{g: p.g}
	room := fsm.MaxEntryBytes
	p.mu.Lock()
	n := 0
	for n < len(p.queue) && (n == 0 || p.queue[n].batch.Size() <= room) {
		room -= p.queue[n].batch.Size()
		n++
	}
	pk.remote = append(pk.remote, p.queue[:n]...)
	clear(p.queue[:n])
	p.queue = p.queue[n:]
	p.mu.Unlock()
	for _, in := range pk.remote {
		p.queued.Add(-int64(in.batch.Units))
	}
	for room > 0 {
		f := p.g.session.Take(room)
		if f == nil {
			break
		}
		pk.inFlight = append(pk.inFlight, f)
		room -= f.Batch.Size()
	}
	settings := p.g.settingsToPropose()
	if p.audit.Swap(false) {
		settings = append(settings, fsm.SettingChange{Setting: fsm.Audit})
	}
	if p.note.Swap(false) {
		settings = append(settings, fsm.SettingChange{Setting: fsm.TakeNote})
	}
	pk.entry.Settings, pk.tick = settings, p.tick.Swap(false)
	if pk.empty() {
		return nil
	}
	p.fill(pk)
	return pk
}

// fill completes the entry: stamp, limit, evictions, batches.
func (p *packer) fill(pk *pack) {
	e := &pk.entry
	e.ValueLimit = p.g.opt.MaxValueBytes
	limit, evicts := p.g.memoryLimit()
	now, newest := p.g.stamp(), p.g.fsm.Stamp()
	p.lastStamp.Wall = max(p.lastStamp.Wall, newest.Wall, now.Wall)
	p.lastStamp.Mono = max(p.lastStamp.Mono, newest.Mono, now.Mono)
	p.g.fsm.Inspect(func(s *store.Store, _ int64) {
		if limit == 0 {
			return
		}
		over := s.Used() - limit
		if evicts && over > 0 {
			freed := int64(0)
			for _, v := range s.Victims(p.lastStamp.Wall, over, p.picker) {
				e.Evictions = append(e.Evictions, fsm.Eviction{Key: []byte(v.Key), Version: v.Version})
				freed += v.Size
			}
			if freed >= over {
				return
			}
		}
		e.OOMLimit = limit
	})
	if p.g.room() != roomy {
		e.OOMLimit = command.NoDisk // for what could not be refused before: a retry under an idempotency key must get the first outcome
	}
	e.StampMillis, e.MonoMillis = p.lastStamp.Wall, p.lastStamp.Mono
	pk.hold()
}

// log has the entry committed and applied.
func (p *packer) log(pk *pack, cut *fsm.Cutter) ([]fsm.BatchResult, error) {
	if err := plausibleEntry(&pk.entry, p.g.clock.WallMillis()); err != nil {
		p.g.opt.Fatal(fmt.Errorf("shard %d: an entry that must not reach the log: %w", p.g.id, err))
		return nil, session.ErrNotServing
	}
	rest := cut.Bytes()
	defer func() { p.g.node.answered(rest) }()
	var window []raft.ApplyFuture
	unread := false
	for !cut.Done() {
		// Without its last fragment an entry is never applied.
		if pk.withdrawn() {
			return nil, session.ErrNotServing
		}
		for len(window) >= p.window() {
			if err := p.g.await(window[0]); err != nil {
				return nil, session.ErrNotServing
			}
			unread = unread || refusedBy(window[0])
			window = window[1:]
			piece := min(rest, fsm.FragmentBytes)
			p.g.node.answered(piece)
			rest -= piece
		}
		if cut.Large() {
			keepTogether(p.g.wire, p.g.raft.LastIndex())
		}
		window = append(window, p.g.raft.Apply(cut.Next(), enqueueTimeout))
	}
	if err := p.outcome(window); err != nil {
		return nil, err
	}
	if unread || slices.ContainsFunc(window, refusedBy) {
		return nil, errUnread
	}
	results, ok := window[len(window)-1].Response().([]fsm.BatchResult)
	if !ok || len(results) != len(pk.entry.Batches) {
		return nil, session.ErrDoubt // the fragments were interrupted by another leader's
	}
	return results, nil
}

// refusedBy reports whether this replica could not read what it has applied.
func refusedBy(f raft.ApplyFuture) bool {
	_, is := f.Response().(error)
	return is
}

// unread are the results of the batches of an entry that could not be read.
func (pk *pack) unread() []fsm.BatchResult {
	return slices.Repeat([]fsm.BatchResult{{Err: errUnread}}, len(pk.entry.Batches))
}

// window is how many fragments may be on their way now.
func (p *packer) window() int {
	if time.Since(time.Unix(0, p.packed.Load())) < besideFor {
		return sharedWindow
	}
	return largeWindow
}

// withdrawn reports whether nobody waits any more for a large batch.
func (pk *pack) withdrawn() bool {
	for _, in := range pk.remote {
		if !in.until.IsZero() && time.Now().After(in.until) {
			return true
		}
	}
	return len(pk.inFlight) == 1 && pk.inFlight[0].Withdrawn()
}

// outcome waits for the last fragments of an entry, or all of it. If one of them was not
// logged for certain, the entry is never applied.
func (p *packer) outcome(window []raft.ApplyFuture) (outcome error) {
	for _, f := range window {
		err := p.g.await(f)
		if err == nil {
			continue
		}
		if outcome = classify(err); errors.Is(outcome, session.ErrNotServing) {
			return outcome
		}
	}
	return outcome
}

// classify tells errors that prove that nothing was logged from the others.
func classify(err error) error {
	if errors.Is(err, raft.ErrNotLeader) || errors.Is(err, raft.ErrLeadershipTransferInProgress) ||
		errors.Is(err, raft.ErrEnqueueTimeout) {
		return session.ErrNotServing
	}
	return session.ErrDoubt
}

// deliver gives every batch its result.
func (pk *pack) deliver(results []fsm.BatchResult, err error) {
	for i, in := range pk.remote {
		if err == nil {
			in.result = results[i]
		}
		in.err = err
		close(in.done)
	}
	for i, f := range pk.inFlight {
		if err == nil {
			pk.g.session.Resolve(f, results[len(pk.remote)+i])
		} else {
			pk.g.session.Fail(f, err == session.ErrDoubt)
		}
	}
}

// refuse sends waiting batches of other nodes back.
func (p *packer) refuse() {
	p.mu.Lock()
	queue, bulk := p.queue, p.bulk
	p.queue, p.bulk = nil, nil
	p.mu.Unlock()
	for _, in := range queue {
		p.queued.Add(-int64(in.batch.Units))
	}
	for _, in := range append(queue, bulk...) {
		in.err = session.ErrNotServing
		close(in.done)
	}
}
