package zsets

import (
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store/value/zset"
)

func limitArg() command.Arg {
	return command.Opt(command.Block("offset_count", command.Integer("offset"), command.Integer("count")).After("LIMIT"))
}

func withScoresArg() command.Arg { return command.Opt(command.Token("WITHSCORES")) }

func sortByArg() command.Arg {
	return command.Opt(command.OneOf("sortby", command.Token("BYSCORE"), command.Token("BYLEX")))
}

var specZRange = &command.Spec{
	Name: "zrange", Group: group, Arity: -4, Since: "1.2.0",
	Flags: command.ReadOnly, ACL: acl, Keys: command.OneKey(command.RO | command.Access),
	Summary: "Answers members of a sorted set in order: by their places, or by their scores or bytes, from either end.",
	Args: []command.Arg{command.Key("key"), command.String("start"), command.String("stop"), sortByArg(),
		command.Opt(command.Token("REV")), limitArg(), withScoresArg()},
	Parse: func(args command.Args) (command.Op, error) { return parseZRange(args, 1, rangeOp{auto: true}) },
}

var specZRangeStore = &command.Spec{
	Name: "zrangestore", Group: group, Arity: -5, Since: "6.2.0",
	Flags: command.Write | command.DenyOOM, ACL: acl,
	Keys:    command.TwoKeys(command.OW|command.Update, command.RO|command.Access),
	Summary: "Puts what ZRANGE answers into another key, over whatever is there, and answers the number of members.",
	Args: []command.Arg{command.Key("dst"), command.Key("src"), command.String("min"), command.String("max"), sortByArg(),
		command.Opt(command.Token("REV")), limitArg()},
	Parse: func(args command.Args) (command.Op, error) {
		op, err := parseZRange(args, 2, rangeOp{auto: true, store: true})
		if err != nil {
			return nil, err
		}
		return rangeStoreOp{op, args[1]}, nil
	},
}

var specZRevRange = rangeSpec("zrevrange", "1.2.0", "by their places, from the highest score on",
	rangeOp{by: byRank, reverse: true}, command.Integer("start"), command.Integer("stop"), withScoresArg())

var specZRangeByScore = rangeSpec("zrangebyscore", "1.0.5", "by their scores",
	rangeOp{by: byScore}, command.Double("min"), command.Double("max"), withScoresArg(), limitArg())

var specZRevRangeByScore = rangeSpec("zrevrangebyscore", "2.2.0", "by their scores, from the highest on",
	rangeOp{by: byScore, reverse: true}, command.Double("max"), command.Double("min"), withScoresArg(), limitArg())

var specZRangeByLex = rangeSpec("zrangebylex", "2.8.9", "by their bytes, where all scores are equal",
	rangeOp{by: byLex}, command.String("min"), command.String("max"), limitArg())

var specZRevRangeByLex = rangeSpec("zrevrangebylex", "2.8.9", "by their bytes, from the last on, where all scores are equal",
	rangeOp{by: byLex, reverse: true}, command.String("max"), command.String("min"), limitArg())

func rangeSpec(name, since, by string, op rangeOp, args ...command.Arg) *command.Spec {
	return &command.Spec{
		Name: name, Group: group, Arity: -4, Since: since,
		Flags: command.ReadOnly, ACL: acl, Keys: command.OneKey(command.RO | command.Access),
		Summary: "Answers members of a sorted set " + by + ".",
		Args:    append([]command.Arg{command.Key("key")}, args...),
		Parse:   func(args command.Args) (command.Op, error) { return parseZRange(args, 1, op) },
	}
}

type rangeOp struct {
	key           []byte
	by            rangeKind
	reverse       bool
	auto          bool // by and reverse are options
	store         bool
	scores        bool
	offset, count int64
	bounds        bounds
}

const (
	errLimitOfRanks = resp.Error("ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX")
	errScoresOfLex  = resp.Error("ERR syntax error, WITHSCORES not supported in combination with BYLEX")
)

