package hashes

import (
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store/value/hash"
)

var specHGet = &command.Spec{
	Name: "hget", Group: "hash", Arity: 3, Since: "2.0.0",
	Flags: command.ReadOnly | command.Fast, ACL: acl, Keys: command.OneKey(command.RO | command.Access),
	Summary: "Answers the value of a field of a hash.",
	Args:    []command.Arg{command.Key("key"), command.String("field")},
	Parse:   func(args command.Args) (command.Op, error) { return hgetOp{args[1], args[2]}, nil },
}

type hgetOp struct{ key, field []byte }

func (op hgetOp) Run(ctx *command.Ctx) resp.Value {
	h, err := read(ctx, op.key)
	if err != nil {
		return resp.ErrorReply(err)
	}
	if h == nil {
		return resp.Nil
	}
	value, ok := h.Get(op.field)
	switch {
	case !ok:
		return resp.Nil
	case h.Lasting(value):
		return resp.Bulk(value)
	}
	return resp.Bulk(append([]byte{}, value...))
}

func (op hgetOp) ReplySize(ctx *command.Ctx) (bytes, values int) {
	return fieldsSize(ctx, op.key, command.Args{op.field})
}

var specHMGet = &command.Spec{
	Name: "hmget", Group: "hash", Arity: -3, Since: "2.0.0",
	Flags: command.ReadOnly | command.Fast, ACL: acl, Keys: command.OneKey(command.RO | command.Access),
	Summary: "Answers the values of fields of a hash.",
	Args:    []command.Arg{command.Key("key"), command.Many(command.String("field"))},
	Parse:   func(args command.Args) (command.Op, error) { return hmgetOp{args[1], args[2:]}, nil },
}

type hmgetOp struct {
	key    []byte
	fields command.Args
}

func (op hmgetOp) Run(ctx *command.Ctx) resp.Value {
	h, err := read(ctx, op.key)
	if err != nil {
		return resp.ErrorReply(err)
	}
	values := make([]resp.Value, len(op.fields)) // nil each
	if h == nil {
		return resp.Array(values...)
	}
	r := replies{Hash: h}
	for i, field := range op.fields {
		if value, ok := h.Get(field); ok {
			values[i] = r.bulk(value)
		}
	}
	return resp.Array(values...)
}

func (op hmgetOp) ReplySize(ctx *command.Ctx) (bytes, values int) {
	return fieldsSize(ctx, op.key, op.fields)
}

// fieldsSize is ReplySize for the values of fields.
func fieldsSize(ctx *command.Ctx, key []byte, fields command.Args) (bytes, values int) {
	bytes = command.ValueBytes * len(fields)
	if h := peek(ctx, key); h != nil {
		for _, field := range fields {
			value, _ := h.Get(field)
			bytes += len(value)
		}
	}
	return bytes, len(fields)
}

var specHGetAll = &command.Spec{
	Name: "hgetall", Group: "hash", Arity: 2, Since: "2.0.0",
	Flags: command.ReadOnly, ACL: acl, Keys: command.OneKey(command.RO | command.Access),
	Summary: "Answers all fields of a hash with their values.",
	Args:    []command.Arg{command.Key("key")},
	Parse:   func(args command.Args) (command.Op, error) { return allOp{args[1], true, true}, nil },
}

var specHKeys = &command.Spec{
	Name: "hkeys", Group: "hash", Arity: 2, Since: "2.0.0",
	Flags: command.ReadOnly, ACL: acl, Keys: command.OneKey(command.RO | command.Access),
	Summary: "Answers the names of all fields of a hash.",
	Args:    []command.Arg{command.Key("key")},
	Parse:   func(args command.Args) (command.Op, error) { return allOp{args[1], true, false}, nil },
}

var specHVals = &command.Spec{
	Name: "hvals", Group: "hash", Arity: 2, Since: "2.0.0",
	Flags: command.ReadOnly, ACL: acl, Keys: command.OneKey(command.RO | command.Access),
	Summary: "Answers the values of all fields of a hash.",
	Args:    []command.Arg{command.Key("key")},
	Parse:   func(args command.Args) (command.Op, error) { return allOp{args[1], false, true}, nil },
}

