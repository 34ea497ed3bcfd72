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

// item is one command, or one transaction, of a pipelinePart.
type item struct {
	p     *plan
	args  command.Args
	tx    *transaction
	op    command.Op // parsed, for reads
	out   int        // where the reply goes
	write bool
	stale bool // may be answered from this node's memory
}

// pipelinePart is the part of a pipeline that concerns one shard. Parts belong to their
// session and are used again.
type pipelinePart struct {
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

	hits, misses int          // of the current Read
	rest         command.Rest // of the command that runs
	unfinished   []unfinished
	query        command.Query
	info         command.ReadInfo
}

// unfinished is a reply to a read that is made when the store's lock is no longer held.
type unfinished struct {
	out  int
	rest command.Rest
}

// keptItems bounds what an idle session keeps of a large pipeline.
const keptItems = 256

// part returns the session's part for a shard, ready to be added to.
func (s *Session) part(shard int) *pipelinePart {
	if s.byShard == nil {
		s.byShard = make([]*pipelinePart, len(s.r.shards))
	}
	pp := s.byShard[shard]
	if pp == nil {
		pp = &pipelinePart{r: s.r, shard: s.r.shards[shard]}
		pp.query = command.Query{Run: pp.answer, Sent: pp}
		s.byShard[shard] = pp
	}
	if len(pp.items) == 0 {
		s.active = append(s.active, pp)
	}
	return pp
}

func (pp *pipelinePart) add(it item, stale bool) {
	it.stale = stale
	pp.items = append(pp.items, it)
}

// stale reports whether items[from:to] may all be answered from this node's
// memory. One that may not, such as a transaction with watches, makes the whole
// Read linearizable.
func (pp *pipelinePart) stale(from, to int) bool {
	for i := from; i < to; i++ {
		if !pp.items[i].stale {
			return false
		}
	}
	return true
}

// size is how long the requests are that change data.
func (pp *pipelinePart) size() (n int) {
	for i := range pp.items {
		if pp.items[i].write {
			n += pp.items[i].size()
		}
	}
	return n
}

func (pp *pipelinePart) clear() {
	clear(pp.items)
	pp.items = pp.items[:0]
	if cap(pp.items) > keptItems {
		pp.items = nil
	}
	pp.out, pp.done = nil, 0
}

// countPart counts what a part keeps for the commands to come.
func (s *Session) countPart(pp *pipelinePart) {
	if room := cap(pp.items); room != pp.kept {
		s.mem.Add(clientmem.Base, int64(room-pp.kept)*int64(unsafe.Sizeof(item{})))
		pp.kept = room
	}
}

// runSideBySide runs the active parts of several shards at once.
func runSideBySide(ctx context.Context, s *Session, out []resp.Value) {
	var wg sync.WaitGroup
	for _, pp := range s.active[1:] {
		wg.Go(func() { pp.exec(ctx, s, out) })
	}
	s.active[0].exec(ctx, s, out)
	wg.Wait()
}

// exec runs the items: reads before the first write, everything up to the last
// write, reads after it.
func (pp *pipelinePart) exec(ctx context.Context, s *Session, out []resp.Value) {
	pp.out = out
	n := len(pp.items)
	first, last := n, n
	for i := range pp.items {
		if pp.items[i].write {
			if first == n {
				first = i
			}
			last = i + 1
		}
	}
	if pp.reads(ctx, s, 0, first) && pp.writes(ctx, s, first, last) && pp.reads(ctx, s, last, n) {
		return
	}
	for i := pp.done; i < n; i++ {
		out[pp.items[i].out] = errSkipped
	}
}

// reads answers items[from:to], a bounded number per Read.
func (pp *pipelinePart) reads(ctx context.Context, s *Session, from, to int) bool {
	for from < to {
		next := pp.together(from, min(from+pp.r.cfg.MaxBatchUnits, to))
		if !pp.readSome(ctx, s, from, next) {
			return false
		}
		from = next
	}
	return true
}

