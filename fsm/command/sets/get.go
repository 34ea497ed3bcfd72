package sets

import (
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

var specSCard = &command.Spec{
	Name: "scard", Group: "set", Arity: 2, Since: "1.0.0",
	Flags: command.ReadOnly | command.Fast, ACL: acl, Keys: command.OneKey(command.RO),
	Summary: "Answers the number of members of a set.",
	Args:    []command.Arg{command.Key("key")},
	Parse:   func(args command.Args) (command.Op, error) { return scardOp{args[1]}, nil },
}

type scardOp struct{ key []byte }

func (op scardOp) Run(ctx *command.Ctx) resp.Value {
	s, err := read(ctx, op.key)
	switch {
	case err != nil:
		return resp.ErrorReply(err)
	case s == nil:
		return resp.Zero
	}
	return resp.Int(int64(s.Len()))
}

var specSIsMember = &command.Spec{
	Name: "sismember", Group: "set", Arity: 3, Since: "1.0.0",
	Flags: command.ReadOnly | command.Fast, ACL: acl, Keys: command.OneKey(command.RO),
	Summary: "Answers whether a set has a member: 1 or 0.",
	Args:    []command.Arg{command.Key("key"), command.String("member")},
	Parse:   func(args command.Args) (command.Op, error) { return sismemberOp{args[1], args[2]}, nil },
}

type sismemberOp struct{ key, member []byte }

func (op sismemberOp) Run(ctx *command.Ctx) resp.Value {
	s, err := read(ctx, op.key)
	if err != nil {
		return resp.ErrorReply(err)
	}
	return command.BoolReply(s != nil && s.Has(op.member))
}

var specSMIsMember = &command.Spec{
	Name: "smismember", Group: "set", Arity: -3, Since: "6.2.0",
	Flags: command.ReadOnly | command.Fast, ACL: acl, Keys: command.OneKey(command.RO | command.Access),
	Summary: "Answers for each of several members whether a set has it: 1 or 0.",
	Args:    []command.Arg{command.Key("key"), command.Many(command.String("member"))},
	Parse:   func(args command.Args) (command.Op, error) { return smismemberOp{args[1], args[2:]}, nil },
}

type smismemberOp struct {
	key     []byte
	members command.Args
}

func (op smismemberOp) Run(ctx *command.Ctx) resp.Value {
	s, err := read(ctx, op.key)
	if err != nil {
		return resp.ErrorReply(err)
	}
	list := make([]resp.Value, len(op.members))
	for i, m := range op.members {
		list[i] = command.BoolReply(s != nil && s.Has(m))
	}
	return resp.Array(list...)
}

func (op smismemberOp) ReplySize(*command.Ctx) (bytes, values int) {
	return command.ValueBytes * len(op.members), len(op.members)
}

var specSMembers = &command.Spec{
	Name: "smembers", Group: "set", Arity: 2, Since: "1.0.0",
	Flags: command.ReadOnly, ACL: acl, Keys: command.OneKey(command.RO | command.Access),
	Summary: "Answers all members of a set.",
	Args:    []command.Arg{command.Key("key")},
	Parse:   func(args command.Args) (command.Op, error) { return smembersOp{args[1]}, nil },
}

type smembersOp struct{ key []byte }

func (op smembersOp) Run(ctx *command.Ctx) resp.Value {
	s, err := read(ctx, op.key)
	if err != nil {
		return resp.ErrorReply(err)
	}
	return resp.Set(all(s)...)
}

// ReplySize is what the set takes, which is no less than the reply, or exact where that is much.
func (op smembersOp) ReplySize(ctx *command.Ctx) (bytes, values int) {
	s, _ := of(command.OfType(store.Set, ctx.Peek(op.key)))
	if s == nil {
		return 0, 0
	}
	values = s.Len()
	const digits = 20 // of an integer, which may take less in the set
	if bytes = (command.ValueBytes+digits)*values + int(s.Size()); bytes <= smallEstimate {
		return bytes, values
	}
	bytes = command.ValueBytes * (values + 1)
	s.Each(func(member []byte) bool {
		bytes += len(member)
		return true
	})
	return bytes, values
}

var specSScan = &command.Spec{
	Name: "sscan", Group: "set", Arity: -3, Since: "2.8.0",
	Flags: command.ReadOnly, ACL: acl, Keys: command.OneKey(command.RO | command.Access),
	Summary: "Walks the members of a set step by step: answers the next cursor, 0 at the end, and members. A member that exists all the time is seen.",
	Args:    sscanOptions.After(command.Key("key"), command.Integer("cursor")),
	Parse: func(args command.Args) (command.Op, error) {
		scan, err := command.ParseMemberScan(args, store.Set, sscanOptions)
		return sscanOp{scan}, err
	},
}

var sscanOptions = command.MemberScanOptions()

type sscanOp struct{ *command.MemberScan }

func (op sscanOp) Run(ctx *command.Ctx) resp.Value {
	return op.Scan(ctx, func(e *store.Entry, cursor uint64, more func() bool, add func([]byte, ...resp.Value)) uint64 {
		return e.Set().ScanWhile(cursor, more, func(member []byte) { add(member) })
	})
}
