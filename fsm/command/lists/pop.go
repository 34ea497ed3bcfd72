package lists

import (
	"bytes"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/effect"
	"github.com/lockstepkv/lockstep/store/value/list"
)

var specLPop = popSpec("lpop", left, "Takes the first element out of a list and answers it, or the first ones.")

var specRPop = popSpec("rpop", right, "Takes the last element out of a list and answers it, or the last ones, the last one first.")

func popSpec(name string, at end, summary string) *command.Spec {
	return &command.Spec{
		Name: name, Group: "list", Arity: -2, Since: "1.0.0",
		Flags: command.Write | command.Fast, ACL: acl, Keys: command.OneKey(command.RW | command.Access | command.Delete),
		Summary: summary,
		Args:    []command.Arg{command.Key("key"), command.Opt(command.Integer("count"))},
		Parse:   func(args command.Args) (command.Op, error) { return parsePop(name, args, at) },
	}
}

// popOp pops one element, or with many an array of up to count.
type popOp struct {
	key   []byte
	at    end
	many  bool
	count int
}

func parsePop(name string, args command.Args, at end) (command.Op, error) {
	op := popOp{key: args[1], at: at, count: 1}
	switch {
	case len(args) > 3:
		return nil, command.ErrArity(name)
	case len(args) == 3:
		n, ok := command.ParseInt(args[2])
		if !ok || n < 0 {
			return nil, errPositive
		}
		op.many, op.count = true, int(n)
	}
	return op, nil
}

func (op popOp) Run(ctx *command.Ctx) resp.Value {
	e, err := ctx.LookupOf(store.List, op.key)
	switch {
	case err != nil:
		return resp.ErrorReply(err)
	case e == nil && op.many:
		return resp.NilArray
	case e == nil:
		return resp.Nil
	case op.count == 0:
		return resp.EmptyArray
	}
	popped := pop(ctx, e, op.at, op.count)
	if op.many {
		return resp.Array(popped...)
	}
	return popped[0]
}

func (op popOp) ReplySize(ctx *command.Ctx) (bytes, values int) {
	return popSize(peek(ctx, op.key), op.at, op.count)
}

// popSize is ReplySize for what pop answers.
func popSize(l *list.List, at end, count int) (bytes, values int) {
	if l == nil {
		return 0, 0
	}
	values = min(count, l.Len())
	walk(l, at, values, func(e []byte) bool {
		bytes += command.ValueBytes + len(e)
		return bytes <= command.MaxReplyBytes
	})
	return bytes, values
}

// walk calls fn for the first count elements from an end until it returns false.
func walk(l *list.List, at end, count int, fn func(e []byte) bool) {
	if count <= 0 {
		return
	}
	each := func(e []byte) bool {
		count--
		return fn(e) && count > 0
	}
	if at == left {
		l.Forward(0, each)
	} else {
		l.Backward(l.Len()-1, each)
	}
}

// pop takes up to count elements from an end of the list of e, and returns them in the order in
// which they went.
func pop(ctx *command.Ctx, e *store.Entry, at end, count int) []resp.Value {
	count = min(count, e.List().Len())
	popped, r := make([]resp.Value, 0, count), replies{List: e.List()}
	walk(r.List, at, count, func(p []byte) bool {
		popped = append(popped, r.bulk(p))
		return true
	})
	ctx.UpdateList(e, func(l *list.List, edits *effect.Edits) bool {
		cut(ctx, l, at, count)
		if count == 1 {
			edits.Say(at.popName())
		} else {
			edits.Say(at.popName(), decimal(int64(count)))
		}
		return true
	})
	return popped
}

// cut takes count elements out of l.
func cut(ctx *command.Ctx, l *list.List, at end, count int) {
	if at == left {
		l.Remove(0, count)
	} else {
		l.Remove(l.Len()-count, l.Len())
	}
	l.Shrink(ctx.Limits.List())
}

var specLMPop = &command.Spec{
	Name: "lmpop", Group: "list", Arity: -4, Since: "7.0.0",
	Flags: command.Write | command.MovableKeys, ACL: acl,
	Keys:     []command.KeySpec{{Count: 1, Use: command.RW | command.Access | command.Delete}},
	FindKeys: command.CountedKeys(1),
	Summary:  "Takes elements out of the first of several lists that has any, and answers its key and the elements.",
	Args:     lmpopOptions.After(command.Integer("numkeys"), command.Many(command.Key("key")), endArg("where")),
	Parse:    parseLMPop,
}

type lmpopOp struct {
	keys  command.Args
	at    end
	count int
}

