package zsets

import (
	"bytes"
	"strconv"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/effect"
	"github.com/lockstepkv/lockstep/store/value/zset"
)

var specZRem = &command.Spec{
	Name: "zrem", Group: group, Arity: -3, Since: "1.2.0",
	Flags: command.Write | command.Frees | command.Fast, ACL: acl, Keys: command.OneKey(command.RW | command.Delete),
	Summary: "Removes members of a sorted set and answers how many there were. The last one takes the key with it.",
	Args:    []command.Arg{command.Key("key"), command.Many(command.String("member"))},
	Parse:   func(args command.Args) (command.Op, error) { return zremOp{args[1], args[2:]}, nil },
}

type zremOp struct {
	key     []byte
	members command.Args
}

func (op zremOp) Run(ctx *command.Ctx) resp.Value {
	e, err := ctx.LookupOf(store.ZSet, op.key)
	switch {
	case err != nil:
		return resp.ErrorReply(err)
	case e == nil:
		return resp.Zero
	}
	removed := int64(0)
	ctx.UpdateZSet(e, func(z *zset.ZSet, edits *effect.Edits) bool {
		for _, member := range op.members {
			if was, _ := z.Remove(member); was {
				removed++
			}
		}
		edits.Say("ZREM", op.members...)
		return removed > 0
	})
	return resp.Int(removed)
}

var specZRemRangeByRank = removeSpec("zremrangebyrank", "2.0.0", "between two places", byRank, command.Integer("start"), command.Integer("stop"))

var specZRemRangeByScore = removeSpec("zremrangebyscore", "1.2.0", "with scores between two", byScore, command.Double("min"), command.Double("max"))

var specZRemRangeByLex = removeSpec("zremrangebylex", "2.8.9", "between two others, where all scores are equal", byLex, command.String("min"), command.String("max"))

func removeSpec(name, since, which string, by rangeKind, from, to command.Arg) *command.Spec {
	return &command.Spec{
		Name: name, Group: group, Arity: 4, Since: since,
		Flags: command.Write | command.Frees, ACL: acl, Keys: command.OneKey(command.RW | command.Delete),
		Summary: "Removes the members of a sorted set " + which + " and answers how many they were.",
		Args:    []command.Arg{command.Key("key"), from, to},
		Parse: func(args command.Args) (command.Op, error) {
			r, err := parseRange(by, args[2], args[3])
			return removeOp{args[1], r}, err
		},
	}
}

type removeOp struct {
	key    []byte
	bounds bounds
}

func (op removeOp) Run(ctx *command.Ctx) resp.Value {
	e, err := ctx.LookupOf(store.ZSet, op.key)
	switch {
	case err != nil:
		return resp.ErrorReply(err)
	case e == nil:
		return resp.Zero
	}
	s := op.bounds.in(e.ZSet(), false)
	removeSpan(ctx, e, s)
	return resp.Int(int64(s.len()))
}

// removeSpan removes the members of s from the sorted set of e.
func removeSpan(ctx *command.Ctx, e *store.Entry, s span) {
	switch s.len() {
	case 0:
		return
	case e.ZSet().Len():
		ctx.Delete(e) // at once, whatever the size
		return
	}
	ctx.UpdateZSet(e, func(z *zset.ZSet, edits *effect.Edits) bool {
		z.RemoveRange(s.from, s.to)
		edits.Say("ZREMRANGEBYRANK", decimal(s.from), decimal(s.to-1))
		return true
	})
}

func decimal(n int) []byte { return strconv.AppendInt(nil, int64(n), 10) }

var specZPopMin = popSpec("zpopmin", "lowest", false)

var specZPopMax = popSpec("zpopmax", "highest", true)

func popSpec(name, which string, highest bool) *command.Spec {
	return &command.Spec{
		Name: name, Group: group, Arity: -2, Since: "5.0.0",
		Flags: command.Write | command.Frees | command.Fast, ACL: acl, Keys: command.OneKey(command.RW | command.Access | command.Delete),
		Summary: "Removes the members of a sorted set with the " + which + " scores, count of them or one, and answers them with their scores.",
		Args:    []command.Arg{command.Key("key"), command.Opt(command.Integer("count"))},
		Parse: func(args command.Args) (command.Op, error) {
			op := popOp{keys: args[1:2], highest: highest, count: 1}
			if len(args) > 3 {
				return nil, command.ErrSyntax
			}
			if len(args) == 3 {
				var ok bool
				if op.count, ok = command.ParseInt(args[2]); !ok || op.count < 0 {
					return nil, errPositive
				}
				op.several = true
			}
			return op, nil
		},
	}
}