// together is how far the items from one on may be answered by one Read: those that walk
// over keys or locks go alone, so that writers come between them.
func (pp *pipelinePart) together(from, to int) int {
	for i := from; i < to; i++ {
		if pp.items[i].p.has(command.Walks) {
			return max(i, from+1)
		}
	}
	return to
}

func (pp *pipelinePart) readSome(ctx context.Context, s *Session, from, to int) bool {
	pp.lo, pp.hi, pp.done = from, to, to
	pp.noTouch = s.view.Load().NoTouch
	pp.bound, pp.held = s.kind == KindHTTP, int(s.replyBytes.Load())
	pp.made = pp.held
	start := pp.r.now()
	var err error
	if pp.parse() {
		opt := s.read
		if pp.stale(from, to) {
			opt = command.ReadOptions{Consistency: command.Stale}
		}
		if pp.info, err = pp.shard.Read(ctx, opt, pp.query); err != nil {
			pp.drop()
			pp.failReads(err)
		} else {
			pp.finish()
			s.replyBytes.Add(int64(pp.made - pp.held))
			pp.redirect(s, from, to)
			pp.r.stats.Hits.Add(int64(pp.hits))
			pp.r.stats.Misses.Add(int64(pp.misses))
		}
	}
	pp.observe(s, from, to, start)
	return err == nil
}

// parse prepares the items of the current Read and reports whether any of them
// needs the store.
func (pp *pipelinePart) parse() bool {
	some := false
	for i := pp.lo; i < pp.hi; i++ {
		it := &pp.items[i]
		if it.tx != nil {
			some = true
			continue
		}
		op, err := it.p.spec.Parse(it.args)
		if err != nil {
			pp.out[it.out] = readError(err)
			continue
		}
		it.op, some = op, true
	}
	return some
}

func (pp *pipelinePart) failReads(err error) {
	v := readError(err)
	for i := pp.lo; i < pp.hi; i++ {
		if it := &pp.items[i]; it.op != nil || it.tx != nil {
			pp.out[it.out] = v
		}
	}
}

// answer runs under the store's read lock, maybe more than once.
func (pp *pipelinePart) answer(ctx *command.Ctx) {
	pp.drop()
	ctx.NoTouch = pp.noTouch
	ctx.BoundReplies, ctx.ReplyBytes = pp.bound, pp.held
	hits, misses := ctx.Hits, ctx.Misses
	for i := pp.lo; i < pp.hi; i++ {
		it := &pp.items[i]
		switch {
		case it.tx != nil:
			pp.out[it.out] = pp.r.table.RunUnit(ctx, &it.tx.op)
		case it.op != nil:
			pp.answerOne(ctx, it)
		}
	}
	pp.made = ctx.ReplyBytes
	pp.hits, pp.misses = ctx.Hits-hits, ctx.Misses-misses
}

// answerOne answers a command. What is long may be finished later, unless its length has a
// bound, or it is part of the reply to another.
func (pp *pipelinePart) answerOne(ctx *command.Ctx, it *item) {
	if sp := it.p.spec; !pp.bound && sp.Inner == 0 && sp.Holds == nil {
		ctx.Rest = &pp.rest
	}
	pp.out[it.out] = it.p.spec.Answer(ctx, it.args, it.op)
	if ctx.Rest = nil; pp.rest.Left() {
		pp.unfinished = append(pp.unfinished, unfinished{it.out, pp.rest})
		pp.rest = command.Rest{}
	}
}

// finish makes the replies that were left, without the store's lock.
func (pp *pipelinePart) finish() {
	for i := range pp.unfinished {
		u := &pp.unfinished[i]
		pp.out[u.out] = u.rest.Reply()
	}
	pp.unfinished = nil
}

// drop lets go of what was left by a run that does not count.
func (pp *pipelinePart) drop() {
	for i := range pp.unfinished {
		pp.unfinished[i].rest.Drop()
	}
	pp.unfinished = nil
}