var lmpopOptions = command.NewOptions(
	command.Value("COUNT", command.Integer("count"), func(op *lmpopOp, value []byte) error {
		n, ok := command.ParseInt(value)
		switch {
		case op.count > 0: // it came before
			return command.ErrSyntax
		case !ok || n < 1:
			return errCountZero
		}
		op.count = int(n)
		return nil
	}),
)

func parseLMPop(args command.Args) (command.Op, error) {
	n, err := command.NumberOfKeys(args, 1, 1)
	if err != nil {
		return nil, err
	}
	op := lmpopOp{keys: args[2 : 2+n]}
	if op.at, err = parseEnd(args[2+n]); err != nil {
		return nil, err
	}
	if err := lmpopOptions.Parse(args[3+n:], &op); err != nil {
		return nil, err
	}
	op.count = max(op.count, 1)
	return op, nil
}

func (op lmpopOp) Run(ctx *command.Ctx) resp.Value {
	for _, key := range op.keys {
		e, err := ctx.LookupOf(store.List, key)
		if err != nil {
			return resp.ErrorReply(err)
		}
		if e != nil {
			return resp.Array(resp.Bulk(bytes.Clone(key)), resp.Array(pop(ctx, e, op.at, op.count)...))
		}
	}
	return resp.NilArray
}

func (op lmpopOp) ReplySize(ctx *command.Ctx) (bytes, values int) {
	for _, key := range op.keys {
		if ctx.Peek(key) != nil {
			bytes, values = popSize(peek(ctx, key), op.at, op.count)
			return bytes + 2*command.ValueBytes + len(key), values + 1
		}
	}
	return 0, 0
}

var specLMove = &command.Spec{
	Name: "lmove", Group: "list", Arity: 5, Since: "6.2.0",
	Flags: command.Write | command.DenyOOM, ACL: acl, Keys: moveKeys(),
	Summary: "Takes an element out of a list at one end, puts it into another or the same at one end, and answers it.",
	Args:    []command.Arg{command.Key("source"), command.Key("destination"), endArg("wherefrom"), endArg("whereto")},
	Parse: func(args command.Args) (command.Op, error) {
		from, err := parseEnd(args[3])
		if err != nil {
			return nil, err
		}
		to, err := parseEnd(args[4])
		return moveOp{args[1], args[2], from, to}, err
	},
}

var specRPopLPush = &command.Spec{
	Name: "rpoplpush", Group: "list", Arity: 3, Since: "1.2.0",
	Flags: command.Write | command.DenyOOM, ACL: acl, Keys: moveKeys(),
	Summary: "LMOVE with RIGHT and LEFT.",
	Args:    []command.Arg{command.Key("source"), command.Key("destination")},
	Parse:   func(args command.Args) (command.Op, error) { return moveOp{args[1], args[2], right, left}, nil },
}

func moveKeys() []command.KeySpec {
	return command.TwoKeys(command.RW|command.Access|command.Delete, command.RW|command.Insert)
}

type moveOp struct {
	source, destination []byte
	from, to            end
}

func (op moveOp) Run(ctx *command.Ctx) resp.Value {
	e, err := ctx.LookupOf(store.List, op.source)
	switch {
	case err != nil:
		return resp.ErrorReply(err)
	case e == nil:
		return resp.Nil
	}
	to, err := ctx.LookupOf(store.List, op.destination)
	if err != nil {
		return resp.ErrorReply(err)
	}
	if bytes.Equal(op.source, op.destination) {
		return op.turn(ctx, e)
	}
	element := pop(ctx, e, op.from, 1)[0]
	push(ctx, op.destination, to, op.to, weight(element.Str), element.Str)
	return element
}

// turn moves an element within a list, which must not be gone in between.
func (op moveOp) turn(ctx *command.Ctx, e *store.Entry) resp.Value {
	var element resp.Value
	ctx.UpdateList(e, func(l *list.List, edits *effect.Edits) bool {
		r := replies{List: l}
		walk(l, op.from, 1, func(p []byte) bool {
			element = r.bulk(p)
			return false
		})
		if op.from == left {
			l.Remove(0, 1)
		} else {
			l.Remove(l.Len()-1, l.Len())
		}
		l.Reserve(ctx.Limits.List(), 1, weight(element.Str))
		if op.to == left {
			l.PushFront(element.Str)
		} else {
			l.PushBack(element.Str)
		}
		l.Shrink(ctx.Limits.List())
		edits.Say(op.from.popName())
		edits.Say(op.to.pushName(), element.Str)
		return true
	})
	return element
}

func (op moveOp) ReplySize(ctx *command.Ctx) (bytes, values int) {
	return popSize(peek(ctx, op.source), op.from, 1)
}

// weight is what Redis counts an element for that it moves: those that it keeps as a number,
// nothing.
func weight(e []byte) int {
	if _, ok := list.Integer(e); ok {
		return 0
	}
	return len(e)
}
