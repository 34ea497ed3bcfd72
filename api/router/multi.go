package router

import (
	"context"
	"unsafe"

	"github.com/lockstepkv/lockstep/api/clientmem"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/queries"
	"github.com/lockstepkv/lockstep/internal/bulk"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

// transactionCommands are the words around a transaction: the router keeps the queue and the watched
// versions, and the state machine runs the unit.
func transactionCommands() []Command[*Router] {
	return []Command[*Router]{
		{
			Spec: command.Spec{
				Name: "multi", Group: "transactions", Arity: 1, Since: "1.2.0",
				Flags: command.Connection | command.NoScript | command.Loading | command.StaleOK | command.Fast | command.AllowBusy | command.NoQueue | command.OpensQueue, ACL: []string{"transaction"},
				Summary: "Begins a transaction: commands are queued until EXEC.",
			},
			Run: doMulti, Inline: true,
		},
		{
			Spec: command.Spec{
				Name: "exec", Group: "transactions", Arity: 1, Since: "1.2.0",
				Flags: command.Connection | command.NoScript | command.Loading | command.StaleOK | command.SkipSlowlog | command.NoQueue | command.RunsQueue, ACL: []string{"transaction"},
				Summary: "Runs the queued commands as one step, unless a watched key has changed.",
			},
		},
		{
			Spec: command.Spec{
				Name: "discard", Group: "transactions", Arity: 1, Since: "2.0.0",
				Flags: command.Connection | command.NoScript | command.Loading | command.StaleOK | command.Fast | command.AllowBusy | command.NoQueue, ACL: []string{"transaction"},
				Summary: "Drops the queued commands.",
			},
			Run: doDiscard, Inline: true,
		},
		{
			Spec: command.Spec{
				Name: "watch", Group: "transactions", Arity: -2, Since: "2.2.0",
				Flags: command.Connection | command.NoScript | command.Loading | command.StaleOK | command.Fast | command.AllowBusy | command.NoQueue, ACL: []string{"transaction"},
				Keys:    command.AllKeys(command.RO),
				Summary: "Makes the next transaction depend on keys being unchanged.",
				Args:    []command.Arg{command.Many(command.Key("key"))},
			},
			Run: doWatch,
		},
		{
			Spec: command.Spec{
				Name: "unwatch", Group: "transactions", Arity: 1, Since: "2.2.0",
				Flags: command.Connection | command.NoScript | command.Loading | command.StaleOK | command.Fast | command.AllowBusy, ACL: []string{"transaction"},
				Summary: "Forgets the watched keys.",
			},
			Run: doUnwatch, Inline: true,
		},
	}
}

// txn is a transaction that a client is still queueing.
type txn struct {
	cmds []queuedCommand
	size int
	// memory is what cmds take.
	memory int64
	slot   int // of all keys so far, -1 before the first
	cross  bool
	dirty  bool // a command was refused: EXEC must abort
}

type queuedCommand struct {
	p    *plan
	args command.Args // owned by the queue
}

// transaction is what EXEC runs.
type transaction struct {
	op   command.Unit
	cmds []queuedCommand // those of op, in order
	size int
}

// watched is a key of WATCH with the version that it had.
type watched struct {
	command.Watch
	slot int
}

func doMulti(_ *Router, _ context.Context, s *Session, _ command.Args) resp.Value {
	if s.tx != nil {
		return resp.Err("ERR MULTI calls can not be nested")
	}
	s.tx = &txn{slot: -1}
	s.setQueued(0)
	return resp.OK
}

func doDiscard(_ *Router, _ context.Context, s *Session, _ command.Args) resp.Value {
	if s.tx == nil {
		return resp.Err("ERR DISCARD without MULTI")
	}
	s.endTx()
	return resp.OK
}

func (s *Session) endTx() {
	s.freeTx()
	s.unwatch()
}

// freeTx forgets the queue.
func (s *Session) freeTx() {
	s.tx = nil
	s.setQueued(-1)
	s.mem.Set(clientmem.Queue, s.spent)
}

func (s *Session) unwatch() {
	s.watches, s.watchedKeys = nil, nil
	s.mem.Set(clientmem.Watch, 0)
}

// Memory of an element of txn.cmds and of Session.watches.
const (
	queuedBytes  = int64(unsafe.Sizeof(queuedCommand{}))
	watchedBytes = int64(unsafe.Sizeof(watched{}))
)

// copyBytes is the memory that copyArgs takes.
func copyBytes(args command.Args) int64 {
	together, alone := 0, int64(0)
	for _, a := range args {
		if len(a) < command.ReferenceBytes {
			together += len(a)
		} else {
			alone += clientmem.Alloc(len(a))
		}
	}
	return clientmem.Alloc(together) + alone + clientmem.Alloc(clientmem.SliceBytes*len(args))
}

// watchBytes is the memory of a watched key besides its element of Session.watches.
func watchBytes(key []byte) int64 {
	return 2*clientmem.Alloc(len(key)) + clientmem.MapKeyBytes
}

func doUnwatch(_ *Router, _ context.Context, s *Session, _ command.Args) resp.Value {
	s.unwatch()
	return resp.OK
}

// doWatch notes the versions of keys. A version identifies a key's contents on
// every replica, so a watch survives a change of leader.
func doWatch(r *Router, ctx context.Context, s *Session, args command.Args) resp.Value {
	if s.tx != nil {
		return resp.Err("ERR WATCH inside MULTI is not allowed")
	}
	slot := -1
	for _, k := range args[1:] {
		if otherSlot(&slot, k) && r.sharded {
			return errCrossSlot
		}
	}
	if !s.mayWatch(args[1:]) {
		return errWatchTooLarge
	}
	reply := r.versions(ctx, s, slot, args[1:])
	if reply.IsError() {
		return reply
	}
	versions, err := queries.VersionsIn(reply, len(args)-1)
	if err != nil {
		return resp.ErrorReply(err)
	}
	for i, k := range args[1:] {
		s.watch(k, versions[i])
	}
	return resp.OK
}

// watchTries is how often WATCH looks where its keys are: each time but the first the view has
// changed meanwhile.
const watchTries = 3

// versions asks the shard of a slot for the versions of keys. Where the view changes meanwhile, the
// shard that was asked says that it does not own the slot, and the one that does is asked.
func (r *Router) versions(ctx context.Context, s *Session, slot int, keys command.Args) (reply resp.Value) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.RequestTimeout)
	defer cancel()
	for range watchTries {
		t := target{}
		if r.sharded {
			if t = r.onSlot(s, slot, false); t.refuse.IsError() {
				return t.refuse
			}
		}
		q := queries.Versions(keys)
		if _, err := r.shards[t.shard].Read(ctx, command.ReadOptions{}, q.Query()); err != nil {
			return readError(err)
		}
		if reply = q.Reply; reply.Class() != resp.ClassElsewhere || r.shardOf(uint16(slot)) == t.shard {
			return reply
		}
	}
	return reply
}

