package fsm

import (
	"time"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

// What this file has are deliberate bugs; see internal/mutant. No normal build
// contains them.

// runTorn runs a transaction in steps that others can look between.
func (f *FSM) runTorn() resp.Value {
	for _, w := range f.unit.Watches {
		if !f.cmdCtx.Unchanged(w) {
			return resp.NilArray
		}
	}
	var replies []resp.Value
	for i, args := range f.unit.Cmds {
		if i > 0 {
			f.mu.Unlock()
			time.Sleep(time.Millisecond)
			f.mu.Lock()
		}
		one := command.Unit{Cmds: []command.Args{args}}
		replies = append(replies, f.opt.Table.RunUnit(&f.cmdCtx, &one))
	}
	return resp.Array(replies...)
}

// chooseOwn replaces the victims that the leader chose by as many of this
// replica's choice.
func (f *FSM) chooseOwn(e *Entry) {
	if len(e.Evictions) == 0 {
		return
	}
	wanted := len(e.Evictions)
	e.Evictions = e.Evictions[:0]
	for _, v := range f.store.Victims(f.clock, 1<<62, store.NewPicker()) {
		if len(e.Evictions) == wanted {
			return
		}
		e.Evictions = append(e.Evictions, Eviction{Key: []byte(v.Key), Version: v.Version})
	}
}

// keepOldKeys puts what f has and next has not into next.
func (f *FSM) keepOldKeys(next *FSM) {
	f.Inspect(func(s *store.Store, _ int64) {
		s.Each(func(e *store.Entry) bool {
			if key := []byte(e.Key()); next.store.Get(key) == nil {
				next.store.Restore(store.Item{Key: key, Value: e.Bytes(), ExpireAt: e.ExpireAt(), Version: e.Version(), Raw: e.Raw()})
			}
			return true
		})
	})
}
