package router

import (
	"context"

	"github.com/lockstepkv/lockstep/api/waiting"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/locks"
	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/fsm/wait"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

// lock is LOCK.
func (r *Router) lock(ctx context.Context, s *Session, args command.Args) resp.Value {
	req, err := locks.Parse(args)
	if err != nil {
		return resp.Err(err.Error())
	}
	return lockReply(r.Lock(ctx, s, req, ""))
}

// onceLock is ONCE id LOCK. The table has the rules for ids, and applies them
// to the command that is logged in its place.
func (r *Router) onceLock(ctx context.Context, s *Session, args command.Args) resp.Value {
	if len(args) < 5 {
		return errArity("lock")
	}
	req, err := locks.Parse(args[2:])
	if err != nil {
		return resp.Err(err.Error())
	}
	if len(args[1]) == 0 {
		return resp.Err("ERR idempotency id must have 1 to 256 bytes")
	}
	return lockReply(r.Lock(ctx, s, req, string(args[1])))
}

func lockReply(l waiting.LockResult) resp.Value {
	switch {
	case l.Err.Kind == resp.KindError:
		return l.Err
	case !l.Got:
		return resp.NilArray
	}
	return resp.Array(resp.BulkString(l.Token), resp.Int(int64(l.Fence)))
}

// Lock takes a lock, waiting for it as long as req says. once is an idempotency
// id or "".
func (r *Router) Lock(ctx context.Context, s *Session, req lock.Request, once string) waiting.LockResult {
	if v, no := r.refuses(); no {
		return waiting.LockResult{Err: v}
	}
	sh, refused := r.shardOfLock(s, req.Name)
	if refused.Kind == resp.KindError {
		return waiting.LockResult{Err: refused}
	}
	req.Node, req.Boot = r.node.Origin(sh.ID())
	return r.blocked.Lock(ctx, blockedClient{s}, sh, req, once)
}

// blockedClient shows a session to package waiting.
type blockedClient struct{ s *Session }

func (c blockedClient) Owner() string      { return c.s.owner() }
func (c blockedClient) Wrote(index uint64) { c.s.noteWrite(index) }
func (c blockedClient) Gone() bool         { return c.s.gone != nil && c.s.gone() }

func (c blockedClient) HangUp() {
	if c.s.gone != nil {
		c.s.Kill()
	}
}

// shardOfLock routes a lock by its name, as a key is.
func (r *Router) shardOfLock(s *Session, name string) (Shard, resp.Value) {
	if !r.sharded {
		return r.shards[0], resp.Value{}
	}
	t := r.onSlot(s, int(store.Slot([]byte(name))), false)
	return r.shards[t.shard], t.refuse
}

// LockEvents follows a lock's grants and losses as this node learns of them; see
// Shard.Watch.
func (r *Router) LockEvents(name string) (events <-chan wait.Event, stop func()) {
	return r.shards[r.shardOf(store.Slot([]byte(name)))].Watch(lock.Topic(name))
}
