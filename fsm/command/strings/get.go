package strings

import (
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

var specGet = &command.Spec{
	Name: "get", Group: "string", Arity: 2, Since: "1.0.0",
	Flags: command.ReadOnly | command.Fast, ACL: []string{"string"}, Keys: command.OneKey(command.RO | command.Access),
	Summary: "Answers the string under a key.",
	Args:    []command.Arg{command.Key("key")},
	Parse:   func(args command.Args) (command.Op, error) { return getOp{args[1]}, nil },
}

type getOp struct{ key []byte }

func (op getOp) Run(ctx *command.Ctx) resp.Value {
	return stringOrNil(ctx.Read(op.key))
}

var specGetEX = &command.Spec{
	Name: "getex", Group: "string", Arity: -2, Since: "6.2.0",
	Flags: command.Write | command.Fast, ACL: []string{"string"},
	Keys:    command.OneKey(command.RW | command.Access | command.Update),
	Summary: "Answers the string under a key and sets or removes its lifetime.",
	Args:    getexOptions.After(command.Key("key")),
	Parse: func(args command.Args) (command.Op, error) {
		op := &getexOp{key: args[1]}
		return op, getexOptions.Parse(args[2:], op)
	},
}

type getexOp struct {
	key      []byte
	persist  bool
	lifetime command.Lifetime
}

func (op *getexOp) life() *command.Lifetime { return &op.lifetime }

var getexOptions = command.NewOptions(command.Choice("expiration",
	command.EX((*getexOp).life), command.PX((*getexOp).life), command.EXAT((*getexOp).life), command.PXAT((*getexOp).life),
	command.Word("PERSIST", func(op *getexOp) { op.persist = true }),
))

func (op *getexOp) Run(ctx *command.Ctx) resp.Value {
	e, err := ctx.ReadOf(store.String, op.key)
	if err != nil {
		return resp.ErrorReply(err)
	}
	if e == nil {
		return resp.Nil
	}
	reply := resp.Bulk(e.Bytes())
	if op.persist && e.ExpireAt() != 0 {
		ctx.SetExpireAt(e, 0)
	}
	if op.lifetime.Given() {
		at, err := op.lifetime.At(ctx.Now, "getex")
		if err != nil {
			return resp.ErrorReply(err)
		}
		ctx.ExpireAt(e, at)
	}
	return reply
}

var specGetDel = &command.Spec{
	Name: "getdel", Group: "string", Arity: 2, Since: "6.2.0",
	Flags: command.Write | command.Frees | command.Fast, ACL: []string{"string"},
	Keys:    command.OneKey(command.RW | command.Access | command.Delete),
	Summary: "Answers the string under a key and deletes the key.",
	Args:    []command.Arg{command.Key("key")},
	Parse:   func(args command.Args) (command.Op, error) { return getdelOp{args[1]}, nil },
}

type getdelOp struct{ key []byte }

func (op getdelOp) Run(ctx *command.Ctx) resp.Value {
	e, err := ctx.ReadOf(store.String, op.key)
	if err != nil {
		return resp.ErrorReply(err)
	}
	if e == nil {
		return resp.Nil
	}
	reply := resp.Bulk(e.Bytes())
	ctx.Delete(e)
	return reply
}

var specMGet = &command.Spec{
	Name: "mget", Group: "string", Arity: -2, Since: "1.0.0",
	Flags: command.ReadOnly | command.Fast, ACL: []string{"string"},
	Keys: command.AllKeys(command.RO | command.Access), Split: 1, Merge: command.InOrder,
	Summary: "Answers the strings under several keys.",
	Args:    []command.Arg{command.Many(command.Key("key"))},
	Parse:   func(args command.Args) (command.Op, error) { return mgetOp{args[1:]}, nil },
}

type mgetOp struct{ keys command.Args }

func (op mgetOp) Run(ctx *command.Ctx) resp.Value {
	values := make([]resp.Value, len(op.keys))
	for i, k := range op.keys {
		if e := ctx.Read(k); e != nil && e.Type() == store.String {
			values[i] = resp.Bulk(e.Bytes())
		}
	}
	return resp.Array(values...)
}

var specStrlen = &command.Spec{
	Name: "strlen", Group: "string", Arity: 2, Since: "2.2.0",
	Flags: command.ReadOnly | command.Fast, ACL: []string{"string"}, Keys: command.OneKey(command.RO),
	Summary: "Answers the length of a string in bytes.",
	Args:    []command.Arg{command.Key("key")},
	Parse:   func(args command.Args) (command.Op, error) { return strlenOp{args[1]}, nil },
}

type strlenOp struct{ key []byte }

func (op strlenOp) Run(ctx *command.Ctx) resp.Value {
	e, err := ctx.ReadOf(store.String, op.key)
	switch {
	case err != nil:
		return resp.ErrorReply(err)
	case e == nil:
		return resp.Zero
	}
	return resp.Int(int64(e.Len()))
}

var specGetRange = &command.Spec{
	Name: "getrange", Group: "string", Arity: 4, Since: "2.4.0",
	Flags: command.ReadOnly, ACL: []string{"string"}, Keys: command.OneKey(command.RO | command.Access),
	Summary: "Answers the part of a string between two offsets, both included; negative ones count from the end.",
	Args:    []command.Arg{command.Key("key"), command.Integer("start"), command.Integer("end")},
	Parse:   parseGetRange,
}

var specSubstr = &command.Spec{
	Name: "substr", Group: "string", Arity: 4, Since: "1.0.0",
	Flags: command.ReadOnly, ACL: []string{"string"}, Keys: command.OneKey(command.RO | command.Access),
	Summary: "The old name of GETRANGE.",
	Args:    []command.Arg{command.Key("key"), command.Integer("start"), command.Integer("end")},
	Parse:   parseGetRange,
}

type getrangeOp struct {
	key        []byte
	start, end int64
}

func parseGetRange(args command.Args) (command.Op, error) {
	start, err := command.IntArg(args[2])
	if err != nil {
		return nil, err
	}
	end, err := command.IntArg(args[3])
	if err != nil {
		return nil, err
	}
	return getrangeOp{args[1], start, end}, nil
}

func (op getrangeOp) Run(ctx *command.Ctx) resp.Value {
	e, err := ctx.ReadOf(store.String, op.key)
	if err != nil {
		return resp.ErrorReply(err)
	}
	if e == nil {
		return resp.Bulk([]byte{})
	}
	from, to := op.within(e.Len())
	return resp.Bulk(e.Part(from, to))
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

func (op getOp) ReplySize(ctx *command.Ctx) (bytes, values int)    { return ctx.ValueSize(op.key) }
func (op *getexOp) ReplySize(ctx *command.Ctx) (bytes, values int) { return ctx.ValueSize(op.key) }
func (op getdelOp) ReplySize(ctx *command.Ctx) (bytes, values int) { return ctx.ValueSize(op.key) }

// ReplySize counts absent keys too: a null takes as much as what holds a value.
func (op mgetOp) ReplySize(ctx *command.Ctx) (bytes, values int) {
	for _, k := range op.keys {
		n, _ := ctx.ValueSize(k)
		bytes += max(n, command.ValueBytes)
	}
	return bytes, len(op.keys)
}

func (op getrangeOp) ReplySize(ctx *command.Ctx) (bytes, values int) {
	e := ctx.Peek(op.key)
	if e == nil || e.Type() != store.String {
		return 0, 1
	}
	from, to := op.within(e.Len())
	return command.ValueBytes + to - from, 1
}
