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
	total := int64(len(e.Bytes())) + int64(len(op.tail))
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
	var old []byte
	var at int64
	if e != nil {
		old, at = e.Bytes(), e.ExpireAt()
	}
	if len(op.value) == 0 {
		return resp.Int(int64(len(old)))
	}
	if op.offset > ctx.MaxValueBytes()-int64(len(op.value)) {
		return resp.ErrorReply(command.ErrTooLong)
	}
	if e != nil && op.offset == int64(len(old)) {
		ctx.Append(e, op.value)
		return resp.Int(op.offset + int64(len(op.value)))
	}
	changed := make([]byte, max(op.offset+int64(len(op.value)), int64(len(old))))
	copy(changed, old)
	copy(changed[op.offset:], op.value)
	ctx.Put(op.key, changed, at, true)
	return resp.Int(int64(len(changed)))
}
