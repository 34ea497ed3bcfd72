package router

import (
	"context"
	"slices"

	"github.com/lockstepkv/lockstep/api/clientmem"
	"github.com/lockstepkv/lockstep/api/request"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// Do runs one command.
func (r *Router) Do(ctx context.Context, s *Session, args command.Args) resp.Value {
	s.one[0] = args
	return r.DoPipeline(ctx, s, s.one[:], s.oneOut[:0])[0]
}

// DoAll runs all of cmds, whatever they change about the session. Of many it runs a
// part at a time.
func (r *Router) DoAll(ctx context.Context, s *Session, cmds [][][]byte) []resp.Value {
	out := make([]resp.Value, 0, len(cmds))
	for len(out) < len(cmds) {
		some := min(len(cmds), len(out)+r.cfg.MaxBatchUnits)
		out = r.DoPipeline(ctx, s, cmds[len(out):some], out)
	}
	return out
}

// DoPipeline runs commands of one connection and appends their replies to out,
// in order. It returns after at least one command and may return before the
// last: a command that changes how replies are written (HELLO, RESET, QUIT,
// CLIENT REPLY) has a call of its own. The caller writes the replies it got, as
// Session's Proto, Muted and Closing then say, and calls again with the rest.
//
// cmds may be reused once DoPipeline returned and its replies are written, but for
// arguments of command.ReferenceBytes or more, which a batch may still hold.
func (r *Router) DoPipeline(ctx context.Context, s *Session, cmds [][][]byte, out []resp.Value) []resp.Value {
	base := len(out)
	out = slices.Grow(out, len(cmds))[:base+len(cmds)]
	replies := out[base:]
	clear(replies)
	s.muted = s.replies != RepliesOn
	n := 0
	for n < len(cmds) {
		p := r.find(cmds[n])
		alone := (p != nil && p.h.Alone) || s.replies == RepliesSkipNext
		if alone && n > 0 {
			break
		}
		r.step(ctx, s, n, p, cmds[n], replies)
		n++
		if alone || s.closing.Load() {
			s.skipped(p)
			break
		}
	}
	r.flush(ctx, s, replies)
	if s.spent > 0 {
		s.freeSpent()
	}
	s.seen.Store(r.now().UnixMilli())
	return out[:base+n]
}

// freeSpent gives back what the transactions took that have run.
func (s *Session) freeSpent() {
	s.spent = 0
	queued := int64(0)
	if s.tx != nil {
		queued = s.tx.memory
	}
	s.mem.Set(clientmem.Queue, queued)
}

// skipped ends CLIENT REPLY SKIP after the command that it silenced.
func (s *Session) skipped(p *plan) {
	if s.replies == RepliesSkipNext && (p == nil || !p.h.Replies) {
		s.replies = RepliesOn
	}
}

// step runs, queues or refuses one command.
func (r *Router) step(ctx context.Context, s *Session, i int, p *plan, args command.Args, out []resp.Value) {
	if v := r.check(s, p, args); v.Kind == resp.KindError {
		if p != nil && p.has(command.RunsQueue) {
			v = s.abortExec(v)
		}
		out[i] = r.reject(s, p, v)
		return
	}
	s.last.Store(p)
	flags := p.spec.Flags
	switch {
	case s.tx != nil && !flags.Has(command.NoQueue):
		out[i] = r.queue(s, p, args)
	case flags.Has(command.RunsQueue):
		r.exec(ctx, s, i, p, out)
	case r.onceHandler(p, args) != nil:
		r.flush(ctx, s, out)
		start, inner := r.now(), r.onceHandler(p, args)
		out[i] = inner.h.once(ctx, s, args)
		r.observe(s, inner, args, out[i], r.now().Sub(start))
	case p.h.Run != nil:
		if !p.h.Inline {
			r.flush(ctx, s, out)
		}
		out[i] = r.runHandler(ctx, s, p, args)
	default:
		r.place(ctx, s, i, p, args, out)
	}
}

// check applies the rules that hold for every command, in Redis's order.
func (r *Router) check(s *Session, p *plan, args command.Args) resp.Value {
	if p == nil || !p.spec.ArityOK(len(args)) || !p.runnable {
		if _, err := r.table.CheckClient(args); err != nil {
			return resp.Err(err.Error())
		}
		return errUnsupported
	}
	if p.spec.Inner > 0 {
		if _, err := r.table.CheckClient(args); err != nil {
			return resp.Err(err.Error())
		}
	}
	switch {
	case !s.authed && !p.has(command.NoAuth):
		return errNoAuth
	case s.tx != nil && p.spec.Flags.Has(command.NoMulti):
		return errNotInTx
	case p.forData() && r.draining.Load():
		return errDraining
	case r.loading.Load() && p.needsData(s):
		return errLoading
	case p.spec.Inner > 0 && s.tx == nil && r.onceHandler(p, args) == nil:
		// What can never run needs no leader to be refused.
		if err := r.table.CheckWrapped(args); err != nil {
			return readError(err)
		}
	}
	return resp.Value{}
}

// onceHandler returns the plan of the command within args if p runs it at most once and the
// router has it run (ONCE id LOCK ...), which waits as it does alone; else nil.
func (r *Router) onceHandler(p *plan, args command.Args) *plan {
	if !p.has(command.Deduplicates) || len(args) <= p.spec.Inner {
		return nil
	}
	inner := lookup(r.plans, args[p.spec.Inner])
	if inner == nil || inner.h.once == nil {
		return nil
	}
	return inner
}

// forData tells commands that see or change data, which have no handler or have keys, from
// those that concern the connection or the node.
func (p *plan) forData() bool { return p.h.Run == nil || p.spec.HasKeys() }

// needsData tells commands that a node cannot answer while it starts: as in Redis those
// without the flag, PING too. EXEC needs no data to say that there is nothing to execute.
func (p *plan) needsData(s *Session) bool {
	if p.has(command.RunsQueue) {
		return s.tx != nil && !s.tx.dirty
	}
	return p.forData() || !p.has(command.Loading)
}

// abortExec answers an EXEC that was refused: as in Redis the transaction is over
// all the same, and so are its watches.
func (s *Session) abortExec(why resp.Value) resp.Value {
	s.endTx()
	text, e := string(why.Str), request.OfReply(why)
	if e.Code == request.CodeError {
		text = e.Text
	}
	return request.CodeExecAbort.Reply("Transaction discarded because of: " + text)
}

// reject counts a command that was refused before it ran. Within MULTI it
// spoils the transaction.
func (r *Router) reject(s *Session, p *plan, v resp.Value) resp.Value {
	if s.tx != nil {
		s.tx.dirty = true
	}
	if p != nil {
		p.stats.Rejected.Add(1)
	}
	r.stats.Errors.Count(v)
	return v
}

func (r *Router) runHandler(ctx context.Context, s *Session, p *plan, args command.Args) resp.Value {
	start := r.now()
	v := p.h.Run(ctx, s, args)
	r.observe(s, p, args, v, r.now().Sub(start))
	return v
}

// place puts a data command into the pipeline part of its shard.
func (r *Router) place(ctx context.Context, s *Session, i int, p *plan, args command.Args, out []resp.Value) {
	t := r.route(s, p, args)
	switch {
	case t.refuse.Kind == resp.KindError:
		out[i] = r.reject(s, p, t.refuse)
	case t.all:
		r.flush(ctx, s, out)
		out[i] = r.fanOut(ctx, s, p, args)
	case t.spans:
		r.flush(ctx, s, out)
		out[i] = r.spread(ctx, s, p, args)
	default:
		s.part(t.shard).add(item{p: p, args: args, out: i, write: p.write}, t.stale)
	}
}

// flush runs everything that was placed.
func (r *Router) flush(ctx context.Context, s *Session, out []resp.Value) {
	if len(s.active) == 0 {
		return
	}
	size := 0
	for _, pp := range s.active {
		size += pp.size()
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout(size))
	defer cancel()
	if len(s.active) == 1 {
		s.active[0].exec(ctx, s, out)
	} else {
		runSideBySide(ctx, s, out)
	}
	for _, pp := range s.active {
		s.lastRead = pp.info
		pp.clear()
		s.countPart(pp)
	}
	s.active = s.active[:0]
}
