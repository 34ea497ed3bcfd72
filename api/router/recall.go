package router

import (
	"context"
	"errors"

	"github.com/lockstepkv/lockstep/api/request"
	"github.com/lockstepkv/lockstep/api/waiting"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/queries"
	"github.com/lockstepkv/lockstep/resp"
)

// failOnce answers a command under an idempotency id whose Propose failed with err. Where disks
// have no room for another log entry, a repetition is answered from the record of the first
// try, by a linearizable read. Otherwise the answer is about this try: nothing is known here of
// those before it.
func (r *Router) failOnce(ctx context.Context, s *Session, sh Shard, args command.Args, err error) resp.Value {
	if p := lookup(r.plans, args[0]); errors.Is(err, command.ErrNoRoom) && p != nil && p.spec.Recall != nil {
		q := queries.Recall(args)
		info, unread := sh.Read(ctx, command.ReadOptions{}, q.Query())
		if v, ran := queries.RecallIn(q.Reply); unread == nil && ran {
			s.noteWrite(info.Index)
			return v
		}
	}
	countNoRoom(sh, err)
	return request.FailedTry(err).Reply()
}

// countNoRoom counts a write that was refused, if that was for want of room.
func countNoRoom(sh Shard, err error) {
	if errors.Is(err, command.ErrNoRoom) {
		sh.CountNoRoom()
	}
}

// failWait answers a command of a waiting client whose Propose failed with err.
func (r *Router) failWait(ctx context.Context, c waiting.Client, sh waiting.Shard, args command.Args, err error) resp.Value {
	s, shard := c.(blockedClient).s, sh.(Shard) // the router has given both
	if p := lookup(r.plans, args[0]); p != nil && p.has(command.Deduplicates) {
		return r.failOnce(ctx, s, shard, args, err)
	}
	countNoRoom(shard, err)
	return writeError(err)
}
