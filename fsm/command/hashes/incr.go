package hashes

import (
	"strconv"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

var specHIncrBy = &command.Spec{
	Name: "hincrby", Group: "hash", Arity: 4, Since: "2.0.0",
	Flags: command.Write | command.DenyOOM | command.Fast, ACL: acl,
	Keys:    command.OneKey(command.RW | command.Access | command.Update),
	Summary: "Adds to the integer in a field of a hash and answers the sum. An absent field counts as 0.",
	Args:    []command.Arg{command.Key("key"), command.String("field"), command.Integer("increment")},
	Parse: func(args command.Args) (command.Op, error) {
		by, err := command.IntArg(args[3])
		if err != nil {
			return nil, err
		}
		return hincrbyOp{args[1], args[2], by}, nil
	},
}

type hincrbyOp struct {
	key, field []byte
	by         int64
}

func (op hincrbyOp) Run(ctx *command.Ctx) resp.Value {
	e, value, err := valueOf(ctx, op.key, op.field)
	if err != nil {
		return resp.ErrorReply(err)
	}
	n := int64(0)
	if value != nil {
		var ok bool
		if n, ok = command.ParseInt(value); !ok {
			return resp.ErrorReply(errNotInteger)
		}
	}
	if command.AddOverflows(n, op.by) {
		return resp.ErrorReply(command.OfValue(command.ErrOverflow))
	}
	n += op.by
	set(ctx, op.key, e, command.Args{op.field, strconv.AppendInt(nil, n, 10)})
	return resp.Int(n)
}

var specHIncrByFloat = &command.Spec{
	Name: "hincrbyfloat", Group: "hash", Arity: 4, Since: "2.6.0",
	Flags: command.Write | command.DenyOOM | command.Fast, ACL: acl,
	Keys:    command.OneKey(command.RW | command.Access | command.Update),
	Summary: "Adds to the decimal number in a field of a hash and answers the sum, as INCRBYFLOAT does.",
	Args:    []command.Arg{command.Key("key"), command.String("field"), command.Double("increment")},
	Parse: func(args command.Args) (command.Op, error) {
		by, ok := command.ParseExtended(args[3])
		switch {
		case !ok:
			return nil, command.ErrNotFloat
		case !by.Finite():
			return nil, errNotFinite
		}
		return hincrbyfloatOp{args[1], args[2], by}, nil
	},
}

type hincrbyfloatOp struct {
	key, field []byte
	by         command.Extended
}

func (op hincrbyfloatOp) Run(ctx *command.Ctx) resp.Value {
	e, value, err := valueOf(ctx, op.key, op.field)
	if err != nil {
		return resp.ErrorReply(err)
	}
	if value == nil {
		value = []byte("0")
	}
	was, ok := command.ParseExtended(value)
	if !ok {
		return resp.ErrorReply(errNotFloat)
	}
	sum, ok := was.Add(op.by)
	if !ok {
		return resp.ErrorReply(command.OfValue(command.ErrNaN))
	}
	text := sum.Text()
	set(ctx, op.key, e, command.Args{op.field, text})
	return resp.Bulk(text)
}

// valueOf returns the entry of key and the value of a field, nil each for absent.
func valueOf(ctx *command.Ctx, key, field []byte) (*store.Entry, []byte, error) {
	e, err := ctx.LookupOf(store.Hash, key)
	if e == nil {
		return nil, nil, err
	}
	value, _ := e.Hash().Get(field)
	return e, value, nil
}
