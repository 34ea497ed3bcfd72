package router

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
	"unsafe"

	"github.com/lockstepkv/lockstep/api/clientmem"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// item is one command, or one transaction, of a run.
type item struct {
	p     *plan
	args  command.Args
	tx    *transaction
	op    command.Op // parsed, for reads
	out   int        // where the reply goes
	write bool
	stale bool // may be answered from this node's memory
}

// run is the part of a pipeline that concerns one shard. Runs belong to their
// session and are used again.
type run struct {
	r     *Router
	shard Shard
	items []item

	out    []resp.Value
	lo, hi int // the items that the current Read answers
	done   int // items[:done] have their replies

	noTouch    bool
	bound      bool // the replies to reads have a bound; see Session.replyBytes
	held, made int  // what replies take before and after the current Read

	kept int // items that there is room for, as the session counts it

	hits, misses int // of the current Read
	readFn       func(*command.Ctx)
	info         command.ReadInfo
}

// keptItems bounds what an idle session keeps of a large pipeline.
const keptItems = 256

// run returns the session's run for a shard, ready to be added to.
func (s *Session) run(shard int) *run {
	if s.runs == nil {
		s.runs = make([]*run, len(s.r.shards))
	}
	ru := s.runs[shard]
	if ru == nil {
		ru = &run{r: s.r, shard: s.r.shards[shard]}
		ru.readFn = ru.answer
		s.runs[shard] = ru
	}
	if len(ru.items) == 0 {
		s.active = append(s.active, ru)
	}
	return ru
}

func (ru *run) add(it item, stale bool) {
	it.stale = stale
	ru.items = append(ru.items, it)
}

// stale reports whether items[from:to] may all be answered from this node's
// memory. One that may not, such as a transaction with watches, makes the whole
// Read linearizable.
func (ru *run) stale(from, to int) bool {
	for i := from; i < to; i++ {
		if !ru.items[i].stale {
			return false
		}
	}
	return true
}

// size is how long the requests are that change data.
func (ru *run) size() (n int) {
	for i := range ru.items {
		if ru.items[i].write {
			n += ru.items[i].size()
		}
	}
	return n
}

func (ru *run) clear() {
	clear(ru.items)
	ru.items = ru.items[:0]
	if cap(ru.items) > keptItems {
		ru.items = nil
	}
	ru.out, ru.done = nil, 0
}

// countRun counts what a run keeps for the commands to come.
func (s *Session) countRun(ru *run) {
	if room := cap(ru.items); room != ru.kept {
		s.mem.Add(clientmem.Base, int64(room-ru.kept)*int64(unsafe.Sizeof(item{})))
		ru.kept = room
	}
}

// runSideBySide runs the active runs of several shards at once.
func runSideBySide(ctx context.Context, s *Session, out []resp.Value) {
	var wg sync.WaitGroup
	for _, ru := range s.active[1:] {
		wg.Go(func() { ru.exec(ctx, s, out) })
	}
	s.active[0].exec(ctx, s, out)
	wg.Wait()
}

// exec runs the items: reads before the first write, everything up to the last
// write, reads after it.
func (ru *run) exec(ctx context.Context, s *Session, out []resp.Value) {
	ru.out = out
	n := len(ru.items)
	first, last := n, n
	for i := range ru.items {
		if ru.items[i].write {
			if first == n {
				first = i
			}
			last = i + 1
		}
	}
	if ru.reads(ctx, s, 0, first) && ru.writes(ctx, s, first, last) && ru.reads(ctx, s, last, n) {
		return
	}
	for i := ru.done; i < n; i++ {
		out[ru.items[i].out] = errSkipped
	}
}

// reads answers items[from:to], a bounded number per Read.
func (ru *run) reads(ctx context.Context, s *Session, from, to int) bool {
	for from < to {
		next := ru.together(from, min(from+ru.r.cfg.MaxBatchUnits, to))
		if !ru.readSome(ctx, s, from, next) {
			return false
		}
		from = next
	}
	return true
}

// together is how far the items from one on may be answered by one Read: those that walk
// over keys or locks go alone, so that writers come between them.
func (ru *run) together(from, to int) int {
	for i := from; i < to; i++ {
		if ru.items[i].p.has(command.Walks) {
			return max(i, from+1)
		}
	}
	return to
}

