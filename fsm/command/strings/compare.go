package strings

import (
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

var specDelIfEq = &command.Spec{
	Name: "delifeq", Group: "lockstep", Arity: 3, Since: "0.1.0", // from Valkey 9
	Flags: command.Write | command.Frees | command.Fast, ACL: []string{"string"},
	Keys:    command.OneKey(command.RW | command.Access | command.Update),
	Summary: "Deletes a key if it holds the given string, and answers 1 or 0: how a lock made by SET NX is released.",
	Args:    []command.Arg{command.Key("key"), command.String("value")},
	Parse:   func(args command.Args) (command.Op, error) { return delIfEqOp{args[1], args[2]}, nil },
}

type delIfEqOp struct{ key, value []byte }

func (op delIfEqOp) Run(ctx *command.Ctx) resp.Value {
	e, err := command.OfType(store.String, ctx.Peek(op.key))
	if err != nil {
		return resp.ErrorReply(err)
	}
	if !holds(e, op.value) {
		return resp.Zero
	}
	ctx.Delete(e)
	return resp.One
}
