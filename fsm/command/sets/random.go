package sets

import (
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/effect"
	"github.com/lockstepkv/lockstep/store/value/set"
)

var specSPop = &command.Spec{
	Name: "spop", Group: "set", Arity: -2, Since: "1.0.0",
	Flags: command.Write | command.Fast, ACL: acl, Keys: command.OneKey(command.RW | command.Access | command.Delete),
	Summary: "Removes a member of a set by chance and answers it; with count so many of them.",
	Args:    []command.Arg{command.Key("key"), command.Opt(command.Integer("count"))},
	Parse:   parseSPop,
}

// spopOp is SPOP. one is without a count: it answers the member and no list.
type spopOp struct {
	key   []byte
	count int64
	one   bool
}

func parseSPop(args command.Args) (command.Op, error) {
	switch {
	case len(args) == 2:
		return spopOp{args[1], 1, true}, nil
	case len(args) > 3:
		return nil, command.ErrSyntax
	}
	count, ok := command.ParseInt(args[2])
	if !ok || count < 0 {
		return nil, errPositive
	}
	return spopOp{args[1], count, false}, nil
}

func (op spopOp) Run(ctx *command.Ctx) resp.Value {
	e, err := ctx.LookupOf(store.Set, op.key)
	if err != nil {
		return resp.ErrorReply(err)
	}
	if e == nil || op.count == 0 {
		return op.reply(nil)
	}
	s := e.Set()
	whole := op.count >= int64(s.Len())
	var list []resp.Value
	if whole {
		list = all(s)
	} else {
		list = once(ctx, s, int(op.count))
	}
	// What is popped must be told, or stay.
	reply := op.reply(list)
	if v, no := ctx.Refusal(command.ReplyCost(reply), command.ValuesIn(command.ReplyCost(reply), list)); no {
		return v
	}
	if whole {
		ctx.Delete(e)
		return reply
	}
	members := make(command.Args, len(list))
	for i := range list {
		members[i] = list[i].Str
	}
	few := int64(s.Len())-op.count <= op.count/nearlyAll
	ctx.UpdateSet(e, func(s *set.Set, edits *effect.Edits) bool {
		for _, m := range members {
			s.Remove(m)
		}
		if few {
			s.Renew(ctx.Limits.Sets())
		}
		edits.Say("SREM", members...)
		return true
	})
	return reply
}

// nearlyAll: when so many times more members are popped than stay, Redis makes a new set of these.
const nearlyAll = 5

func (op spopOp) reply(list []resp.Value) resp.Value {
	switch {
	case !op.one:
		return resp.Set(list...)
	case len(list) == 0:
		return resp.Nil
	}
	return list[0]
}

// once draws k members, each once.
func once(ctx *command.Ctx, s *set.Set, k int) []resp.Value {
	r, list, ranks := replies{Set: s}, make([]resp.Value, 0, k), ctx.Draw(s.Len(), k)
	if !s.Packed() {
		for _, rank := range ranks {
			list = append(list, r.bulk(s.At(rank)))
		}
		return list
	}
	rank := 0
	s.Each(func(member []byte) bool {
		if rank == ranks[0] {
			list, ranks = append(list, r.bulk(member)), ranks[1:]
		}
		rank++
		return len(ranks) > 0
	})
	return list
}

var specSRandMember = &command.Spec{
	Name: "srandmember", Group: "set", Arity: -2, Since: "1.0.0",
	Flags: command.ReadOnly, ACL: acl, Keys: command.OneKey(command.RO | command.Access),
	Summary: "Answers a member of a set by chance; count of them, each once, or as many as -count, which may come again.",
	Args:    []command.Arg{command.Key("key"), command.Opt(command.Integer("count"))},
	Parse:   parseSRandMember,
}

type srandmemberOp struct {
	key   []byte
	count int64
	one   bool
}

func parseSRandMember(args command.Args) (command.Op, error) {
	switch {
	case len(args) == 2:
		return srandmemberOp{args[1], 1, true}, nil
	case len(args) > 3:
		return nil, command.ErrSyntax
	}
	count, err := command.RandomCount(args[2])
	return srandmemberOp{args[1], count, false}, err
}

func (op srandmemberOp) Run(ctx *command.Ctx) resp.Value {
	s, err := read(ctx, op.key)
	if err != nil {
		return resp.ErrorReply(err)
	}
	switch {
	case s == nil && op.one:
		return resp.Nil
	case s == nil || op.count == 0:
		return resp.EmptyArray
	case op.one:
		return resp.Bulk(append([]byte{}, s.At(ctx.Rand().IntN(s.Len()))...))
	case op.count < 0:
		return again(ctx, s, -op.count)
	case op.count >= int64(s.Len()):
		return resp.Array(all(s)...)
	}
	return resp.Array(once(ctx, s, int(op.count))...)
}

// again draws count members, which may come again. A small request must not make a large
// reply, whoever asks.
func again(ctx *command.Ctx, s *set.Set, count int64) resp.Value {
	r, room := replies{Set: s}, min(ctx.ReplyRoom(), command.MaxReplyBytes)
	var list []resp.Value
	for ; count > 0; count-- {
		v := r.bulk(s.At(ctx.Rand().IntN(s.Len())))
		if room -= command.ReplyCost(v); room < 0 {
			return command.ReplyTooLarge
		}
		list = append(list, v)
	}
	return resp.Array(list...)
}
