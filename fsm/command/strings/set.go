package strings

import (
	"bytes"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

var specSet = &command.Spec{
	Name: "set", Group: "string", Arity: -3, Since: "1.0.0",
	Flags: command.Write | command.DenyOOM, ACL: []string{"string"},
	Keys:    []command.KeySpec{{First: 1, Last: 1, Step: 1, Use: command.RW | command.Access | command.Update | command.VariableFlags, UseOf: useOfSet}},
	Summary: "Stores a string under a key, whatever was there before.",
	Args:    setOptions.After(command.Key("key"), command.String("value")),
	Parse:   parseSet,
}

var specSetNX = &command.Spec{
	Name: "setnx", Group: "string", Arity: 3, Since: "1.0.0",
	Flags: command.Write | command.DenyOOM | command.Fast, ACL: []string{"string"},
	Keys:    command.OneKey(command.OW | command.Insert),
	Summary: "Stores a string under a key that does not exist yet; answers 1 or 0.",
	Args:    []command.Arg{command.Key("key"), command.String("value")},
	Parse: func(args command.Args) (command.Op, error) {
		return &setOp{key: args[1], value: args[2], nx: true, counts: true}, nil
	},
}

var specSetEX = &command.Spec{
	Name: "setex", Group: "string", Arity: 4, Since: "2.0.0",
	Flags: command.Write | command.DenyOOM, ACL: []string{"string"}, Keys: command.OneKey(command.OW | command.Update),
	Summary: "Stores a string with a lifetime in seconds.",
	Args:    []command.Arg{command.Key("key"), command.Integer("seconds"), command.String("value")},
	Parse:   func(args command.Args) (command.Op, error) { return parseSetEX("setex", args, command.SecondMillis) },
}

var specPSetEX = &command.Spec{
	Name: "psetex", Group: "string", Arity: 4, Since: "2.6.0",
	Flags: command.Write | command.DenyOOM, ACL: []string{"string"}, Keys: command.OneKey(command.OW | command.Update),
	Summary: "Stores a string with a lifetime in milliseconds.",
	Args:    []command.Arg{command.Key("key"), command.Integer("milliseconds"), command.String("value")},
	Parse:   func(args command.Args) (command.Op, error) { return parseSetEX("psetex", args, 1) },
}

var specGetSet = &command.Spec{
	Name: "getset", Group: "string", Arity: 3, Since: "1.0.0",
	Flags: command.Write | command.DenyOOM | command.Fast, ACL: []string{"string"},
	Keys:    command.OneKey(command.RW | command.Access | command.Update),
	Summary: "Stores a string and answers the one it replaced. SET with GET does the same.",
	Args:    []command.Arg{command.Key("key"), command.String("value")},
	Parse: func(args command.Args) (command.Op, error) {
		return &setOp{key: args[1], value: args[2], get: true}, nil
	},
}

// setOp is SET and its older siblings.
type setOp struct {
	key, value  []byte
	nx, xx, get bool
	keepTTL     bool
	hasIfEq     bool
	ifEq        []byte // what the key must hold; from Valkey 8.1
	lifetime    command.Lifetime
	name        string // for error words
	counts      bool   // replies 1 or 0, not OK or nil
}

func (op *setOp) life() *command.Lifetime { return &op.lifetime }

// setOptions are the words after key and value of SET.
var setOptions = command.NewOptions(
	command.Choice("condition",
		command.Word("NX", func(op *setOp) { op.nx = true }),
		command.Word("XX", func(op *setOp) { op.xx = true }),
		command.Value("IFEQ", command.String("comparison-value"), func(op *setOp, value []byte) error {
			op.hasIfEq, op.ifEq = true, value
			return nil
		}).Once(),
	),
	command.Word("GET", func(op *setOp) { op.get = true }),
	command.Choice("expiration",
		command.EX((*setOp).life), command.PX((*setOp).life), command.EXAT((*setOp).life), command.PXAT((*setOp).life),
		command.Word("KEEPTTL", func(op *setOp) { op.keepTTL = true }),
	),
)

func parseSet(args command.Args) (command.Op, error) {
	if len(args) == 3 {
		return plainSetOp{args[1], args[2]}, nil
	}
	op := &setOp{key: args[1], value: args[2], name: "set"}
	return op, setOptions.Parse(args[3:], op)
}

// useOfSet tells that SET looks at the old value only when it is asked for it.
func useOfSet(args command.Args) command.KeyUse {
	for _, a := range args[3:] {
		if command.IsWord(a, "GET") {
			return command.RW | command.Access | command.Update
		}
	}
	return command.OW | command.Update
}

func parseSetEX(name string, args command.Args, unit int64) (command.Op, error) {
	return &setOp{key: args[1], value: args[3], name: name, lifetime: command.Lifetime{Arg: args[2], Unit: unit}}, nil
}

func (op *setOp) Run(ctx *command.Ctx) resp.Value {
	var at int64
	if op.lifetime.Given() {
		var err error
		if at, err = op.lifetime.At(ctx.Now, op.name); err != nil {
			return resp.ErrorReply(err)
		}
	}
	old := ctx.Lookup(op.key)
	if op.get || op.hasIfEq {
		if _, err := command.OfType(store.String, old); err != nil {
			return resp.ErrorReply(err)
		}
	}
	done := !(op.nx && old != nil || op.xx && old == nil || op.hasIfEq && !holds(old, op.ifEq))
	reply := op.reply(done)
	if op.get {
		reply = stringOrNil(ctx.Count(old))
	}
	if !done {
		return reply
	}
	if op.keepTTL && old != nil {
		at = old.ExpireAt()
	}
	put(ctx, op.key, op.value, at)
	return reply
}

func (op *setOp) reply(done bool) resp.Value {
	switch {
	case op.counts:
		return command.BoolReply(done)
	case done:
		return resp.OK
	}
	return resp.Nil
}

// plainSetOp is SET without options, the most frequent write.
type plainSetOp struct{ key, value []byte }

func (op plainSetOp) Run(ctx *command.Ctx) resp.Value {
	ctx.Put(op.key, op.value, 0, false)
	return resp.OK
}

// holds reports whether e, nil for absent, is the string want.
func holds(e *store.Entry, want []byte) bool { return e != nil && bytes.Equal(e.Look(), want) }

// put stores a value that a client sent, unless its time is up already: then
// the key is gone, as if it had been stored and had expired at once.
func put(ctx *command.Ctx, key, value []byte, expireAt int64) {
	if expireAt != 0 && expireAt <= ctx.Now {
		ctx.Remove(key)
		return
	}
	ctx.Put(key, value, expireAt, false)
}

// stringOrNil replies with e's value; nil stands for an absent key.
func stringOrNil(e *store.Entry) resp.Value {
	switch {
	case e == nil:
		return resp.Nil
	case e.Type() != store.String:
		return resp.ErrorReply(command.ErrWrongType)
	}
	return resp.Bulk(e.Bytes())
}

var specMSet = &command.Spec{
	Name: "mset", Group: "string", Arity: -3, Since: "1.0.1",
	Flags: command.Write | command.DenyOOM, ACL: []string{"string"},
	Keys: command.KeysAndValues(command.OW | command.Update), Split: 2, Merge: command.FirstReply,
	Summary: "Stores several strings in one step.",
	Args:    []command.Arg{command.Many(command.Block("key_value", command.Key("key"), command.String("value")))},
	Parse:   func(args command.Args) (command.Op, error) { return parseMSet("mset", args, false) },
}

var specMSetNX = &command.Spec{
	Name: "msetnx", Group: "string", Arity: -3, Since: "1.0.1",
	Flags: command.Write | command.DenyOOM, ACL: []string{"string"},
	Keys:    command.KeysAndValues(command.OW | command.Insert),
	Summary: "Stores several strings in one step if none of the keys exists; answers 1 or 0.",
	Args:    []command.Arg{command.Many(command.Block("key_value", command.Key("key"), command.String("value")))},
	Parse:   func(args command.Args) (command.Op, error) { return parseMSet("msetnx", args, true) },
}

type msetOp struct {
	pairs command.Args
	nx    bool
}

func parseMSet(name string, args command.Args, nx bool) (command.Op, error) {
	if len(args)%2 == 0 {
		return nil, command.ErrArity(name)
	}
	return msetOp{pairs: args[1:], nx: nx}, nil
}

func (op msetOp) Run(ctx *command.Ctx) resp.Value {
	if op.nx {
		for i := 0; i < len(op.pairs); i += 2 {
			if ctx.Lookup(op.pairs[i]) != nil {
				return resp.Zero
			}
		}
	}
	for i := 0; i < len(op.pairs); i += 2 {
		ctx.Put(op.pairs[i], op.pairs[i+1], 0, false)
	}
	if op.nx {
		return resp.One
	}
	return resp.OK
}

func (op *setOp) ReplySize(ctx *command.Ctx) (bytes, values int) {
	if !op.get {
		return 0, 0
	}
	return ctx.ValueSize(op.key)
}
