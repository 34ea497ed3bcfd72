package command

import (
	"github.com/lockstepkv/lockstep/resp"
)

var specGet = &Spec{
	Name: "get", Group: "string", Arity: 2, Since: "1.0.0",
	Flags: ReadOnly | Fast, ACL: []string{"read", "string", "fast"}, Keys: oneKey,
	Summary: "Answers the string under a key.",
	Syntax:  "key",
	Parse:   func(args Args) (Op, error) { return getOp{args[1]}, nil },
}

type getOp struct{ key []byte }

func (op getOp) Run(ctx *Ctx) resp.Value { return valueOrNil(ctx.read(op.key)) }

var specGetEX = &Spec{
	Name: "getex", Group: "string", Arity: -2, Since: "6.2.0",
	Flags: Write | Fast, ACL: []string{"write", "string", "fast"}, Keys: oneKey,
	Summary: "Answers the string under a key and sets or removes its lifetime.",
	Syntax:  "key [EX seconds | PX milliseconds | EXAT unix-seconds | PXAT unix-milliseconds | PERSIST]",
	Parse: func(args Args) (Op, error) {
		op := &getexOp{key: args[1]}
		if err := op.setOptions.parse(args[2:], false); err != nil {
			return nil, err
		}
		return op, nil
	},
}

type getexOp struct {
	key []byte
	setOptions
}

func (op *getexOp) Run(ctx *Ctx) resp.Value {
	e := ctx.read(op.key)
	if e == nil {
		return resp.Nil
	}
	reply := resp.Bulk(e.Bytes())
	if op.persist && e.ExpireAt() != 0 {
		ctx.Store.SetExpireAt(e, 0)
	}
	if op.hasExpiry {
		at, err := op.expiry.at(ctx.Now, "getex")
		if err != nil {
			return errorReply(err)
		}
		expireAt(ctx, e, at)
	}
	return reply
}

var specGetDel = &Spec{
	Name: "getdel", Group: "string", Arity: 2, Since: "6.2.0",
	Flags: Write | Frees | Fast, ACL: []string{"write", "string", "fast"}, Keys: oneKey,
	Summary: "Answers the string under a key and deletes the key.",
	Syntax:  "key",
	Parse:   func(args Args) (Op, error) { return getdelOp{args[1]}, nil },
}

type getdelOp struct{ key []byte }

func (op getdelOp) Run(ctx *Ctx) resp.Value {
	e := ctx.read(op.key)
	if e == nil {
		return resp.Nil
	}
	reply := resp.Bulk(e.Bytes())
	ctx.Store.Delete(e)
	return reply
}

var specMGet = &Spec{
	Name: "mget", Group: "string", Arity: -2, Since: "1.0.0",
	Flags: ReadOnly | Fast, ACL: []string{"read", "string", "fast"}, Keys: allKeys,
	Summary: "Answers the strings under several keys.",
	Syntax:  "key [key ...]",
	Parse:   func(args Args) (Op, error) { return mgetOp{args[1:]}, nil },
}

type mgetOp struct{ keys Args }

func (op mgetOp) Run(ctx *Ctx) resp.Value {
	values := make([]resp.Value, len(op.keys))
	for i, k := range op.keys {
		values[i] = valueOrNil(ctx.read(k))
	}
	return resp.Array(values...)
}

var specStrlen = &Spec{
	Name: "strlen", Group: "string", Arity: 2, Since: "2.2.0",
	Flags: ReadOnly | Fast, ACL: []string{"read", "string", "fast"}, Keys: oneKey,
	Summary: "Answers the length of a string in bytes.",
	Syntax:  "key",
	Parse:   func(args Args) (Op, error) { return strlenOp{args[1]}, nil },
}

type strlenOp struct{ key []byte }

func (op strlenOp) Run(ctx *Ctx) resp.Value {
	if e := ctx.read(op.key); e != nil {
		return resp.Int(int64(len(e.Bytes())))
	}
	return resp.Zero
}

var specGetRange = &Spec{
	Name: "getrange", Group: "string", Arity: 4, Since: "2.4.0",
	Flags: ReadOnly, ACL: []string{"read", "string", "slow"}, Keys: oneKey,
	Summary: "Answers the part of a string between two offsets, both included; negative ones count from the end.",
	Syntax:  "key start end",
	Parse:   parseGetRange,
}

var specSubstr = &Spec{
	Name: "substr", Group: "string", Arity: 4, Since: "1.0.0",
	Flags: ReadOnly, ACL: []string{"read", "string", "slow"}, Keys: oneKey,
	Summary: "The old name of GETRANGE.",
	Syntax:  "key start end",
	Parse:   parseGetRange,
}

type getrangeOp struct {
	key        []byte
	start, end int64
}

func parseGetRange(args Args) (Op, error) {
	start, err := intArg(args[2])
	if err != nil {
		return nil, err
	}
	end, err := intArg(args[3])
	if err != nil {
		return nil, err
	}
	return getrangeOp{args[1], start, end}, nil
}

func (op getrangeOp) Run(ctx *Ctx) resp.Value {
	e := ctx.read(op.key)
	if e == nil {
		return resp.Bulk([]byte{})
	}
	from, to := op.within(len(e.Bytes()))
	return resp.Bulk(e.Bytes()[from:to])
}

// within returns the part of a string of that length that op means.
func (op getrangeOp) within(length int) (from, to int) {
	n := int64(length)
	start, end := op.start, op.end
	if start < 0 && end < 0 && start > end {
		return 0, 0
	}
	if start < 0 {
		start = max(start+n, 0)
	}
	if end < 0 {
		end = max(end+n, 0)
	}
	end = min(end, n-1)
	if start > end {
		return 0, 0
	}
	return int(start), int(end + 1)
}
