package hashes

import (
	"math"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

var specHRandField = &command.Spec{
	Name: "hrandfield", Group: "hash", Arity: -2, Since: "6.2.0",
	Flags: command.ReadOnly, ACL: acl, Keys: command.OneKey(command.RO | command.Access),
	Summary: "Answers a field of a hash by chance; count of them, each once, or as many as -count, which may come again.",
	Args: []command.Arg{command.Key("key"),
		command.Opt(command.Block("options", command.Integer("count"), command.Opt(command.Token("WITHVALUES"))))},
	Parse: parseHRandField,
}

type hrandfieldOp struct {
	key        []byte
	count      int64
	withValues bool
}

// onefieldOp is HRANDFIELD without a count.
type onefieldOp struct{ key []byte }

func parseHRandField(args command.Args) (command.Op, error) {
	if len(args) == 2 {
		return onefieldOp{args[1]}, nil
	}
	count, err := command.RandomCount(args[2])
	if err != nil {
		return nil, err
	}
	op := hrandfieldOp{key: args[1], count: count, withValues: len(args) == 4}
	switch {
	case len(args) > 4 || op.withValues && !command.IsWord(args[3], "WITHVALUES"):
		return nil, command.ErrSyntax
	case op.withValues && (count < -math.MaxInt64/2 || count > math.MaxInt64/2):
		return nil, errRange
	}
	return op, nil
}

func (op onefieldOp) Run(ctx *command.Ctx) resp.Value {
	h, err := read(ctx, op.key)
	switch {
	case err != nil:
		return resp.ErrorReply(err)
	case h == nil:
		return resp.Nil
	}
	field, _ := h.At(ctx.Rand().IntN(h.Len()))
	return resp.Bulk(append([]byte{}, field...))
}

func (op hrandfieldOp) Run(ctx *command.Ctx) resp.Value {
	h, err := read(ctx, op.key)
	if err != nil {
		return resp.ErrorReply(err)
	}
	if h == nil || op.count == 0 {
		return op.reply(nil)
	}
	r := picked{replies: replies{Hash: h}, withValues: op.withValues}
	switch {
	case op.count < 0:
		if !r.again(ctx, -op.count) {
			return command.ReplyTooLarge
		}
	case op.count >= int64(h.Len()):
		h.Each(r.add)
	default:
		r.once(ctx, int(op.count))
	}
	return op.reply(r.list)
}

func (op hrandfieldOp) reply(list []resp.Value) resp.Value {
	if op.withValues {
		return resp.Pairs(list...)
	}
	return resp.Array(list...)
}

// picked are fields that were chosen.
type picked struct {
	replies
	withValues bool
	list       []resp.Value
}

func (r *picked) add(field, value []byte) bool {
	r.list = append(r.list, r.bulk(field))
	if r.withValues {
		r.list = append(r.list, r.bulk(value))
	}
	return true
}

// again picks count fields, which may come again. It reports false when that is too much:
// a small request must not make a large reply, whoever asks.
func (r *picked) again(ctx *command.Ctx, count int64) bool {
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

// once picks k fields, each once.
func (r *picked) once(ctx *command.Ctx, k int) {
	ranks := ctx.Draw(r.Len(), k)
	if !r.Packed() {
		for _, rank := range ranks {
			r.add(r.At(rank))
		}
		return
	}
	rank := 0
	r.Each(func(field, value []byte) bool {
		if rank == ranks[0] {
			r.add(field, value)
			ranks = ranks[1:]
		}
		rank++
		return len(ranks) > 0
	})
}

var specHScan = &command.Spec{
	Name: "hscan", Group: "hash", Arity: -3, Since: "2.8.0",
	Flags: command.ReadOnly, ACL: acl, Keys: command.OneKey(command.RO | command.Access),
	Summary: "Walks the fields of a hash step by step: answers the next cursor, 0 at the end, and fields with their values. A field that exists all the time is seen.",
	Args:    hscanOptions.After(command.Key("key"), command.Integer("cursor")),
	Parse: func(args command.Args) (command.Op, error) {
		scan, err := command.ParseMemberScan(args, store.Hash, hscanOptions)
		return hscanOp{scan}, err
	},
}

var hscanOptions = command.MemberScanOptions(
	command.Word("NOVALUES", func(op *command.MemberScan) { op.NoValues = true }), // of Redis 7.4
)

type hscanOp struct{ *command.MemberScan }

func (op hscanOp) Run(ctx *command.Ctx) resp.Value {
	return op.Scan(ctx, func(e *store.Entry, cursor uint64, more func() bool, add func([]byte, ...resp.Value)) uint64 {
		r := replies{Hash: e.Hash()}
		return r.ScanWhile(cursor, more, func(field, value []byte) {
			if op.NoValues {
				add(field)
			} else {
				add(field, r.bulk(value))
			}
		})
	})
}