func (ru *run) readSome(ctx context.Context, s *Session, from, to int) bool {
	ru.lo, ru.hi, ru.done = from, to, to
	ru.noTouch = s.view.Load().NoTouch
	ru.bound, ru.held = s.kind == KindHTTP, int(s.replyBytes.Load())
	ru.made = ru.held
	start := ru.r.now()
	var err error
	if ru.parse() {
		opt := s.read
		if ru.stale(from, to) {
			opt = command.ReadOptions{Consistency: command.Stale}
		}
		if ru.info, err = ru.shard.Read(ctx, opt, ru.readFn); err != nil {
			ru.failReads(err)
		} else {
			s.replyBytes.Add(int64(ru.made - ru.held))
			ru.r.stats.Hits.Add(int64(ru.hits))
			ru.r.stats.Misses.Add(int64(ru.misses))
		}
	}
	ru.observe(s, from, to, start)
	return err == nil
}

// parse prepares the items of the current Read and reports whether any of them
// needs the store.
func (ru *run) parse() bool {
	any := false
	for i := ru.lo; i < ru.hi; i++ {
		it := &ru.items[i]
		if it.tx != nil {
			any = true
			continue
		}
		op, err := it.p.spec.Parse(it.args)
		if err != nil {
			ru.out[it.out] = readError(err)
			continue
		}
		it.op, any = op, true
	}
	return any
}

func (ru *run) failReads(err error) {
	v := readError(err)
	for i := ru.lo; i < ru.hi; i++ {
		if it := &ru.items[i]; it.op != nil || it.tx != nil {
			ru.out[it.out] = v
		}
	}
}

// answer runs under the store's read lock, maybe more than once.
func (ru *run) answer(ctx *command.Ctx) {
	ctx.NoTouch = ru.noTouch
	ctx.BoundReplies, ctx.ReplyBytes = ru.bound, ru.held
	hits, misses := ctx.Hits, ctx.Misses
	for i := ru.lo; i < ru.hi; i++ {
		it := &ru.items[i]
		switch {
		case it.tx != nil:
			ru.out[it.out] = ru.r.table.RunUnit(ctx, &it.tx.unit)
		case it.op != nil:
			ru.out[it.out] = it.p.spec.Run(ctx, it.op)
		}
	}
	ru.made = ctx.ReplyBytes
	ru.hits, ru.misses = ctx.Hits-hits, ctx.Misses-misses
}

// writes proposes items[from:to] in batches of bounded size.
func (ru *run) writes(ctx context.Context, s *Session, from, to int) bool {
	growth, rest := ru.shard.NoRoom()
	for from < to {
		if err := ru.noRoom(from, growth, rest); err != nil {
			ru.refuse(ctx, s, from, err)
			from++
			continue
		}
		var b command.Batch
		b.Body = make([]byte, 0, ru.batchSize(from, to))
		next := from
		for next < to && b.N < ru.r.cfg.MaxBatchUnits {
			size := ru.items[next].size()
			if b.N > 0 && (b.Size()+size > ru.r.cfg.MaxBatchBytes || ru.noRoom(next, growth, rest) != nil) {
				break
			}
			ru.items[next].addTo(&b, s)
			next++
		}
		if !ru.propose(ctx, s, b, from, next) {
			return false
		}
		from = next
	}
	return true
}

// noRoom says why an item is refused while disks are full.
func (ru *run) noRoom(i int, growth, rest error) error {
	switch it := &ru.items[i]; {
	case growth == nil || !it.write:
		return nil
	case rest != nil && !it.frees(ru.r.table):
		return rest
	case it.grows(ru.r.table):
		return growth
	}
	return nil
}

// grows reports whether it needs memory. A retry under an idempotency key that was
// answered before needs none: what is new under one, the shard refuses.
func (it *item) grows(t *command.Table) bool {
	if it.tx != nil {
		return slices.ContainsFunc(it.tx.unit.Cmds, t.NeedsMemory)
	}
	return !it.once() && t.NeedsMemory(it.args)
}

// once reports whether it has an idempotency id.
func (it *item) once() bool { return it.tx == nil && it.p.has(command.Deduplicates) }

// frees reports whether it is taken also where nothing else is.
func (it *item) frees(t *command.Table) bool {
	if it.tx != nil {
		return t.FreesUnit(it.tx.unit.Cmds)
	}
	return t.Frees(it.args)
}

// refuse answers one item without running it; the ones after it go on.
func (ru *run) refuse(ctx context.Context, s *Session, i int, err error) {
	start := ru.r.now()
	ru.done = i + 1
	ru.failWrites(ctx, s, i, i+1, err)
	ru.observe(s, i, i+1, start)
}

