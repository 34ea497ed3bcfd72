package router

import (
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

// target says where a command runs.
type target struct {
	shard  int
	slot   int // -1: the command has no keys
	stale  bool
	all    bool       // on every shard
	spans  bool       // on several shards, each with its own keys
	refuse resp.Value // an error: nowhere
}

// route finds the shard of a command, or the reply that sends the client away.
func (r *Router) route(s *Session, p *plan, args command.Args) target {
	if !r.sharded {
		return target{slot: -1, stale: s.view.Load().Readonly && !p.write && !r.node.IsLeader(0)}
	}
	if p.has(command.AllShards) {
		return target{all: true, slot: -1}
	}
	slot, cross, err := slotOf(p.spec, args)
	switch {
	case err != nil:
		return target{refuse: readError(err)}
	case cross && s.forward && r.cfg.SpanShards && p.spec.Split > 0:
		return target{spans: true}
	case cross:
		return target{refuse: errCrossSlot}
	case slot < 0:
		return target{slot: -1}
	}
	return r.onSlot(s, slot, !p.write)
}

// shardOf is the shard of a slot as the node knows it now. A command asks once.
func (r *Router) shardOf(slot uint16) int { return r.node.ShardOfSlot(slot) }

// onSlot routes a command, or a transaction, whose keys are all in one slot.
func (r *Router) onSlot(s *Session, slot int, readOnly bool) target {
	t := target{slot: slot, shard: r.shardOf(uint16(slot))}
	readonly := s.view.Load().Readonly
	if s.forward && !readonly || r.node.IsLeader(t.shard) {
		return t
	}
	switch {
	case readonly && readOnly && (s.forward || r.node.Holds(t.shard)):
		t.stale = true
	case !s.forward:
		t.refuse = r.moved(uint16(slot), t.shard)
	}
	return t
}

func (r *Router) moved(slot uint16, shard int) resp.Value {
	info := r.node.Cluster()
	sh := info.shard(shard)
	if sh == nil || sh.Leader == "" {
		return errNotServed
	}
	leader := info.node(sh.Leader)
	if leader == nil || leader.RESP == "" {
		return errNotServed
	}
	return movedTo(slot, leader.RESP)
}

// redirect answers those of items[from:to] whose slot is on another shard by now as they would
// have been if that had been known before: clients that are not redirected are to try again.
func (pp *pipelinePart) redirect(s *Session, from, to int) {
	for i := from; i < to; i++ {
		it := &pp.items[i]
		if v := &pp.out[it.out]; v.Class() == resp.ClassElsewhere && !s.forward {
			slot := it.slot()
			if slot < 0 {
				continue
			}
			if shard := pp.r.shardOf(uint16(slot)); shard != pp.shard.ID() {
				*v = pp.r.moved(uint16(slot), shard)
			}
		}
	}
}

// slot is that of the keys, -1 without any.
func (it *item) slot() int {
	if it.tx == nil {
		slot, _, _ := slotOf(it.p.spec, it.args)
		return slot
	}
	for _, w := range it.tx.op.Watches {
		return int(store.Slot(w.Key))
	}
	for _, c := range it.tx.cmds {
		if slot, _, err := slotOf(c.p.spec, c.args); err == nil && slot >= 0 {
			return slot
		}
	}
	return -1
}

// slotOf returns the slot of all keys of a command, -1 when it has none, and
// whether its keys are in different slots. It does not allocate for commands
// with fixed key positions.
func slotOf(sp *command.Spec, args command.Args) (slot int, cross bool, err error) {
	slot = -1
	if sp.FindKeys != nil {
		keys, err := sp.FindKeys(args)
		if err != nil {
			return -1, false, err
		}
		for _, k := range keys {
			if cross = otherSlot(&slot, k) || cross; cross {
				return slot, true, nil
			}
		}
		return slot, false, nil
	}
	keys := sp.KeyRange()
	if keys.First == 0 {
		return -1, false, nil
	}
	last := keys.Last
	if last < 0 {
		last += len(args)
	}
	for i := keys.First; i <= last && i < len(args); i += max(keys.Step, 1) {
		if otherSlot(&slot, args[i]) {
			return slot, true, nil
		}
	}
	return slot, false, nil
}

// otherSlot notes key's slot, and reports whether another one was noted before.
func otherSlot(slot *int, key []byte) bool {
	n := int(store.Slot(key))
	if *slot < 0 {
		*slot = n
	}
	return n != *slot
}
