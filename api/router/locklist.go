package router

import (
	"context"

	"github.com/lockstepkv/lockstep/api/request"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/locks"
	"github.com/lockstepkv/lockstep/resp"
)

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
	args := locks.Break(name, fence, reason, s.addr)
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
		return request.CodeInDoubt.Reply("the shard returned the wrong number of replies")
	}
	return replies[0]
}