// mayWatch reports whether the session may hold the keys too.
func (s *Session) mayWatch(keys command.Args) bool {
	n := int64(0)
	for _, k := range keys {
		n += watchedBytes + watchBytes(k)
	}
	return s.mem.Fits(n)
}

// watch adds a key unless it is watched already: the first version counts.
func (s *Session) watch(key []byte, version uint64) {
	if _, dup := s.watchedKeys[string(key)]; dup {
		return
	}
	if s.watchedKeys == nil {
		s.watchedKeys = make(map[string]struct{})
	}
	s.watchedKeys[string(key)] = struct{}{}
	w := command.Watch{Key: append([]byte(nil), key...), Version: version}
	had := cap(s.watches)
	s.watches = append(s.watches, watched{w, int(store.Slot(key))})
	s.mem.Add(clientmem.Watch, watchBytes(key)+watchedBytes*int64(cap(s.watches)-had))
}

// queue adds a command to the transaction.
func (r *Router) queue(s *Session, p *plan, args command.Args) resp.Value {
	t := s.tx
	shard := 0
	if p.h.Run == nil && r.sharded {
		if p.spec.Flags.Has(command.AllShards) {
			return r.reject(s, p, errTxAllShards)
		}
		slot, cross, err := slotOf(p.spec, args)
		switch {
		case err != nil:
			return r.reject(s, p, readError(err))
		case cross:
			return r.reject(s, p, errCrossSlot)
		case slot >= 0:
			if to := r.onSlot(s, slot, !p.write); to.refuse.IsError() {
				return r.reject(s, p, to.refuse)
			}
			t.joinSlot(slot)
			shard = r.shardOf(uint16(slot))
		}
	}
	if p.write && r.shards[shard].OutOfMemory() && r.table.NeedsMemory(args) {
		return r.reject(s, p, errOOM)
	}
	if p.write {
		if growth, _ := r.shards[shard].NoRoom(); growth != nil && r.table.NeedsMemory(args) {
			r.shards[shard].CountNoRoom()
			return r.reject(s, p, writeError(growth))
		}
	}
	size, takes := commandSize(args), copyBytes(args)
	if t.size+size > r.cfg.MaxQueuedBytes || !s.mem.Fits(queuedBytes+takes) {
		return r.reject(s, p, errTxTooLarge)
	}
	t.size += size
	had := cap(t.cmds)
	t.cmds = append(t.cmds, queuedCommand{p, copyArgs(args)})
	t.memory += takes + queuedBytes*int64(cap(t.cmds)-had)
	s.setQueued(len(t.cmds))
	s.mem.Set(clientmem.Queue, s.spent+t.memory)
	return resp.Queued
}

