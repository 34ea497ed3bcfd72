package router

import (
	"context"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

// txn is a transaction that a client is still queueing.
type txn struct {
	cmds  []queuedCommand
	size  int
	slot  int // of all keys so far, -1 before the first
	cross bool
	dirty bool // a command was refused: EXEC must abort
}

type queuedCommand struct {
	p    *plan
	args command.Args // owned by the queue
}

// transaction is what EXEC runs.
type transaction struct {
	unit command.Unit
	cmds []queuedCommand // the commands of unit, in order
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
	s.queued.Store(0)
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
	s.tx = nil
	s.queued.Store(-1)
	s.queuedMem.Store(0)
	s.unwatch()
}

func (s *Session) unwatch() {
	s.watches, s.watchedKeys = nil, nil
	s.watchMem.Store(0)
}

// What the bookkeeping of a queued command, of one of its arguments and of a
// watched key takes.
const (
	queuedBytes  = 32
	argBytes     = 24
	watchedBytes = 40
)

// sizeOf is the memory that a copy of args takes.
func sizeOf(args command.Args) int64 {
	n := argBytes * int64(len(args))
	for _, a := range args {
		n += int64(len(a))
	}
	return n
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
	t := target{}
	if r.sharded {
		if t = r.onSlot(s, slot, false); t.refuse.IsError() {
			return t.refuse
		}
	}
	versions := make([]uint64, len(args)-1)
	ctx, cancel := context.WithTimeout(ctx, r.cfg.RequestTimeout)
	defer cancel()
	_, err := r.shards[t.shard].Read(ctx, command.ReadOptions{}, func(c *command.Ctx) {
		for i, k := range args[1:] {
			versions[i] = c.WatchVersion(k)
		}
	})
	if err != nil {
		return readError(err)
	}
	for i, k := range args[1:] {
		s.watch(k, versions[i])
	}
	return resp.OK
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
	s.watches = append(s.watches, watched{w, int(store.Slot(key))})
	s.watchMem.Add(int64(watchedBytes + len(key)))
}

// queue adds a command to the transaction.
func (r *Router) queue(s *Session, p *plan, args command.Args) resp.Value {
	t := s.tx
	shard := 0
	if p.h.run == nil && r.sharded {
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
			shard = int(r.slots[slot])
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
	size := commandSize(args)
	if t.size+size > r.cfg.MaxQueuedBytes {
		return r.reject(s, p, errTxTooLarge)
	}
	t.size += size
	t.cmds = append(t.cmds, queuedCommand{p, copyArgs(args)})
	s.queued.Store(int64(len(t.cmds)))
	s.queuedMem.Add(queuedBytes + sizeOf(args))
	return resp.Queued
}

func (t *txn) joinSlot(slot int) {
	if t.slot < 0 {
		t.slot = slot
	}
	t.cross = t.cross || t.slot != slot
}

// copyArgs copies args into memory of its own, in two allocations.
func copyArgs(args command.Args) command.Args {
	n := 0
	for _, a := range args {
		n += len(a)
	}
	buf := make([]byte, 0, n)
	out := make(command.Args, len(args))
	for i, a := range args {
		buf = append(buf, a...)
		out[i] = buf[len(buf)-len(a) : len(buf) : len(buf)]
	}
	return out
}

// exec is EXEC: the queued commands become one unit of the run of their shard.
func (r *Router) exec(ctx context.Context, s *Session, i int, p *plan, out []resp.Value) {
	t := s.tx
	if t == nil {
		out[i] = r.reject(s, p, resp.Err("ERR EXEC without MULTI"))
		return
	}
	watches := s.watches
	s.endTx()
	if t.dirty {
		out[i] = r.reject(s, p, errExecAbort)
		return
	}
	tx := &transaction{size: t.size + 2*unitOverhead}
	write, readonly, handlers := false, true, false
	for _, w := range watches {
		tx.unit.Watches = append(tx.unit.Watches, w.Watch)
		tx.size += len(w.Key) + 2*unitOverhead
		t.joinSlot(w.slot)
	}
	for _, c := range t.cmds {
		if c.p.h.run != nil {
			handlers = true
			continue
		}
		write = write || c.p.write
		tx.cmds = append(tx.cmds, c)
		tx.unit.Cmds = append(tx.unit.Cmds, c.args)
	}
	readonly = !write && len(watches) == 0
	tx.unit.Multi = true
	to := r.execTarget(s, t, readonly)
	if to.refuse.IsError() {
		out[i] = r.reject(s, p, to.refuse)
		return
	}
	args := command.Args{[]byte("exec")}
	s.run(to.shard).add(item{p: p, args: args, tx: tx, out: i, write: write}, to.stale)
	if handlers {
		r.flush(ctx, s, out)
		out[i] = r.weave(ctx, s, t, out[i])
	}
}

func (r *Router) execTarget(s *Session, t *txn, readonly bool) target {
	switch {
	case !r.sharded:
		return target{stale: s.readonly && readonly && !r.node.IsLeader(0)}
	case t.cross:
		return target{refuse: errCrossSlot}
	case t.slot < 0:
		return target{}
	}
	return r.onSlot(s, t.slot, readonly)
}

// weave puts the replies of connection commands between those of the unit.
func (r *Router) weave(ctx context.Context, s *Session, t *txn, v resp.Value) resp.Value {
	if v.Kind != resp.KindArray {
		return v
	}
	elems := make([]resp.Value, len(t.cmds))
	data := v.Elems
	for i, c := range t.cmds {
		if c.p.h.run != nil {
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
		c.p.stats.calls.Add(1)
		if v.Elems[i].IsError() {
			c.p.stats.failed.Add(1)
			r.errs.count(v.Elems[i])
		}
	}
}