// allOp answers the names or the values of a hash, or both.
type allOp struct {
	key           []byte
	names, values bool
}

func (op allOp) Run(ctx *command.Ctx) resp.Value {
	h, err := read(ctx, op.key)
	if err != nil {
		return resp.ErrorReply(err)
	}
	var all []resp.Value
	if h != nil {
		all = op.all(h)
	}
	if op.names && op.values {
		return resp.Map(all...)
	}
	return resp.Array(all...)
}

func (op allOp) all(h *hash.Hash) []resp.Value {
	r, all := replies{Hash: h}, make([]resp.Value, 0, op.perField()*h.Len())
	h.Each(func(field, value []byte) bool {
		if op.names {
			all = append(all, r.bulk(field))
		}
		if op.values {
			all = append(all, r.bulk(value))
		}
		return true
	})
	return all
}

func (op allOp) perField() int {
	if op.names && op.values {
		return 2
	}
	return 1
}

// sizeSurely is the size of a reply up to which nobody needs it exactly.
const sizeSurely = 1 << 20

// ReplySize is what the hash takes and no less than the reply, or exact where that is much.
func (op allOp) ReplySize(ctx *command.Ctx) (bytes, values int) {
	h := peek(ctx, op.key)
	if h == nil {
		return 0, 0
	}
	values = op.perField() * h.Len()
	if bytes = command.ValueBytes*values + int(h.Size()); bytes <= sizeSurely {
		return bytes, values
	}
	bytes = command.ValueBytes * (values + 1)
	h.Each(func(field, value []byte) bool {
		if op.names {
			bytes += len(field)
		}
		if op.values {
			bytes += len(value)
		}
		return true
	})
	return bytes, values
}

var specHLen = &command.Spec{
	Name: "hlen", Group: "hash", Arity: 2, Since: "2.0.0",
	Flags: command.ReadOnly | command.Fast, ACL: acl, Keys: command.OneKey(command.RO),
	Summary: "Answers the number of fields of a hash.",
	Args:    []command.Arg{command.Key("key")},
	Parse:   func(args command.Args) (command.Op, error) { return hlenOp{args[1]}, nil },
}

type hlenOp struct{ key []byte }

func (op hlenOp) Run(ctx *command.Ctx) resp.Value {
	h, err := read(ctx, op.key)
	switch {
	case err != nil:
		return resp.ErrorReply(err)
	case h == nil:
		return resp.Zero
	}
	return resp.Int(int64(h.Len()))
}

var specHStrlen = &command.Spec{
	Name: "hstrlen", Group: "hash", Arity: 3, Since: "3.2.0",
	Flags: command.ReadOnly | command.Fast, ACL: acl, Keys: command.OneKey(command.RO),
	Summary: "Answers the length in bytes of the value of a field of a hash.",
	Args:    []command.Arg{command.Key("key"), command.String("field")},
	Parse:   func(args command.Args) (command.Op, error) { return askOp{args[1], args[2], false}, nil },
}

var specHExists = &command.Spec{
	Name: "hexists", Group: "hash", Arity: 3, Since: "2.0.0",
	Flags: command.ReadOnly | command.Fast, ACL: acl, Keys: command.OneKey(command.RO),
	Summary: "Answers whether a hash has a field: 1 or 0.",
	Args:    []command.Arg{command.Key("key"), command.String("field")},
	Parse:   func(args command.Args) (command.Op, error) { return askOp{args[1], args[2], true}, nil },
}

// askOp answers how long a field's value is, or whether there is one.
type askOp struct {
	key, field []byte
	exists     bool
}

func (op askOp) Run(ctx *command.Ctx) resp.Value {
	h, err := read(ctx, op.key)
	if err != nil {
		return resp.ErrorReply(err)
	}
	if h == nil {
		return resp.Zero
	}
	value, ok := h.Get(op.field)
	if op.exists {
		return command.BoolReply(ok)
	}
	return resp.Int(int64(len(value)))
}
