package router

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/lockstepkv/lockstep/api/request"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

// part is what one shard does of a command that concerns several.
type part struct {
	command.Part
	shard int
	args  command.Args
	info  command.ReadInfo
}

// fanOut runs a command on every shard that the client sees through this node:
// all of them, or the ones this node leads when clients are redirected.
func (r *Router) fanOut(ctx context.Context, s *Session, p *plan, args command.Args) resp.Value {
	start := r.now()
	var parts []part
	for i := range r.shards {
		if s.forward || r.node.IsLeader(i) {
			parts = append(parts, part{shard: i, args: args})
		}
	}
	var v resp.Value
	if p.spec.Cursor != nil {
		v = r.walk(ctx, s, p, parts, args)
	} else {
		r.runParts(ctx, s, p, parts)
		v = merge(p, parts, len(args)-1)
	}
	r.observe(s, p, args, v, r.now().Sub(start))
	return v
}

// spread runs a multi-key command whose keys are on several shards. It is
// atomic on each shard, not across them.
func (r *Router) spread(ctx context.Context, s *Session, p *plan, args command.Args) resp.Value {
	start := r.now()
	parts := r.splitArgs(p, args)
	var v resp.Value
	if parts == nil {
		v = errArity(p.name)
	} else {
		r.runParts(ctx, s, p, parts)
		v = merge(p, parts, len(args)-1)
	}
	r.observe(s, p, args, v, r.now().Sub(start))
	return v
}

// splitArgs is nil if a key lacks a word of its own.
func (r *Router) splitArgs(p *plan, args command.Args) []part {
	step := p.spec.Split
	if (len(args)-1)%step != 0 {
		return nil
	}
	var parts []part
	byShard := make(map[int]int)
	for i := 1; i < len(args); i += step {
		shard := r.shardOf(store.Slot(args[i]))
		n, ok := byShard[shard]
		if !ok {
			n = len(parts)
			byShard[shard] = n
			parts = append(parts, part{shard: shard, args: command.Args{args[0]}})
		}
		parts[n].args = append(parts[n].args, args[i:i+step]...)
		parts[n].Keys = append(parts[n].Keys, i-1)
	}
	return parts
}

// runParts runs each part on its shard, side by side.
func (r *Router) runParts(ctx context.Context, s *Session, p *plan, parts []part) {
	size := 0
	for i := range parts {
		size += commandSize(parts[i].args)
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout(size))
	defer cancel()
	var wg sync.WaitGroup
	for i := range parts {
		wg.Go(func() { r.runPart(ctx, s, p, &parts[i]) })
	}
	wg.Wait()
}

func (r *Router) runPart(ctx context.Context, s *Session, p *plan, pt *part) {
	shard := r.shards[pt.shard]
	if p.write {
		var index uint64
		pt.Reply, index = r.proposeOne(ctx, shard, pt.args)
		s.noteWrite(index)
		return
	}
	if _, err := p.spec.Parse(pt.args); err != nil {
		pt.Reply = readError(err)
		return
	}
	q := command.Single{Args: pt.args, BoundReplies: s.kind == KindHTTP, ReplyBytes: int(s.replyBytes.Load())}
	var err error
	if pt.info, err = shard.Read(ctx, s.read, q.Query()); err != nil {
		pt.Reply = readError(err)
	} else {
		pt.Reply, pt.Size = q.Reply, q.Keys
	}
	if s.kind == KindHTTP {
		s.replyBytes.Add(int64(command.ReplyCost(pt.Reply)))
	}
}

// merge joins the replies of the shards.
func merge(p *plan, parts []part, keys int) resp.Value {
	if v, failed := firstError(parts, p.write); failed {
		return v
	}
	replies := make([]command.Part, len(parts))
	for i := range parts {
		replies[i] = parts[i].Part
	}
	return p.spec.Merge(replies, keys)
}

// firstError returns the error that the whole command answers, if any part
// failed. When a write was applied by some shards only, no definite error would
// be true.
func firstError(parts []part, write bool) (resp.Value, bool) {
	var first resp.Value
	failed := 0
	for i := range parts {
		if v := parts[i].Reply; v.IsError() {
			failed++
			if first.Kind != resp.KindError || request.OutcomeOf(v) == request.InDoubt {
				first = v
			}
		}
	}
	if failed == 0 {
		return resp.Value{}, false
	}
	if write && failed < len(parts) {
		return request.CodeInDoubt.Reply("applied on " + strconv.Itoa(len(parts)-failed) + " of " +
			strconv.Itoa(len(parts)) + " shards: " + string(first.Str)), true
	}
	return first, true
}

// walk runs one step of a walk over the shards, on the one that the cursor names. parts are
// the shards to visit, in order.
func (r *Router) walk(ctx context.Context, s *Session, p *plan, parts []part, args command.Args) resp.Value {
	cursor := p.spec.Cursor
	shard, inner, err := cursor.Read(args[1])
	if err != nil {
		return readError(err)
	}
	at := 0
	for at < len(parts) && parts[at].shard < shard {
		at++
	}
	if at == len(parts) {
		return resp.Array(resp.BulkString(command.StartCursor), resp.Array())
	}
	if parts[at].shard != shard {
		inner = []byte(command.StartCursor) // this node no longer leads the shard that the cursor names
	}
	one := []part{{shard: parts[at].shard, args: append(command.Args{args[0], inner}, args[2:]...)}}
	r.runParts(ctx, s, p, one)
	v := one[0].Reply
	if v.IsError() {
		return v
	}
	s.lastRead = one[0].info
	next := v.Elems[0].Str
	switch {
	case string(next) != command.StartCursor:
		next, err = cursor.Join(parts[at].shard, next)
	case at+1 < len(parts):
		next, err = cursor.Join(parts[at+1].shard, next)
	}
	if err != nil {
		return readError(err)
	}
	return resp.Array(resp.Bulk(next), v.Elems[1])
}

// observe counts one command that ran by itself.
func (r *Router) observe(s *Session, p *plan, args command.Args, v resp.Value, elapsed time.Duration) {
	var failed int64
	if v.IsError() {
		failed = 1
		r.stats.Errors.Count(v)
	}
	p.stats.Observe(1, failed, elapsed, elapsed)
	r.stats.Rate.Add(r.now().Unix(), 1)
	r.slow(s, p, args, 1, elapsed)
}