func (t *txn) joinSlot(slot int) {
	if t.slot < 0 {
		t.slot = slot
	}
	t.cross = t.cross || t.slot != slot
}

// copyArgs copies args into memory of its own: those that a batch refers to each alone, as
// Session.whole says of them, and the others together.
func copyArgs(args command.Args) command.Args {
	n := 0
	for _, a := range args {
		if len(a) < command.ReferenceBytes {
			n += len(a)
		}
	}
	buf := make([]byte, 0, n)
	out := make(command.Args, len(args))
	for i, a := range args {
		if len(a) >= command.ReferenceBytes {
			out[i] = bulk.Append(nil, a)
			continue
		}
		buf = append(buf, a...)
		out[i] = buf[len(buf)-len(a) : len(buf) : len(buf)]
	}
	return out
}

// exec is EXEC: the queued commands become one operation of the pipeline part of their shard.
func (r *Router) exec(ctx context.Context, s *Session, i int, p *plan, out []resp.Value) {
	t := s.tx
	if t == nil {
		out[i] = r.reject(s, p, resp.Err("ERR EXEC without MULTI"))
		return
	}
	watches := s.watches
	if t.dirty {
		s.endTx()
		out[i] = r.reject(s, p, errExecAbort)
		return
	}
	// The queue is there until the transaction has run, and the operation points into it.
	s.spent += t.memory + (queuedBytes+clientmem.SliceBytes)*int64(len(t.cmds)) + s.mem.Of(clientmem.Watch)
	s.endTx()
	tx := &transaction{size: t.size + 2*framing, cmds: make([]queuedCommand, 0, len(t.cmds))}
	tx.op.Cmds = make([]command.Args, 0, len(t.cmds))
	write, readonly, handlers := false, true, false
	for _, w := range watches {
		tx.op.Watches = append(tx.op.Watches, w.Watch)
		tx.size += len(w.Key) + 2*framing
		t.joinSlot(w.slot)
	}
	for _, c := range t.cmds {
		if c.p.h.Run != nil {
			handlers = true
			continue
		}
		write = write || c.p.write
		tx.cmds = append(tx.cmds, c)
		tx.op.Cmds = append(tx.op.Cmds, c.args)
	}
	readonly = !write && len(watches) == 0
	tx.op.Multi = true
	to := r.execTarget(s, t, readonly)
	if to.refuse.IsError() {
		out[i] = r.reject(s, p, to.refuse)
		return
	}
	args := command.Args{[]byte("exec")}
	s.part(to.shard).add(item{p: p, args: args, tx: tx, out: i, write: write}, to.stale)
	if handlers {
		r.flush(ctx, s, out)
		out[i] = r.merge(ctx, s, t, out[i])
	}
}

func (r *Router) execTarget(s *Session, t *txn, readonly bool) target {
	switch {
	case !r.sharded:
		return target{stale: s.view.Load().Readonly && readonly && !r.node.IsLeader(0)}
	case t.cross:
		return target{refuse: errCrossSlot}
	case t.slot < 0:
		return target{}
	}
	return r.onSlot(s, t.slot, readonly)
}

// merge puts the replies of connection commands between those of the operation.
func (r *Router) merge(ctx context.Context, s *Session, t *txn, v resp.Value) resp.Value {
	if v.Kind != resp.KindArray {
		return v
	}
	elems := make([]resp.Value, len(t.cmds))
	data := v.Elems
	for i, c := range t.cmds {
		if c.p.h.Run != nil {
			elems[i] = r.runHandler(ctx, s, c.p, c.args)
		} else {
			elems[i], data = data[0], data[1:]
		}
	}
	return resp.Array(elems...)
}

// count adds the commands of a transaction to their statistics. Their time is
// counted with EXEC.
func (tx *transaction) count(r *Router, v resp.Value) {
	if v.Kind != resp.KindArray || len(v.Elems) != len(tx.cmds) {
		return
	}
	for i, c := range tx.cmds {
		c.p.stats.Calls.Add(1)
		if v.Elems[i].IsError() {
			c.p.stats.Failed.Add(1)
			r.stats.Errors.Count(v.Elems[i])
		}
	}
}
