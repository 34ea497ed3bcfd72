package command

import (
	"math"

	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

var specIncr = &Spec{
	Name: "incr", Group: "string", Arity: 2, Since: "1.0.0",
	Flags: Write | DenyOOM | Fast, ACL: []string{"write", "string", "fast"}, Keys: oneKey,
	Summary: "Adds one to the integer under a key and answers the sum. An absent key counts as 0.",
	Syntax:  "key",
	Parse:   func(args Args) (Op, error) { return incrOp{args[1], 1}, nil },
}

var specDecr = &Spec{
	Name: "decr", Group: "string", Arity: 2, Since: "1.0.0",
	Flags: Write | DenyOOM | Fast, ACL: []string{"write", "string", "fast"}, Keys: oneKey,
	Summary: "Takes one off the integer under a key and answers the difference.",
	Syntax:  "key",
	Parse:   func(args Args) (Op, error) { return incrOp{args[1], -1}, nil },
}

var specIncrBy = &Spec{
	Name: "incrby", Group: "string", Arity: 3, Since: "1.0.0",
	Flags: Write | DenyOOM | Fast, ACL: []string{"write", "string", "fast"}, Keys: oneKey,
	Summary: "Adds to the integer under a key and answers the sum.",
	Syntax:  "key increment",
	Parse: func(args Args) (Op, error) {
		by, err := intArg(args[2])
		if err != nil {
			return nil, err
		}
		return incrOp{args[1], by}, nil
	},
}

var specDecrBy = &Spec{
	Name: "decrby", Group: "string", Arity: 3, Since: "1.0.0",
	Flags: Write | DenyOOM | Fast, ACL: []string{"write", "string", "fast"}, Keys: oneKey,
	Summary: "Subtracts from the integer under a key and answers the difference.",
	Syntax:  "key decrement",
	Parse: func(args Args) (Op, error) {
		by, err := intArg(args[2])
		if err != nil {
			return nil, err
		}
		if by == math.MinInt64 {
			return nil, errDecrOverflow
		}
		return incrOp{args[1], -by}, nil
	},
}

type incrOp struct {
	key []byte
	by  int64
}

func (op incrOp) Run(ctx *Ctx) resp.Value {
	n, _, err := increment(ctx, op.key, op.by)
	if err != nil {
		return errorReply(err)
	}
	return resp.Int(n)
}

// increment adds by to the integer under key; the key keeps its lifetime.
func increment(ctx *Ctx, key []byte, by int64) (int64, *store.Entry, error) {
	var n, at int64
	if e := ctx.Lookup(key); e != nil {
		var ok bool
		if n, ok = parseInt(e.Bytes()); !ok {
			return 0, nil, ofValue(errNotInteger)
		}
		at = e.ExpireAt()
	}
	if addOverflows(n, by) {
		return 0, nil, ofValue(errOverflow)
	}
	n += by
	var buf [20]byte
	return n, ctx.Store.Put(key, intBytes(buf[:], n), at, false), nil
}

var specIncrByFloat = &Spec{
	Name: "incrbyfloat", Group: "string", Arity: 3, Since: "2.6.0",
	Flags: Write | DenyOOM | Fast, ACL: []string{"write", "string", "fast"}, Keys: oneKey,
	Summary: "Adds to the decimal number under a key and answers the sum, computed in 80 bit extended precision as Redis does on x86.",
	Syntax:  "key increment",
	Parse:   func(args Args) (Op, error) { return incrbyfloatOp{args[1], args[2]}, nil },
}

type incrbyfloatOp struct{ key, by []byte }

func (op incrbyfloatOp) Run(ctx *Ctx) resp.Value {
	value := []byte("0")
	var at int64
	if e := ctx.Lookup(op.key); e != nil {
		value, at = e.Bytes(), e.ExpireAt()
	}
	sum, err := addExtended(value, op.by)
	if err != nil {
		return errorReply(err)
	}
	ctx.Store.Put(op.key, sum, at, false)
	return resp.Bulk(sum)
}
