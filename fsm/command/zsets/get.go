package zsets

import (
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store/value/zset"
)

var specZCard = &command.Spec{
	Name: "zcard", Group: group, Arity: 2, Since: "1.2.0",
	Flags: command.ReadOnly | command.Fast, ACL: acl, Keys: command.OneKey(command.RO),
	Summary: "Answers the number of members of a sorted set.",
	Args:    []command.Arg{command.Key("key")},
	Parse: func(args command.Args) (command.Op, error) {
		return askOp{args[1], resp.Zero, func(z *zset.ZSet) resp.Value { return resp.Int(int64(z.Len())) }}, nil
	},
}

var specZScore = &command.Spec{
	Name: "zscore", Group: group, Arity: 3, Since: "1.2.0",
	Flags: command.ReadOnly | command.Fast, ACL: acl, Keys: command.OneKey(command.RO | command.Access),
	Summary: "Answers the score of a member of a sorted set.",
	Args:    []command.Arg{command.Key("key"), command.String("member")},
	Parse: func(args command.Args) (command.Op, error) {
		return askOp{args[1], resp.Nil, func(z *zset.ZSet) resp.Value { return scoreReply(z, args[2]) }}, nil
	},
}

var specZMScore = &command.Spec{
	Name: "zmscore", Group: group, Arity: -3, Since: "6.2.0",
	Flags: command.ReadOnly | command.Fast, ACL: acl, Keys: command.OneKey(command.RO | command.Access),
	Summary: "Answers the scores of members of a sorted set.",
	Args:    []command.Arg{command.Key("key"), command.Many(command.String("member"))},
	Parse: func(args command.Args) (command.Op, error) {
		scores := func(z *zset.ZSet) resp.Value {
			list := make([]resp.Value, len(args)-2)
			for i := range list {
				list[i] = scoreReply(z, args[2+i])
			}
			return resp.Array(list...)
		}
		return askOp{args[1], scores(zset.New()), scores}, nil
	},
}

// askOp answers what ask says of a sorted set, or absent when there is none.
type askOp struct {
	key    []byte
	absent resp.Value
	ask    func(z *zset.ZSet) resp.Value
}

func (op askOp) Run(ctx *command.Ctx) resp.Value {
	z, err := read(ctx, op.key)
	switch {
	case err != nil:
		return resp.ErrorReply(err)
	case z == nil:
		return op.absent
	}
	return op.ask(z)
}

func scoreReply(z *zset.ZSet, member []byte) resp.Value {
	score, ok := z.Score(member)
	if !ok {
		return resp.Nil
	}
	return resp.Double(score)
}

var specZRank = rankSpec("zrank", "lowest", false)

var specZRevRank = rankSpec("zrevrank", "highest", true)

func rankSpec(name, from string, reverse bool) *command.Spec {
	return &command.Spec{
		Name: name, Group: group, Arity: -3, Since: "2.0.0",
		Flags: command.ReadOnly | command.Fast, ACL: acl, Keys: command.OneKey(command.RO | command.Access),
		Summary: "Answers the place of a member of a sorted set, counted from 0 at the " + from + " score, and with WITHSCORE its score.",
		Args:    []command.Arg{command.Key("key"), command.String("member"), command.Opt(command.Token("WITHSCORE"))},
		Parse: func(args command.Args) (command.Op, error) {
			switch {
			case len(args) > 4:
				return nil, command.ErrArity(name)
			case len(args) == 4 && !command.IsWord(args[3], "WITHSCORE"):
				return nil, command.ErrSyntax
			}
			return rankOp(args, reverse), nil
		},
	}
}

func rankOp(args command.Args, reverse bool) askOp {
	withScore, absent := len(args) == 4, resp.Nil
	if withScore {
		absent = resp.NilArray
	}
	return askOp{args[1], absent, func(z *zset.ZSet) resp.Value {
		rank, score, ok := z.Rank(args[2])
		if reverse {
			rank = z.Len() - 1 - rank
		}
		switch {
		case !ok:
			return absent
		case withScore:
			return resp.Array(resp.Int(int64(rank)), resp.Double(score))
		}
		return resp.Int(int64(rank))
	}}
}

var specZCount = &command.Spec{
	Name: "zcount", Group: group, Arity: 4, Since: "2.0.0",
	Flags: command.ReadOnly | command.Fast, ACL: acl, Keys: command.OneKey(command.RO | command.Access),
	Summary: "Answers the number of members of a sorted set with scores between two, or above and below those that come after a bracket \"(\".",
	Args:    []command.Arg{command.Key("key"), command.Double("min"), command.Double("max")},
	Parse:   func(args command.Args) (command.Op, error) { return countOp(args[1], byScore, args[2], args[3]) },
}

var specZLexCount = &command.Spec{
	Name: "zlexcount", Group: group, Arity: 4, Since: "2.8.9",
	Flags: command.ReadOnly | command.Fast, ACL: acl, Keys: command.OneKey(command.RO | command.Access),
	Summary: "Answers the number of members between two in a sorted set whose scores are all equal.",
	Args:    []command.Arg{command.Key("key"), command.String("min"), command.String("max")},
	Parse:   func(args command.Args) (command.Op, error) { return countOp(args[1], byLex, args[2], args[3]) },
}

func countOp(key []byte, by rangeKind, from, to []byte) (command.Op, error) {
	r, err := parseRange(by, from, to)
	if err != nil {
		return nil, err
	}
	return askOp{key, resp.Zero, func(z *zset.ZSet) resp.Value { return resp.Int(int64(r.in(z, false).len())) }}, nil
}