// parseZRange reads the arguments from the key on, which is at a place of args.
func parseZRange(args command.Args, at int, op rangeOp) (*rangeOp, error) {
	op.key, op.count = args[at], -1
	chosen, turned := !op.auto, !op.auto
	for i := at + 3; i < len(args); i++ {
		word := args[i]
		switch {
		case !op.store && command.IsWord(word, "WITHSCORES"):
			op.scores = true
		case command.IsWord(word, "LIMIT") && i+2 < len(args):
			var err error
			if op.offset, err = command.IntArg(args[i+1]); err != nil {
				return nil, err
			}
			if op.count, err = command.IntArg(args[i+2]); err != nil {
				return nil, err
			}
			i += 2
		case !turned && command.IsWord(word, "REV"):
			op.reverse, turned = true, true
		case !chosen && command.IsWord(word, "BYLEX"):
			op.by, chosen = byLex, true
		case !chosen && command.IsWord(word, "BYSCORE"):
			op.by, chosen = byScore, true
		default:
			return nil, command.ErrSyntax
		}
	}
	switch {
	case op.count != -1 && op.by == byRank:
		return nil, errLimitOfRanks
	case op.scores && op.by == byLex:
		return nil, errScoresOfLex
	}
	from, to := args[at+1], args[at+2]
	if op.reverse && op.by != byRank {
		from, to = to, from
	}
	var err error
	if op.bounds, err = parseRange(op.by, from, to); err != nil {
		return nil, err
	}
	if r, ok := op.bounds.(ranks); ok {
		r.reverse = op.reverse
		op.bounds = r
	}
	return &op, nil
}

// span returns what op asks for of z.
func (op *rangeOp) span(z *zset.ZSet) span {
	s := op.bounds.in(z, op.reverse)
	if op.by == byRank {
		return s
	}
	if op.offset < 0 || op.offset >= int64(s.len()) {
		return span{}
	}
	count := int64(s.len()) - op.offset
	if op.count >= 0 {
		count = min(count, op.count)
	}
	if op.reverse {
		s.to -= int(op.offset)
		return span{s.to - int(count), s.to}
	}
	s.from += int(op.offset)
	return span{s.from, s.from + int(count)}
}

func (op *rangeOp) Run(ctx *command.Ctx) resp.Value {
	z, err := read(ctx, op.key)
	if err != nil {
		return resp.ErrorReply(err)
	}
	if z == nil {
		return listReply(nil, false)
	}
	r := replies{ZSet: z, scores: op.scores}
	op.span(z).each(z, op.reverse, r.add)
	return r.reply()
}

func (op *rangeOp) ReplySize(ctx *command.Ctx) (bytes, values int) {
	z := peek(ctx, op.key)
	if z == nil {
		return 0, 0
	}
	return op.span(z).size(z, op.scores)
}

type rangeStoreOp struct {
	*rangeOp
	to []byte
}

func (op rangeStoreOp) Run(ctx *command.Ctx) resp.Value {
	z, err := read(ctx, op.key)
	if err != nil {
		return resp.ErrorReply(err)
	}
	var found elements
	if z != nil {
		s := op.span(z)
		found = make(elements, 0, s.len())
		s.each(z, false, func(member []byte, score float64) bool {
			found = append(found, element{member, score})
			return true
		})
	}
	return found.put(ctx, op.to)
}

// ReplySize is that of a number.
func (op rangeStoreOp) ReplySize(*command.Ctx) (bytes, values int) { return 0, 0 }

// element is a member with its score.
type element struct {
	member []byte
	score  float64
}

type elements []element

// put makes a sorted set of the elements under key, over whatever is there, and answers how
// many they are. Without any the key is gone.
func (list elements) put(ctx *command.Ctx, key []byte) resp.Value {
	if len(list) == 0 {
		ctx.Remove(key)
		return resp.Zero
	}
	lim := ctx.Limits.ZSet()
	z := zset.New()
	if !list.packed(lim) {
		z = zset.NewLarge()
	}
	for _, is := range list {
		z.Add(is.member, is.score, lim)
	}
	ctx.PutCollection(key, z, 0)
	return resp.Int(int64(len(list)))
}

func (list elements) packed(lim zset.Limits) bool {
	if len(list) > lim.Members {
		return false
	}
	for _, is := range list {
		if len(is.member) > lim.Bytes {
			return false
		}
	}
	return true
}
