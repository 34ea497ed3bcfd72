package zsets

import (
	"math"
	"strconv"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/value/zset"
)

var specZRandMember = &command.Spec{
	Name: "zrandmember", Group: group, Arity: -2, Since: "6.2.0",
	Flags: command.ReadOnly, ACL: acl, Keys: command.OneKey(command.RO | command.Access),
	Summary: "Answers a member of a sorted set by chance; count of them, each once, or as many as -count, which may come again.",
	Args: []command.Arg{command.Key("key"),
		command.Opt(command.Block("options", command.Integer("count"), withScoresArg()))},
	Parse: parseZRandMember,
}

type randomOp struct {
	key    []byte
	count  int64
	scores bool
}

// oneOp is ZRANDMEMBER without a count.
type oneOp struct{ key []byte }

func parseZRandMember(args command.Args) (command.Op, error) {
	if len(args) == 2 {
		return oneOp{args[1]}, nil
	}
	count, err := command.RandomCount(args[2])
	if err != nil {
		return nil, err
	}
	op := randomOp{key: args[1], count: count, scores: len(args) == 4}
	switch {
	case len(args) > 4 || op.scores && !command.IsWord(args[3], "WITHSCORES"):
		return nil, command.ErrSyntax
	case op.scores && (count < -math.MaxInt64/2 || count > math.MaxInt64/2):
		return nil, errRange
	}
	return op, nil
}

func (op oneOp) Run(ctx *command.Ctx) resp.Value {
	z, err := read(ctx, op.key)
	switch {
	case err != nil:
		return resp.ErrorReply(err)
	case z == nil:
		return resp.Nil
	}
	r := replies{ZSet: z}
	r.add(z.At(ctx.Rand().IntN(z.Len())))
	return r.list[0]
}

func (op randomOp) Run(ctx *command.Ctx) resp.Value {
	z, err := read(ctx, op.key)
	if err != nil {
		return resp.ErrorReply(err)
	}
	if z == nil || op.count == 0 {
		return listReply(nil, op.scores)
	}
	r := replies{ZSet: z, scores: op.scores}
	switch {
	case op.count < 0:
		if !r.again(ctx, -op.count) {
			return command.ReplyTooLarge
		}
	case op.count >= int64(z.Len()):
		z.Ascend(0, r.add)
	default:
		r.once(ctx, int(op.count))
	}
	return r.reply()
}

// again picks count members, which may come again. It reports false when that is too much:
// a small request must not make a large reply, whoever asks.
func (r *replies) again(ctx *command.Ctx, count int64) bool {
	room := min(ctx.ReplyRoom(), command.MaxReplyBytes)
	for ; count > 0 && room >= 0; count-- {
		had := len(r.list)
		r.add(r.At(ctx.Rand().IntN(r.Len())))
		for _, v := range r.list[had:] {
			room -= command.ReplyCost(v)
		}
	}
	return room >= 0
}

// once picks k members, each once.
func (r *replies) once(ctx *command.Ctx, k int) {
	ranks := ctx.Draw(r.Len(), k)
	if !r.Packed() {
		for _, rank := range ranks {
			r.add(r.At(rank))
		}
		return
	}
	rank := 0
	r.Ascend(0, func(member []byte, score float64) bool {
		if rank == ranks[0] {
			r.add(member, score)
			ranks = ranks[1:]
		}
		rank++
		return len(ranks) > 0
	})
}

var specZScan = &command.Spec{
	Name: "zscan", Group: group, Arity: -3, Since: "2.8.0",
	Flags: command.ReadOnly, ACL: acl, Keys: command.OneKey(command.RO | command.Access),
	Summary: "Walks the members of a sorted set step by step: answers the next cursor, 0 at the end, and members with their scores. A member that exists all the time is seen.",
	Args:    zscanOptions.After(command.Key("key"), command.Integer("cursor")),
	Parse: func(args command.Args) (command.Op, error) {
		scan, err := command.ParseMemberScan(args, store.ZSet, zscanOptions)
		return zscanOp{scan}, err
	},
}

var zscanOptions = command.MemberScanOptions()

type zscanOp struct{ *command.MemberScan }

func (op zscanOp) Run(ctx *command.Ctx) resp.Value {
	return op.Scan(ctx, func(e *store.Entry, cursor uint64, more func() bool, add func([]byte, ...resp.Value)) uint64 {
		z := e.ZSet()
		return z.Scan(cursor, more, func(member []byte, score float64) { add(member, resp.Bulk(scanned(z, score))) })
	})
}

// scanned is how ZSCAN writes a score, also in RESP3: as the listpack has it, or with 17
// digits.
func scanned(z *zset.ZSet, score float64) []byte {
	if z.Packed() || math.IsInf(score, 0) {
		return resp.AppendDouble(nil, score)
	}
	return strconv.AppendFloat(nil, score, 'g', 17, 64)
}
