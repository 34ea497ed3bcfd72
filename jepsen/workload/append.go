package workload

import (
	"context"
	"fmt"

	"github.com/lockstepkv/lockstep/jepsen/check"
	"github.com/lockstepkv/lockstep/jepsen/client"
	"github.com/lockstepkv/lockstep/resp"
)

// listAppend runs transactions that append to lists and read lists: words in a string, or
// elements of a list.
type listAppend struct {
	recorded[check.Txn, check.Txn]
	keys  keyring
	lists bool
}

func newListAppend(o Options) Workload { return listAppendOf("append", o, false) }

func newLists(o Options) Workload { return listAppendOf("lists", o, true) }

func listAppendOf(name string, o Options, lists bool) Workload {
	prefix := "l"
	if o.Shards > 1 {
		prefix = "{l}" // a transaction stays within one shard
	}
	return &listAppend{newRecorded[check.Txn, check.Txn](name, o), keyring{prefix: prefix, active: 4, per: 60}, lists}
}

// Flags implements Workload: some lists are packed and most are trees.
func (l *listAppend) Flags() []string {
	if l.lists {
		return append(l.recorded.Flags(), "--list-max-listpack-size=5")
	}
	return l.recorded.Flags()
}

// command appends to a list, or reads one.
func (l *listAppend) command(op check.MicroOp) []string {
	switch {
	case op.Append && l.lists:
		return []string{"RPUSH", op.Key, op.Word}
	case op.Append:
		return []string{"APPEND", op.Key, check.ListValue(op.Word)}
	case l.lists:
		return []string{"LRANGE", op.Key, "0", "-1"}
	}
	return []string{"GET", op.Key}
}

// elementsOf reads what the command for reading answers.
func (l *listAppend) elementsOf(v resp.Value) ([]string, error) {
	if !l.lists {
		value, _, err := text(v)
		return check.ParseList(value), err
	}
	if v.Kind != resp.KindArray {
		return nil, fmt.Errorf("LRANGE answered %v", v)
	}
	var list []string
	for _, e := range v.Elems {
		word, _, err := text(e)
		if err != nil {
			return nil, err
		}
		list = append(list, word)
	}
	return list, nil
}

// Step implements Workload.
func (l *listAppend) Step(ctx context.Context, w *Worker) {
	var in check.Txn
	for range 1 + w.Rand.IntN(4) {
		op := check.MicroOp{Key: l.keys.pick(l.rec.Len(), w.Rand)}
		if w.Rand.IntN(2) == 0 {
			op.Append, op.Word = true, w.unique()
		}
		in = append(in, op)
	}
	l.txn(ctx, w, w.anywhere(), in)
}

func (l *listAppend) txn(ctx context.Context, w *Worker, c client.Client, in check.Txn) {
	var cmds [][]string
	writes := false
	for _, op := range in {
		writes = writes || op.Append
		cmds = append(cmds, l.command(op))
	}
	l.do(w, c.Node(), check.TxnKind, "", in, func() client.Reply {
		r := c.Tx(ctx, cmds)
		if !writes {
			r = r.AsRead()
		}
		return r
	}, func(r client.Reply) (check.Txn, error) { return l.output(in, r.Value.Elems) })
}

func (l *listAppend) output(in check.Txn, replies []resp.Value) (check.Txn, error) {
	if len(replies) != len(in) {
		return nil, fmt.Errorf("%d replies to a transaction of %d commands", len(replies), len(in))
	}
	out := make(check.Txn, len(in))
	copy(out, in)
	for i := range out {
		if err := replies[i].AsError(); err != nil {
			return nil, err
		}
		if !out[i].Append {
			var err error
			if out[i].List, err = l.elementsOf(replies[i]); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// Final implements Workload.
func (l *listAppend) Final(ctx context.Context, w *Worker) {
	for i, key := range l.keys.used(l.rec.Len()) {
		l.txn(ctx, w, w.All[i%len(w.All)], check.Txn{{Key: key}})
	}
}

// Check implements Workload.
func (l *listAppend) Check() check.Verdict { return check.ListAppend(l.rec.History()) }
