package hashes

import (
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/effect"
	"github.com/lockstepkv/lockstep/store/value/hash"
)

var specHSet = &command.Spec{
	Name: "hset", Group: "hash", Arity: -4, Since: "2.0.0",
	Flags: command.Write | command.DenyOOM | command.Fast, ACL: acl, Keys: command.OneKey(command.RW | command.Update),
	Summary: "Sets fields of a hash and answers how many of them are new.",
	Args:    []command.Arg{command.Key("key"), fieldValues()},
	Parse:   func(args command.Args) (command.Op, error) { return parseHSet("hset", args) },
}

var specHMSet = &command.Spec{
	Name: "hmset", Group: "hash", Arity: -4, Since: "2.0.0",
	Flags: command.Write | command.DenyOOM | command.Fast, ACL: acl, Keys: command.OneKey(command.RW | command.Update),
	Summary: "The old name of HSET; answers OK.",
	Args:    []command.Arg{command.Key("key"), fieldValues()},
	Parse:   func(args command.Args) (command.Op, error) { return parseHSet("hmset", args) },
}

func fieldValues() command.Arg {
	return command.Many(command.Block("field_value", command.String("field"), command.String("value")))
}

type hsetOp struct {
	args command.Args
	ok   bool // answers OK
}

func parseHSet(name string, args command.Args) (command.Op, error) {
	if len(args)%2 != 0 {
		return nil, command.ErrArity(name)
	}
	return hsetOp{args, name == "hmset"}, nil
}

func (op hsetOp) Run(ctx *command.Ctx) resp.Value {
	key := op.args[1]
	e, err := ctx.LookupOf(store.Hash, key)
	if err != nil {
		return resp.ErrorReply(err)
	}
	added := set(ctx, key, e, op.args[2:])
	if op.ok {
		return resp.OK
	}
	return resp.Int(added)
}

var specHSetNX = &command.Spec{
	Name: "hsetnx", Group: "hash", Arity: 4, Since: "2.0.0",
	Flags: command.Write | command.DenyOOM | command.Fast, ACL: acl, Keys: command.OneKey(command.RW | command.Insert),
	Summary: "Sets a field of a hash that does not exist yet; answers 1 or 0.",
	Args:    []command.Arg{command.Key("key"), command.String("field"), command.String("value")},
	Parse:   func(args command.Args) (command.Op, error) { return hsetnxOp{args}, nil },
}

type hsetnxOp struct{ args command.Args }

func (op hsetnxOp) Run(ctx *command.Ctx) resp.Value {
	key, field := op.args[1], op.args[2]
	e, err := ctx.LookupOf(store.Hash, key)
	if err != nil {
		return resp.ErrorReply(err)
	}
	if e != nil {
		if _, there := e.Hash().Get(field); there {
			return resp.Zero
		}
	}
	set(ctx, key, e, op.args[2:])
	return resp.One
}

var specHDel = &command.Spec{
	Name: "hdel", Group: "hash", Arity: -3, Since: "2.0.0",
	Flags: command.Write | command.Frees | command.Fast, ACL: acl, Keys: command.OneKey(command.RW | command.Delete),
	Summary: "Deletes fields of a hash and answers how many there were. The last one takes the key with it.",
	Args:    []command.Arg{command.Key("key"), command.Many(command.String("field"))},
	Parse:   func(args command.Args) (command.Op, error) { return hdelOp{args}, nil },
}

type hdelOp struct{ args command.Args }

func (op hdelOp) Run(ctx *command.Ctx) resp.Value {
	e, err := ctx.LookupOf(store.Hash, op.args[1])
	if err != nil {
		return resp.ErrorReply(err)
	}
	if e == nil {
		return resp.Zero
	}
	deleted := int64(0)
	ctx.UpdateHash(e, func(h *hash.Hash, edits *effect.Edits) bool {
		for _, field := range op.args[2:] {
			if was, _ := h.Delete(field); was {
				deleted++
			}
		}
		edits.Say("HDEL", op.args[2:]...)
		return deleted > 0
	})
	return resp.Int(deleted)
}
