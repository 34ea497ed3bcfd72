package sets

import (
	"bytes"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/effect"
	"github.com/lockstepkv/lockstep/store/value/set"
)

var specSAdd = &command.Spec{
	Name: "sadd", Group: "set", Arity: -3, Since: "1.0.0",
	Flags: command.Write | command.DenyOOM | command.Fast, ACL: acl, Keys: command.OneKey(command.RW | command.Insert),
	Summary: "Adds members to a set and answers how many of them are new.",
	Args:    []command.Arg{command.Key("key"), command.Many(command.String("member"))},
	Parse:   func(args command.Args) (command.Op, error) { return saddOp{args[1], args[2:]}, nil },
}

type saddOp struct {
	key     []byte
	members command.Args
}

func (op saddOp) Run(ctx *command.Ctx) resp.Value {
	e, err := ctx.LookupOf(store.Set, op.key)
	if err != nil {
		return resp.ErrorReply(err)
	}
	if e == nil {
		s := made(ctx, op.members)
		ctx.PutCollection(op.key, s, 0)
		return resp.Int(int64(s.Len()))
	}
	return resp.Int(add(ctx, e, op.members))
}

// add adds members to the set of e, and returns how many are new.
func add(ctx *command.Ctx, e *store.Entry, members command.Args) (added int64) {
	lim := ctx.Limits.Sets()
	ctx.UpdateSet(e, func(s *set.Set, edits *effect.Edits) bool {
		was := s.Encoding()
		s.Expect(len(members), lim)
		for _, m := range members {
			if s.Add(m, lim) {
				added++
			}
		}
		if added > 0 {
			edits.Say("SADD", members...)
		}
		return added > 0 || s.Encoding() != was
	})
	return added
}

var specSRem = &command.Spec{
	Name: "srem", Group: "set", Arity: -3, Since: "1.0.0",
	Flags: command.Write | command.Frees | command.Fast, ACL: acl, Keys: command.OneKey(command.RW | command.Delete),
	Summary: "Removes members of a set and answers how many there were. The last one takes the key with it.",
	Args:    []command.Arg{command.Key("key"), command.Many(command.String("member"))},
	Parse:   func(args command.Args) (command.Op, error) { return sremOp{args[1], args[2:]}, nil },
}

type sremOp struct {
	key     []byte
	members command.Args
}

func (op sremOp) Run(ctx *command.Ctx) resp.Value {
	e, err := ctx.LookupOf(store.Set, op.key)
	if err != nil {
		return resp.ErrorReply(err)
	}
	if e == nil {
		return resp.Zero
	}
	return resp.Int(remove(ctx, e, op.members))
}

// remove takes members out of the set of e, and returns how many there were.
func remove(ctx *command.Ctx, e *store.Entry, members command.Args) (removed int64) {
	ctx.UpdateSet(e, func(s *set.Set, edits *effect.Edits) bool {
		for _, m := range members {
			if s.Remove(m) {
				removed++
			}
		}
		if removed > 0 && s.Len() > 0 {
			edits.Say("SREM", members...)
		}
		return removed > 0
	})
	return removed
}

var specSMove = &command.Spec{
	Name: "smove", Group: "set", Arity: 4, Since: "1.0.0",
	Flags: command.Write | command.Fast, ACL: acl,
	Keys:    command.TwoKeys(command.RW|command.Access|command.Delete, command.RW|command.Insert),
	Summary: "Moves a member from one set to another; answers 1 or 0.",
	Args:    []command.Arg{command.Key("source"), command.Key("destination"), command.String("member")},
	Parse:   func(args command.Args) (command.Op, error) { return smoveOp{args[1], args[2], args[3:4]}, nil },
}

type smoveOp struct {
	from, to []byte
	member   command.Args // one
}

func (op smoveOp) Run(ctx *command.Ctx) resp.Value {
	from, to := ctx.Lookup(op.from), ctx.Lookup(op.to)
	if from == nil {
		return resp.Zero
	}
	for _, e := range []*store.Entry{from, to} {
		if _, err := command.OfType(store.Set, e); err != nil {
			return resp.ErrorReply(err)
		}
	}
	if bytes.Equal(op.from, op.to) {
		return command.BoolReply(from.Set().Has(op.member[0]))
	}
	if remove(ctx, from, op.member) == 0 {
		return resp.Zero
	}
	if to == nil {
		ctx.PutCollection(op.to, made(ctx, op.member), 0)
	} else {
		add(ctx, to, op.member)
	}
	return resp.One
}
