package command

import (
	"github.com/lockstepkv/lockstep/resp"
)

var specAppend = &Spec{
	Name: "append", Group: "string", Arity: 3, Since: "2.0.0",
	Flags: Write | DenyOOM | Fast, ACL: []string{"write", "string", "fast"}, Keys: oneKey,
	Summary: "Adds bytes to the end of a string and answers its new length. An absent key counts as empty.",
	Syntax:  "key value",
	Parse:   func(args Args) (Op, error) { return appendOp{args[1], args[2]}, nil },
}

type appendOp struct{ key, tail []byte }

func (op appendOp) Run(ctx *Ctx) resp.Value {
	e := ctx.Lookup(op.key)
	if e == nil {
		ctx.Store.Put(op.key, op.tail, 0, false)
		return resp.Int(int64(len(op.tail)))
	}
	total := int64(len(e.Bytes())) + int64(len(op.tail))
	if total > ctx.maxValueBytes() {
		return errorReply(errTooLong)
	}
	ctx.Store.Append(e, op.tail)
	return resp.Int(total)
}

var specSetRange = &Spec{
	Name: "setrange", Group: "string", Arity: 4, Since: "2.2.0",
	Flags: Write | DenyOOM, ACL: []string{"write", "string", "slow"}, Keys: oneKey,
	Summary: "Overwrites a string from an offset on, with zero bytes up to it where the string is shorter, and answers its new length.",
	Syntax:  "key offset value",
	Parse: func(args Args) (Op, error) {
		offset, err := intArg(args[2])
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

func (op setrangeOp) Run(ctx *Ctx) resp.Value {
	e := ctx.Lookup(op.key)
	var old []byte
	var at int64
	if e != nil {
		old, at = e.Bytes(), e.ExpireAt()
	}
	if len(op.value) == 0 {
		return resp.Int(int64(len(old)))
	}
	if op.offset > ctx.maxValueBytes()-int64(len(op.value)) {
		return errorReply(errTooLong)
	}
	if e != nil && op.offset == int64(len(old)) {
		ctx.Store.Append(e, op.value)
		return resp.Int(op.offset + int64(len(op.value)))
	}
	changed := make([]byte, max(op.offset+int64(len(op.value)), int64(len(old))))
	copy(changed, old)
	copy(changed[op.offset:], op.value)
	ctx.Store.Put(op.key, changed, at, true)
	return resp.Int(int64(len(changed)))
}
