package lists

import (
	"bytes"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store/value/list"
)

var specLLen = &command.Spec{
	Name: "llen", Group: "list", Arity: 2, Since: "1.0.0",
	Flags: command.ReadOnly | command.Fast, ACL: acl, Keys: command.OneKey(command.RO),
	Summary: "Answers the number of elements of a list.",
	Args:    []command.Arg{command.Key("key")},
	Parse:   func(args command.Args) (command.Op, error) { return llenOp{args[1]}, nil },
}

type llenOp struct{ key []byte }

func (op llenOp) Run(ctx *command.Ctx) resp.Value {
	l, err := read(ctx, op.key)
	switch {
	case err != nil:
		return resp.ErrorReply(err)
	case l == nil:
		return resp.Zero
	}
	return resp.Int(int64(l.Len()))
}

var specLIndex = &command.Spec{
	Name: "lindex", Group: "list", Arity: 3, Since: "1.0.0",
	Flags: command.ReadOnly, ACL: acl, Keys: command.OneKey(command.RO | command.Access),
	Summary: "Answers the element of a list with an index, which counts from the end below 0.",
	Args:    []command.Arg{command.Key("key"), command.Integer("index")},
	Parse:   func(args command.Args) (command.Op, error) { return lindexOp{args[1], args[2]}, nil },
}

type lindexOp struct{ key, index []byte }

func (op lindexOp) Run(ctx *command.Ctx) resp.Value {
	l, err := read(ctx, op.key)
	switch {
	case err != nil:
		return resp.ErrorReply(err)
	case l == nil:
		return resp.Nil
	}
	index, err := command.IntArg(op.index)
	if err != nil {
		return resp.ErrorReply(err)
	}
	i, ok := place(index, l.Len())
	if !ok {
		return resp.Nil
	}
	r := replies{List: l}
	return r.bulk(l.At(i))
}

func (op lindexOp) ReplySize(ctx *command.Ctx) (bytes, values int) {
	l, index := peek(ctx, op.key), int64(0)
	if l != nil {
		index, _ = command.ParseInt(op.index)
		if i, ok := place(index, l.Len()); ok {
			return command.ValueBytes + len(l.At(i)), 1
		}
	}
	return 0, 0
}

var specLRange = &command.Spec{
	Name: "lrange", Group: "list", Arity: 4, Since: "1.0.0",
	Flags: command.ReadOnly, ACL: acl, Keys: command.OneKey(command.RO | command.Access),
	Summary: "Answers the elements of a list from one index to another, which count from the end below 0.",
	Args:    []command.Arg{command.Key("key"), command.Integer("start"), command.Integer("stop")},
	Parse: func(args command.Args) (command.Op, error) {
		start, stop, err := parseSpan(args)
		return lrangeOp{args[1], start, stop}, err
	},
}

// parseSpan reads START and STOP.
func parseSpan(args command.Args) (start, stop int64, err error) {
	if start, err = command.IntArg(args[2]); err == nil {
		stop, err = command.IntArg(args[3])
	}
	return start, stop, err
}

type lrangeOp struct {
	key         []byte
	start, stop int64
}

func (op lrangeOp) Run(ctx *command.Ctx) resp.Value {
	l, err := read(ctx, op.key)
	switch {
	case err != nil:
		return resp.ErrorReply(err)
	case l == nil:
		return resp.EmptyArray
	}
	from, to := span(op.start, op.stop, l.Len())
	if from == to {
		return resp.EmptyArray
	}
	r, all := replies{List: l}, make([]resp.Value, 0, to-from)
	l.Forward(from, func(e []byte) bool {
		all = append(all, r.bulk(e))
		return len(all) < to-from
	})
	return resp.Array(all...)
}

func (op lrangeOp) ReplySize(ctx *command.Ctx) (bytes, values int) {
	l := peek(ctx, op.key)
	if l == nil {
		return 0, 0
	}
	from, to := span(op.start, op.stop, l.Len())
	values = to - from
	if bytes = command.ValueBytes * values; values == 0 || bytes > command.MaxReplyBytes {
		return bytes, values
	}
	left := values
	l.Forward(from, func(e []byte) bool {
		bytes += len(e)
		left--
		return left > 0 && bytes <= command.MaxReplyBytes
	})
	return bytes, values
}

var specLPos = &command.Spec{
	Name: "lpos", Group: "list", Arity: -3, Since: "6.0.6",
	Flags: command.ReadOnly, ACL: acl, Keys: command.OneKey(command.RO | command.Access),
	Summary: "Answers where an element is in a list: the first one, or as many as COUNT says, 0 for all.",
	Args:    lposOptions.After(command.Key("key"), command.String("element")),
	Parse:   parseLPos,
}

type lposOp struct {
	key, element []byte
	rank         int64 // of the first match that counts; below 0: from the end
	many         bool
	count        int64 // 0: all
	most         int64 // how many elements are looked at; 0: all
}

var lposOptions = command.NewOptions(
	command.Value("RANK", command.Integer("rank"), func(op *lposOp, value []byte) (err error) {
		if op.rank, err = command.RandomCount(value); err == nil && op.rank == 0 {
			err = errRankZero
		}
		return err
	}),
	command.Value("COUNT", command.Integer("num-matches"), func(op *lposOp, value []byte) error {
		op.many = true
		return notNegative(value, &op.count, errNegCount)
	}),
	command.Value("MAXLEN", command.Integer("len"), func(op *lposOp, value []byte) error {
		return notNegative(value, &op.most, errNegMaxLen)
	}),
)

// notNegative reads a number. All that is none has the same error.
func notNegative(value []byte, to *int64, err error) error {
	n, ok := command.ParseInt(value)
	if !ok || n < 0 {
		return err
	}
	*to = n
	return nil
}

func parseLPos(args command.Args) (command.Op, error) {
	op := &lposOp{key: args[1], element: args[2], rank: 1}
	return op, lposOptions.Parse(args[3:], op)
}

func (op *lposOp) Run(ctx *command.Ctx) resp.Value {
	l, err := read(ctx, op.key)
	if err != nil {
		return resp.ErrorReply(err)
	}
	var found []resp.Value
	room := ctx.ReplyRoom()
	if l != nil {
		op.search(l, func(i int) bool {
			found = append(found, resp.Int(int64(i)))
			room -= command.ValueBytes
			return op.many && room >= 0 && (op.count == 0 || int64(len(found)) < op.count)
		})
	}
	switch {
	case op.many && room < 0:
		return command.ReplyTooLarge
	case op.many:
		return resp.Array(found...)
	case len(found) > 0:
		return found[0]
	}
	return resp.Nil
}

// search calls fn for the places of the matches that count until it returns false.
func (op *lposOp) search(l *list.List, fn func(i int) bool) {
	n := l.Len()
	at, step, skip, each := 0, 1, op.rank-1, l.Forward
	if op.rank < 0 {
		at, step, skip, each = n-1, -1, -op.rank-1, l.Backward
	}
	left := op.most
	each(at, func(e []byte) bool {
		if bytes.Equal(e, op.element) {
			if skip--; skip < 0 && !fn(at) {
				return false
			}
		}
		at += step
		left--
		return left != 0
	})
}
