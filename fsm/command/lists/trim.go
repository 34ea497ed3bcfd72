package lists

import (
	"math"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/effect"
	"github.com/lockstepkv/lockstep/store/value/list"
)

var specLRem = &command.Spec{
	Name: "lrem", Group: "list", Arity: 4, Since: "1.0.0",
	Flags: command.Write, ACL: acl, Keys: command.OneKey(command.RW | command.Delete),
	Summary: "Takes the first count elements out of a list that are equal to one, below 0 the last ones, at 0 all; answers how many.",
	Args:    []command.Arg{command.Key("key"), command.Integer("count"), command.String("element")},
	Parse: func(args command.Args) (command.Op, error) {
		count, err := command.RandomCount(args[2])
		return lremOp{args[1], args[3], count}, err
	},
}

type lremOp struct {
	key, element []byte
	count        int64
}

func (op lremOp) Run(ctx *command.Ctx) resp.Value {
	e, err := ctx.LookupOf(store.List, op.key)
	switch {
	case err != nil:
		return resp.ErrorReply(err)
	case e == nil:
		return resp.Zero
	}
	most := max(op.count, -op.count)
	if most == 0 {
		most = math.MaxInt64
	}
	removed := 0
	ctx.UpdateList(e, func(l *list.List, edits *effect.Edits) bool {
		if removed = l.RemoveEqual(op.element, int(most), op.count < 0); removed == 0 {
			return false
		}
		l.Shrink(ctx.Limits.List())
		edits.Say("LREM", decimal(op.count), op.element)
		return true
	})
	return resp.Int(int64(removed))
}

var specLTrim = &command.Spec{
	Name: "ltrim", Group: "list", Arity: 4, Since: "1.0.0",
	Flags: command.Write, ACL: acl, Keys: command.OneKey(command.RW | command.Delete),
	Summary: "Takes all elements out of a list but those from one index to another, which count from the end below 0.",
	Args:    []command.Arg{command.Key("key"), command.Integer("start"), command.Integer("stop")},
	Parse: func(args command.Args) (command.Op, error) {
		start, stop, err := parseSpan(args)
		return ltrimOp{args[1], start, stop}, err
	},
}

type ltrimOp struct {
	key         []byte
	start, stop int64
}

func (op ltrimOp) Run(ctx *command.Ctx) resp.Value {
	e, err := ctx.LookupOf(store.List, op.key)
	switch {
	case err != nil:
		return resp.ErrorReply(err)
	case e == nil:
		return resp.OK
	}
	from, to := span(op.start, op.stop, e.List().Len())
	ctx.UpdateList(e, func(l *list.List, edits *effect.Edits) bool {
		l.Remove(to, l.Len())
		l.Remove(0, from)
		l.Shrink(ctx.Limits.List())
		edits.Say("LTRIM", decimal(int64(from)), decimal(int64(to-1)))
		return true // to Redis it is a change, too, when all stay
	})
	return resp.OK
}