var specZMPop = &command.Spec{
	Name: "zmpop", Group: group, Arity: -4, Since: "7.0.0",
	Flags: command.Write | command.Frees | command.MovableKeys, ACL: acl,
	Keys:     []command.KeySpec{{Count: 1, Use: command.RW | command.Access | command.Delete}},
	FindKeys: command.CountedKeys(1),
	Summary:  "Removes members with the lowest or highest scores of the first of some sorted sets that has any, and answers its key and them.",
	Args: []command.Arg{command.Integer("numkeys"), command.Many(command.Key("key")),
		command.OneOf("where", command.Token("MIN"), command.Token("MAX")), command.Opt(command.Integer("count").After("COUNT"))},
	Parse: parseZMPop,
}

const errCountZero = resp.Error("ERR count should be greater than 0")

var zmpopOptions = command.NewOptions(
	command.Value("COUNT", command.Integer("count"), func(op *popOp, value []byte) error {
		var ok bool
		if op.count, ok = command.ParseInt(value); !ok || op.count < 1 {
			return errCountZero
		}
		return nil
	}).Once(),
)

func parseZMPop(args command.Args) (command.Op, error) {
	n, err := command.NumberOfKeys(args, 1, 1)
	if err != nil {
		return nil, err
	}
	op := popOp{keys: args[2 : 2+n], named: true, count: 1}
	where := args[2+n]
	op.highest = command.IsWord(where, "MAX")
	if !op.highest && !command.IsWord(where, "MIN") {
		return nil, command.ErrSyntax
	}
	return op, zmpopOptions.Parse(args[3+n:], &op)
}

// popOp removes members from the first of some sorted sets that is there.
type popOp struct {
	keys    command.Args
	highest bool
	count   int64
	several bool // a count was given
	named   bool // the answer has the key
}

// of returns the members that op would remove, and the entry that has them.
func (op *popOp) of(ctx *command.Ctx, find func(store.Type, []byte) (*store.Entry, error)) (*store.Entry, span, error) {
	for _, key := range op.keys {
		e, err := find(store.ZSet, key)
		switch {
		case err != nil:
			return nil, span{}, err
		case e == nil:
			continue
		}
		n := e.ZSet().Len()
		count := int(min(op.count, int64(n)))
		if op.highest {
			return e, span{n - count, n}, nil
		}
		return e, span{0, count}, nil
	}
	return nil, span{}, nil
}

func (op popOp) Run(ctx *command.Ctx) resp.Value {
	e, s, err := op.of(ctx, ctx.LookupOf)
	switch {
	case err != nil:
		return resp.ErrorReply(err)
	case e == nil && op.named:
		return resp.NilArray
	case e == nil || s.len() == 0:
		return resp.Array()
	}
	r := replies{ZSet: e.ZSet(), scores: true}
	s.each(r.ZSet, op.highest, r.add)
	key := bytes.Clone([]byte(e.Key()))
	removeSpan(ctx, e, s)
	switch {
	case op.named:
		return resp.Array(resp.Bulk(key), resp.Array(nested(r.list)...))
	case op.several:
		return resp.Pairs(r.list...)
	}
	return resp.Array(r.list...)
}

// nested makes an array of each two.
func nested(list []resp.Value) []resp.Value {
	out := make([]resp.Value, 0, len(list)/2)
	for i := 0; i < len(list); i += 2 {
		out = append(out, resp.Array(list[i:i+2:i+2]...))
	}
	return out
}

func (op popOp) ReplySize(ctx *command.Ctx) (bytes, values int) {
	e, s, err := op.of(ctx, func(t store.Type, key []byte) (*store.Entry, error) { return command.OfType(t, ctx.Peek(key)) })
	if e == nil || err != nil {
		return 0, 0
	}
	bytes, values = s.size(e.ZSet(), true)
	if op.named {
		bytes += command.ValueBytes*(s.len()+1) + len(e.Key())
	}
	return bytes, values
}
