package lists

import (
	"strconv"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/effect"
	"github.com/lockstepkv/lockstep/store/value/list"
)

var specLPush = pushSpec("lpush", "1.0.0", left, false, "Puts elements before all others of a list, one after the other, and answers its length.")

var specRPush = pushSpec("rpush", "1.0.0", right, false, "Puts elements behind all others of a list and answers its length.")

var specLPushX = pushSpec("lpushx", "2.2.0", left, true, "LPUSH for a list that exists; otherwise answers 0.")

var specRPushX = pushSpec("rpushx", "2.2.0", right, true, "RPUSH for a list that exists; otherwise answers 0.")

func pushSpec(name, since string, at end, existing bool, summary string) *command.Spec {
	return &command.Spec{
		Name: name, Group: "list", Arity: -3, Since: since,
		Flags: command.Write | command.DenyOOM | command.Fast, ACL: acl, Keys: command.OneKey(command.RW | command.Insert),
		Summary: summary,
		Args:    []command.Arg{command.Key("key"), command.Many(command.String("element"))},
		Parse: func(args command.Args) (command.Op, error) {
			return pushOp{args[1], args[2:], at, existing}, nil
		},
	}
}

type pushOp struct {
	key      []byte
	elements command.Args
	at       end
	existing bool
}

func (op pushOp) Run(ctx *command.Ctx) resp.Value {
	e, err := ctx.LookupOf(store.List, op.key)
	if err != nil {
		return resp.ErrorReply(err)
	}
	if e == nil && op.existing {
		return resp.Zero
	}
	bytes := 0
	for _, p := range op.elements {
		bytes += len(p)
	}
	return resp.Int(int64(push(ctx, op.key, e, op.at, bytes, op.elements...)))
}

// push puts elements into the list under key, whose entry is e; it is made if there is none. A
// list that is packed may become a large one for so many bytes. It returns the length.
func push(ctx *command.Ctx, key []byte, e *store.Entry, at end, bytes int, elements ...[]byte) (n int) {
	each := func(l *list.List) {
		l.Reserve(ctx.Limits.List(), len(elements), bytes)
		for _, p := range elements {
			if at == left {
				l.PushFront(p)
			} else {
				l.PushBack(p)
			}
		}
		n = l.Len()
	}
	if e == nil {
		l := list.New()
		each(l)
		ctx.PutCollection(key, l, 0)
		return n
	}
	ctx.UpdateList(e, func(l *list.List, edits *effect.Edits) bool {
		each(l)
		edits.Say(at.pushName(), elements...)
		return true
	})
	return n
}

var specLInsert = &command.Spec{
	Name: "linsert", Group: "list", Arity: 5, Since: "2.2.0",
	Flags: command.Write | command.DenyOOM, ACL: acl, Keys: command.OneKey(command.RW | command.Insert),
	Summary: "Puts an element before or behind the first one of a list that is equal to pivot, and answers the length; " +
		"-1 without such a one.",
	Args: []command.Arg{command.Key("key"), command.OneOf("where", command.Token("BEFORE"), command.Token("AFTER")),
		command.String("pivot"), command.String("element")},
	Parse: func(args command.Args) (command.Op, error) {
		after := command.IsWord(args[2], "AFTER")
		if !after && !command.IsWord(args[2], "BEFORE") {
			return nil, command.ErrSyntax
		}
		return linsertOp{args[1], args[3], args[4], after}, nil
	},
}

type linsertOp struct {
	key, pivot, element []byte
	after               bool
}

func (op linsertOp) Run(ctx *command.Ctx) resp.Value {
	e, err := ctx.LookupOf(store.List, op.key)
	switch {
	case err != nil:
		return resp.ErrorReply(err)
	case e == nil:
		return resp.Zero
	}
	i, found := e.List().Index(op.pivot)
	if !found {
		return resp.Int(-1)
	}
	word := "BEFORE"
	if op.after {
		word = "AFTER"
		i++
	}
	now := ctx.UpdateList(e, func(l *list.List, edits *effect.Edits) bool {
		l.Reserve(ctx.Limits.List(), 1, len(op.element))
		l.Insert(i, op.element)
		// The place is that of the same pivot wherever the edit is applied.
		edits.Say("LINSERT", []byte(word), op.pivot, op.element)
		return true
	})
	return resp.Int(int64(now.List().Len()))
}

var specLSet = &command.Spec{
	Name: "lset", Group: "list", Arity: 4, Since: "1.0.0",
	Flags: command.Write | command.DenyOOM, ACL: acl, Keys: command.OneKey(command.RW | command.Update),
	Summary: "Puts an element in the place of the one with an index, which counts from the end below 0.",
	Args:    []command.Arg{command.Key("key"), command.Integer("index"), command.String("element")},
	Parse:   func(args command.Args) (command.Op, error) { return lsetOp{args[1], args[2], args[3]}, nil },
}

type lsetOp struct{ key, index, element []byte }

func (op lsetOp) Run(ctx *command.Ctx) resp.Value {
	e, err := ctx.LookupOf(store.List, op.key)
	if err == nil && e == nil {
		err = errNoKey
	}
	if err != nil {
		return resp.ErrorReply(err)
	}
	index, err := command.IntArg(op.index)
	if err != nil {
		return resp.ErrorReply(err)
	}
	i, ok := place(index, e.List().Len())
	if !ok {
		return resp.ErrorReply(errIndex)
	}
	ctx.UpdateList(e, func(l *list.List, edits *effect.Edits) bool {
		l.Reserve(ctx.Limits.List(), 1, len(op.element))
		l.Set(i, op.element)
		l.Shrink(ctx.Limits.List())
		edits.Say("LSET", decimal(int64(i)), op.element)
		return true
	})
	return resp.OK
}

func decimal(n int64) []byte { return strconv.AppendInt(nil, n, 10) }
