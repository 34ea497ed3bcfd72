package strings

import (
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

var specAppend = &command.Spec{
	Name: "append", Group: "string", Arity: 3, Since: "2.0.0",
	Flags: command.Write | command.DenyOOM | command.Fast, ACL: []string{"string"},
	Keys:    command.OneKey(command.RW | command.Insert),
	Summary: "Adds bytes to the end of a string and answers its new length. An absent key counts as empty.",
	Args:    []command.Arg{command.Key("key"), command.String("value")},
	Parse:   func(args command.Args) (command.Op, error) { return appendOp{args[1], args[2]}, nil },
}

type appendOp struct{ key, tail []byte }

func (op appendOp) Run(ctx *command.Ctx) resp.Value {
	e, err := ctx.LookupOf(store.String, op.key)
	if err != nil {
		return resp.ErrorReply(err)
	}
	if e == nil {
		ctx.Put(op.key, op.tail, 0, false)
		return resp.Int(int64(len(op.tail)))
	}
	total := int64(e.Len()) + int64(len(op.tail))
	if total > ctx.MaxValueBytes() {
		return resp.ErrorReply(command.ErrTooLong)
	}
	ctx.Append(e, op.tail)
	return resp.Int(total)
}

var specSetRange = &command.Spec{
	Name: "setrange", Group: "string", Arity: 4, Since: "2.2.0",
	Flags: command.Write | command.DenyOOM, ACL: []string{"string"}, Keys: command.OneKey(command.RW | command.Update),
	Summary: "Overwrites a string from an offset on, with zero bytes up to it where the string is shorter, and answers its new length.",
	Args:    []command.Arg{command.Key("key"), command.Integer("offset"), command.String("value")},
	Parse: func(args command.Args) (command.Op, error) {
		offset, err := command.IntArg(args[2])
		if err != nil {
			return nil, err
		}
		if offset < 0 {
			return nil, errOffset
		}
		return setrangeOp{args[1], args[3], offset}, nil
	},
}

type setrangeOp struct {
	key, value []byte
	offset     int64
}

func (op setrangeOp) Run(ctx *command.Ctx) resp.Value {
	e, err := ctx.LookupOf(store.String, op.key)
	if err != nil {
		return resp.ErrorReply(err)
	}
	was := 0
	if e != nil {
		was = e.Len()
	}
	if len(op.value) == 0 {
		return resp.Int(int64(was))
	}
	if op.offset > ctx.MaxValueBytes()-int64(len(op.value)) {
		return resp.ErrorReply(command.ErrTooLong)
	}
	from, to := int(op.offset), int(op.offset)+len(op.value)
	if e != nil && from == was {
		ctx.Append(e, op.value)
		return resp.Int(int64(to))
	}
	n := max(to, was)
	ctx.Overwrite(op.key, e, n, func(value []byte) []command.Range {
		copy(value[from:], op.value)
		return []command.Range{{From: from, To: to}}
	})
	return resp.Int(int64(n))
}