// Ask implements command.Sent: what answer does, as commands.
func (pp *pipelinePart) Ask(r *command.Request) {
	r.NoTouch, r.BoundReplies, r.ReplyBytes = pp.noTouch, pp.bound, pp.held
	for i := pp.lo; i < pp.hi; i++ {
		switch it := &pp.items[i]; {
		case it.tx != nil:
			r.Units.AddMulti(it.tx.op.Watches, it.tx.op.Cmds)
		case it.op != nil:
			r.Units.Add(it.args)
		}
	}
}

// Take implements command.Sent.
func (pp *pipelinePart) Take(a *command.Answer) {
	replies := a.Replies
	for i := pp.lo; i < pp.hi; i++ {
		if it := &pp.items[i]; it.tx != nil || it.op != nil {
			pp.out[it.out], replies = replies[0], replies[1:]
		}
	}
	pp.made, pp.hits, pp.misses = a.ReplyBytes, a.Hits, a.Misses
}

// writes proposes items[from:to] in batches of bounded size.
func (pp *pipelinePart) writes(ctx context.Context, s *Session, from, to int) bool {
	growth, rest := pp.shard.NoRoom()
	for from < to {
		if err := pp.noRoom(from, growth, rest); err != nil {
			pp.refuse(ctx, s, from, err)
			from++
			continue
		}
		var b command.Batch
		b.Body = make([]byte, 0, pp.batchSize(from, to))
		next := from
		for next < to && b.N < pp.r.cfg.MaxBatchUnits {
			size := pp.items[next].size()
			if b.N > 0 && (b.Size()+size > pp.r.cfg.MaxBatchBytes || pp.noRoom(next, growth, rest) != nil) {
				break
			}
			pp.items[next].addTo(&b, s)
			next++
		}
		if !pp.propose(ctx, s, b, from, next) {
			return false
		}
		from = next
	}
	return true
}

// noRoom says why an item is refused while disks are full.
func (pp *pipelinePart) noRoom(i int, growth, rest error) error {
	switch it := &pp.items[i]; {
	case growth == nil || !it.write:
		return nil
	case rest != nil && !it.frees(pp.r.table):
		return rest
	case it.grows(pp.r.table):
		return growth
	}
	return nil
}

// grows reports whether it needs memory. A retry under an idempotency key that was
// answered before needs none: what is new under one, the shard refuses.
func (it *item) grows(t *command.Table) bool {
	if it.tx != nil {
		return slices.ContainsFunc(it.tx.op.Cmds, t.NeedsMemory)
	}
	return !it.once() && t.NeedsMemory(it.args)
}

// once reports whether it has an idempotency id.
func (it *item) once() bool { return it.tx == nil && it.p.has(command.Deduplicates) }

// frees reports whether it is taken also where nothing else is.
func (it *item) frees(t *command.Table) bool {
	if it.tx != nil {
		return t.FreesUnit(it.tx.op.Cmds)
	}
	return t.Frees(it.args)
}

// refuse answers one item without running it; the ones after it go on.
func (pp *pipelinePart) refuse(ctx context.Context, s *Session, i int, err error) {
	start := pp.r.now()
	pp.done = i + 1
	pp.failWrites(ctx, s, i, i+1, err)
	pp.observe(s, i, i+1, start)
}

