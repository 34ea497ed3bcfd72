package router

import (
	"context"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// listLocks runs LS.LOCKS on the shard that the cursor names. parts are the shards to
// visit, in order.
func (r *Router) listLocks(ctx context.Context, s *Session, p *plan, parts []part, args command.Args) resp.Value {
	from, err := command.ParseLockCursor(args[1])
	if err != nil {
		return resp.Err(err.Error())
	}
	at := 0
	for at < len(parts) && parts[at].shard < from.Shard {
		at++
	}
	if at == len(parts) {
		return resp.Array(resp.BulkString("0"), resp.Array())
	}
	if parts[at].shard != from.Shard {
		from.After = "" // this node no longer leads the shard that the cursor names
	}
	one := append(command.Args{args[0], []byte(command.LockCursor{After: from.After}.String())}, args[2:]...)
	pts := []part{{shard: parts[at].shard, args: one}}
	r.runParts(ctx, s, p, pts)
	v := pts[0].reply
	if v.IsError() {
		return v
	}
	s.lastRead = pts[0].info
	next, err := command.ParseLockCursor(v.Elems[0].Str)
	switch {
	case err != nil:
		return resp.Err(err.Error())
	case next.After != "":
		next.Shard = parts[at].shard
	case at+1 < len(parts):
		next.Shard = parts[at+1].shard
	}
	return resp.Array(resp.BulkString(next.String()), v.Elems[1])
}

// BreakLock releases a lock whoever holds it, or one grant of it if fence is not 0: for
// an operator, who says why. once is an idempotency id or "". The reply is owner, fence
// and waiters of the grant, nil if there is none such, or an error.
func (r *Router) BreakLock(ctx context.Context, s *Session, name []byte, fence uint64, reason, once string) resp.Value {
	if v, no := r.refuses(); no {
		return v
	}
	sh, refused := r.shardOfLock(s, string(name))
	if refused.Kind == resp.KindError {
		return refused
	}
	args := command.LockBreak(name, fence, reason, s.addr)
	if once != "" {
		args = append(command.Args{[]byte("ONCE"), []byte(once)}, args...)
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.RequestTimeout)
	defer cancel()
	var index uint64
	b := command.Batch{Index: &index}
	b.AddOwned(s.owner(), args)
	replies, err := sh.Propose(ctx, b)
	s.noteWrite(index)
	switch {
	case err != nil:
		return writeError(err)
	case len(replies) != 1:
		return resp.Err("INDOUBT the shard returned the wrong number of replies")
	}
	return replies[0]
}
