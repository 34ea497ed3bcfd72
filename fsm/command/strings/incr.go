package strings

import (
	"math"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

var specIncr = &command.Spec{
	Name: "incr", Group: "string", Arity: 2, Since: "1.0.0",
	Flags: command.Write | command.DenyOOM | command.Fast, ACL: []string{"string"},
	Keys:    command.OneKey(command.RW | command.Access | command.Update),
	Summary: "Adds one to the integer under a key and answers the sum. An absent key counts as 0.",
	Args:    []command.Arg{command.Key("key")},
	Parse:   func(args command.Args) (command.Op, error) { return incrOp{args[1], 1}, nil },
}

var specDecr = &command.Spec{
	Name: "decr", Group: "string", Arity: 2, Since: "1.0.0",
	Flags: command.Write | command.DenyOOM | command.Fast, ACL: []string{"string"},
	Keys:    command.OneKey(command.RW | command.Access | command.Update),
	Summary: "Takes one off the integer under a key and answers the difference.",
	Args:    []command.Arg{command.Key("key")},
	Parse:   func(args command.Args) (command.Op, error) { return incrOp{args[1], -1}, nil },
}

var specIncrBy = &command.Spec{
	Name: "incrby", Group: "string", Arity: 3, Since: "1.0.0",
	Flags: command.Write | command.DenyOOM | command.Fast, ACL: []string{"string"},
	Keys:    command.OneKey(command.RW | command.Access | command.Update),
	Summary: "Adds to the integer under a key and answers the sum.",
	Args:    []command.Arg{command.Key("key"), command.Integer("increment")},
	Parse: func(args command.Args) (command.Op, error) {
		by, err := command.IntArg(args[2])
		if err != nil {
			return nil, err
		}
		return incrOp{args[1], by}, nil
	},
}

var specDecrBy = &command.Spec{
	Name: "decrby", Group: "string", Arity: 3, Since: "1.0.0",
	Flags: command.Write | command.DenyOOM | command.Fast, ACL: []string{"string"},
	Keys:    command.OneKey(command.RW | command.Access | command.Update),
	Summary: "Subtracts from the integer under a key and answers the difference.",
	Args:    []command.Arg{command.Key("key"), command.Integer("decrement")},
	Parse: func(args command.Args) (command.Op, error) {
		by, err := command.IntArg(args[2])
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

func (op incrOp) Run(ctx *command.Ctx) resp.Value {
	n, _, err := ctx.Increment(op.key, op.by)
	if err != nil {
		return resp.ErrorReply(err)
	}
	return resp.Int(n)
}

var specIncrByFloat = &command.Spec{
	Name: "incrbyfloat", Group: "string", Arity: 3, Since: "2.6.0",
	Flags: command.Write | command.DenyOOM | command.Fast, ACL: []string{"string"},
	Keys:    command.OneKey(command.RW | command.Access | command.Update),
	Summary: "Adds to the decimal number under a key and answers the sum, computed in 80 bit extended precision as Redis does on x86.",
	Args:    []command.Arg{command.Key("key"), command.Double("increment")},
	Parse:   func(args command.Args) (command.Op, error) { return incrbyfloatOp{args[1], args[2]}, nil },
}

type incrbyfloatOp struct{ key, by []byte }

func (op incrbyfloatOp) Run(ctx *command.Ctx) resp.Value {
	value := []byte("0")
	var at int64
	e, err := ctx.LookupOf(store.String, op.key)
	if err != nil {
		return resp.ErrorReply(err)
	}
	if e != nil {
		value, at = e.Look(), e.ExpireAt()
	}
	sum, err := addExtended(value, op.by)
	if err != nil {
		return resp.ErrorReply(err)
	}
	ctx.Put(op.key, sum, at, false)
	return resp.Bulk(sum)
}

// addExtended adds to the value of a key.
func addExtended(value, by []byte) ([]byte, error) {
	x, ok := command.ParseExtended(value)
	if !ok {
		return nil, command.OfValue(command.ErrNotFloat)
	}
	y, ok := command.ParseExtended(by)
	if !ok {
		return nil, command.ErrNotFloat
	}
	sum, ok := x.Add(y)
	if !ok {
		return nil, command.OfValue(command.ErrNaN)
	}
	return sum.Text(), nil
}