func (ru *run) propose(ctx context.Context, s *Session, b command.Batch, from, to int) bool {
	start := ru.r.now()
	ru.done = to
	var index uint64
	b.Index, b.Patience, b.Whole = &index, ru.r.patience(b.Size()), s.whole
	replies, err := ru.shard.Propose(ctx, b)
	for err == nil && b.N == 1 && len(replies) == 1 && command.RepliesFull(replies[0]) && ctx.Err() == nil {
		// The replies to others were in the way, and have gone by now.
		index = 0
		replies, err = ru.shard.Propose(ctx, b)
	}
	s.noteWrite(index)
	if err == nil && len(replies) != to-from {
		ru.r.log.Error("a shard returned the wrong number of replies",
			"shard", ru.shard.ID(), "want", to-from, "got", len(replies))
		err = command.ErrInDoubt
	}
	if err != nil {
		ru.failWrites(ctx, s, from, to, err)
	} else {
		for i := from; i < to; i++ {
			ru.out[ru.items[i].out] = replies[i-from]
		}
	}
	ru.observe(s, from, to, start)
	return err == nil || errors.Is(err, command.ErrNoRoom) // as if each had been refused; see refuse
}

// failWrites answers items[from:to] with err. A read within a failed batch is
// never in doubt.
func (ru *run) failWrites(ctx context.Context, s *Session, from, to int, err error) {
	w, rd := writeError(err), readError(err)
	for i := from; i < to; i++ {
		switch it := &ru.items[i]; {
		case !it.write:
			ru.out[it.out] = rd
		case it.once():
			ru.out[it.out] = ru.r.failOnce(ctx, s, ru.shard, it.args, err)
		default:
			ru.out[it.out] = w
			countNoRoom(ru.shard, err)
		}
	}
}

// batchSize bounds the bytes that a batch from items[from:to] takes, so that
// its body is allocated once.
func (ru *run) batchSize(from, to int) int {
	n := 0
	for i := from; i < to && n < ru.r.cfg.MaxBatchBytes; i++ {
		n += ru.items[i].size()
	}
	return min(n, ru.r.cfg.MaxBatchBytes) // what is longer goes as it is; see command.ReferenceBytes
}

// A Reader leaves alone what batches refer to.
const _ = uint(command.ReferenceBytes - resp.KeptBytes)

// unitOverhead is an upper bound of what a unit's or an argument's framing takes.
const unitOverhead = 6

func (it *item) size() int {
	if it.tx != nil {
		return it.tx.size
	}
	return commandSize(it.args)
}

func commandSize(args command.Args) int {
	n := 2 * unitOverhead
	for _, a := range args {
		n += len(a) + unitOverhead
	}
	return n
}

func (it *item) addTo(b *command.Batch, s *Session) {
	switch {
	case it.tx != nil:
		b.AddMulti(it.tx.unit.Watches, it.tx.unit.Cmds)
	case it.p.has(command.Owned):
		b.AddOwned(s.owner(), it.args)
	default:
		b.Add(it.args)
	}
}

// observe counts items[from:to], which took since start together.
func (ru *run) observe(s *Session, from, to int, start time.Time) {
	elapsed := ru.r.now().Sub(start)
	for i := from; i < to; {
		j := i + 1
		for j < to && ru.items[j].p == ru.items[i].p {
			j++
		}
		ru.count(i, j, elapsed, int64(to-from))
		i = j
	}
	if it := &ru.items[from]; it.tx != nil && len(it.tx.cmds) > 0 {
		c := it.tx.cmds[0] // EXEC itself says nothing
		ru.r.slow(s, c.p, c.args, len(it.tx.cmds)+to-from-1, elapsed)
	} else {
		ru.r.slow(s, it.p, it.args, to-from, elapsed)
	}
}

// count adds items[i:j], all of one command, to its statistics.
func (ru *run) count(i, j int, elapsed time.Duration, of int64) {
	p := ru.items[i].p
	var failed int64
	for k := i; k < j; k++ {
		if v := &ru.out[ru.items[k].out]; v.Kind == resp.KindError {
			failed++
			ru.r.stats.Errors.Count(*v)
		}
		if tx := ru.items[k].tx; tx != nil {
			tx.count(ru.r, ru.out[ru.items[k].out])
		}
	}
	n := int64(j - i)
	p.stats.Observe(n, failed, elapsed, elapsed/time.Duration(of))
	ru.r.stats.Rate.Add(ru.r.now().Unix(), n)
}