func (pp *pipelinePart) propose(ctx context.Context, s *Session, b command.Batch, from, to int) bool {
	start := pp.r.now()
	pp.done = to
	var index uint64
	b.Index, b.Patience, b.Whole = &index, pp.r.patience(b.Size()), s.whole
	replies, err := pp.shard.Propose(ctx, b)
	for err == nil && b.N == 1 && len(replies) == 1 && command.RepliesFull(replies[0]) && ctx.Err() == nil {
		// The replies to others were in the way, and have gone by now.
		index = 0
		replies, err = pp.shard.Propose(ctx, b)
	}
	s.noteWrite(index)
	if err == nil && len(replies) != to-from {
		pp.r.log.Error("a shard returned the wrong number of replies",
			"shard", pp.shard.ID(), "want", to-from, "got", len(replies))
		err = command.ErrInDoubt
	}
	if err != nil {
		pp.failWrites(ctx, s, from, to, err)
	} else {
		for i := from; i < to; i++ {
			pp.out[pp.items[i].out] = replies[i-from]
		}
		pp.redirect(s, from, to)
	}
	pp.observe(s, from, to, start)
	return err == nil || errors.Is(err, command.ErrNoRoom) // as if each had been refused; see refuse
}

// failWrites answers items[from:to] with err. A read within a failed batch is
// never in doubt.
func (pp *pipelinePart) failWrites(ctx context.Context, s *Session, from, to int, err error) {
	w, rd := writeError(err), readError(err)
	for i := from; i < to; i++ {
		switch it := &pp.items[i]; {
		case !it.write:
			pp.out[it.out] = rd
		case it.once():
			pp.out[it.out] = pp.r.failOnce(ctx, s, pp.shard, it.args, err)
		default:
			pp.out[it.out] = w
			countNoRoom(pp.shard, err)
		}
	}
}

// batchSize bounds the bytes that a batch from items[from:to] takes, so that
// its body is allocated once.
func (pp *pipelinePart) batchSize(from, to int) int {
	n := 0
	for i := from; i < to && n < pp.r.cfg.MaxBatchBytes; i++ {
		n += pp.items[i].size()
	}
	return min(n, pp.r.cfg.MaxBatchBytes) // what is longer goes as it is; see command.ReferenceBytes
}

// A Reader leaves alone what batches refer to.
const _ = uint(command.ReferenceBytes - resp.KeptBytes)

// framing is an upper bound of what surrounds an operation or an argument.
const framing = 6

func (it *item) size() int {
	if it.tx != nil {
		return it.tx.size
	}
	return commandSize(it.args)
}

func commandSize(args command.Args) int {
	n := 2 * framing
	for _, a := range args {
		n += len(a) + framing
	}
	return n
}

func (it *item) addTo(b *command.Batch, s *Session) {
	switch {
	case it.tx != nil:
		b.AddMulti(it.tx.op.Watches, it.tx.op.Cmds)
	case it.p.has(command.Owned):
		b.AddOwned(s.owner(), it.args)
	default:
		b.Add(it.args)
	}
}

// observe counts items[from:to], which took since start together.
func (pp *pipelinePart) observe(s *Session, from, to int, start time.Time) {
	elapsed := pp.r.now().Sub(start)
	for i := from; i < to; {
		j := i + 1
		for j < to && pp.items[j].p == pp.items[i].p {
			j++
		}
		pp.count(i, j, elapsed, int64(to-from))
		i = j
	}
	if it := &pp.items[from]; it.tx != nil && len(it.tx.cmds) > 0 {
		c := it.tx.cmds[0] // EXEC itself says nothing
		pp.r.slow(s, c.p, c.args, len(it.tx.cmds)+to-from-1, elapsed)
	} else {
		pp.r.slow(s, it.p, it.args, to-from, elapsed)
	}
}

// count adds items[i:j], all of one command, to its statistics.
func (pp *pipelinePart) count(i, j int, elapsed time.Duration, of int64) {
	p := pp.items[i].p
	var failed int64
	for k := i; k < j; k++ {
		if v := &pp.out[pp.items[k].out]; v.Kind == resp.KindError {
			failed++
			pp.r.stats.Errors.Count(*v)
		}
		if tx := pp.items[k].tx; tx != nil {
			tx.count(pp.r, pp.out[pp.items[k].out])
		}
	}
	n := int64(j - i)
	p.stats.Observe(n, failed, elapsed, elapsed/time.Duration(of))
	pp.r.stats.Rate.Add(pp.r.now().Unix(), n)
}
