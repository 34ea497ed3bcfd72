package versions

import (
	"strconv"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

// storeSpec needs the table because that knows the types.
func storeSpec(t *command.Table) *command.Spec {
	return &command.Spec{
		Name: "ls.store", Group: "lockstep", Arity: -5, Since: "0.1.0",
		Flags: command.Write | command.DenyOOM, ACL: []string{"keyspace"},
		Keys: command.OneKey(command.RW | command.Access | command.Update),
		Summary: "Stores a whole value of another type than string over whatever is there, and answers as LS.PUT. " +
			"Words are fields and values of a hash, scores and members of a sorted set, members of a set, elements of a list.",
		Args: putOptions.After(command.Key("key"), command.String("type"), command.Integer("words"), command.Many(command.String("word"))),
		Parse: func(args command.Args) (command.Op, error) {
			op := &lsStoreOp{kind: t.KindNamed(args[2])}
			op.key = args[1]
			if op.kind == nil {
				return nil, resp.Error("ERR there is no such type, or its values are not stored as a whole")
			}
			n, err := command.IntArg(args[3])
			if err != nil {
				return nil, err
			}
			if n < 1 || n > int64(len(args)-4) || n%int64(op.kind.Words) != 0 {
				return nil, resp.Error("ERR the number of words must be that of some elements, of " + strconv.Itoa(op.kind.Words) + " each")
			}
			op.words = args[4 : 4+n]
			return op, putOptions.Parse(args[4+n:], &op.lsPutOp)
		},
	}
}

// lsStoreOp is LS.PUT of a collection.
type lsStoreOp struct {
	lsPutOp
	kind  *command.Kind
	words command.Args
}

func (op *lsStoreOp) Run(ctx *command.Ctx) resp.Value {
	return op.run(ctx, "ls.store", func(at int64) (*store.Entry, error) {
		v, err := op.kind.Make(ctx, op.words)
		if err != nil {
			return nil, err
		}
		return ctx.PutCollection(op.key, v, at), nil
	})
}
