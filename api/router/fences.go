package router

import (
	"context"
	"strconv"
	"sync"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/locks"
	"github.com/lockstepkv/lockstep/resp"
)

// RaiseFences makes all further fences of every shard higher than fence, whoever
// leads them. The shards refuse one that is too far ahead of their clock. The reply
// is OK or an error, INDOUBT if only some shards have done it.
func (r *Router) RaiseFences(ctx context.Context, fence uint64) resp.Value {
	if v, no := r.refuses(); no {
		return v
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.RequestTimeout)
	defer cancel()
	args := locks.FenceFloor(strconv.AppendUint(nil, fence, 10))
	parts := make([]part, len(r.shards))
	var wg sync.WaitGroup
	for i, sh := range r.shards {
		wg.Go(func() { parts[i].Reply, _ = r.proposeOne(ctx, sh, args) })
	}
	wg.Wait()
	if v, failed := firstError(parts, true); failed {
		return v
	}
	return resp.OK
}

// proposeOne runs one command on a shard.
func (r *Router) proposeOne(ctx context.Context, sh Shard, args command.Args) (reply resp.Value, index uint64) {
	var b command.Batch
	b.Add(args)
	b.Index, b.Patience = &index, r.patience(b.Size())
	replies, err := sh.Propose(ctx, b)
	if err == nil && len(replies) != 1 {
		err = command.ErrInDoubt
	}
	if err != nil {
		return writeError(err), index
	}
	return replies[0], index
}
