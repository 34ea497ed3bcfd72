package versions

import (
	"strconv"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

// Commands lists the commands that tell and ask for versions.
func Commands(t *command.Table) []*command.Spec {
	return []*command.Spec{specLSPut, storeSpec(t), specLSGet, specLSDel, specLSIncr, specLSScan}
}

var specLSPut = &command.Spec{
	Name: "ls.put", Group: "lockstep", Arity: -3, Since: "0.1.0",
	Flags: command.Write | command.DenyOOM, ACL: []string{"string"},
	Keys:    command.OneKey(command.RW | command.Access | command.Update),
	Summary: "Stores a string and answers its version and when it expires (Unix milliseconds, 0 for never), or CONDITION.",
	Args:    putOptions.After(command.Key("key"), command.String("value")),
	Parse:   parseLSPut,
}

type lsPutOp struct {
	key, value []byte
	lifetime   command.Lifetime
	keepTTL    bool
	condition
}

// condition is what a write asks of the entry that it replaces.
type condition struct {
	nx, xx, hasVersion bool
	version            uint64 // 0 means absent
}

var putOptions = command.NewOptions(
	command.Choice("expiration",
		command.PX(func(op *lsPutOp) *command.Lifetime { return &op.lifetime }),
		command.Word("KEEPTTL", func(op *lsPutOp) { op.keepTTL = true }),
	).Once(),
	command.Choice("condition",
		command.Word("NX", func(op *lsPutOp) { op.nx = true }),
		command.Word("XX", func(op *lsPutOp) { op.xx = true }),
		command.Value("IFVERSION", command.Integer("version"), (*lsPutOp).parseVersion),
	).Once(),
)

func parseLSPut(args command.Args) (command.Op, error) {
	op := &lsPutOp{key: args[1], value: args[2]}
	return op, putOptions.Parse(args[3:], op)
}

func (c *condition) parseVersion(b []byte) error {
	n, err := strconv.ParseUint(string(b), 10, 64)
	if err != nil {
		return command.ErrNotInteger
	}
	c.hasVersion, c.version = true, n
	return nil
}

// check returns a CONDITION error unless e, nil for absent, is as asked.
func (c condition) check(e *store.Entry) error {
	switch {
	case c.nx && e != nil:
		return resp.Error(command.CodeCondition + " the key exists")
	case c.xx && e == nil:
		return resp.Error(command.CodeCondition + " no such key")
	case c.hasVersion && command.VersionOf(e) != c.version:
		return resp.Error(command.CodeCondition + " the key has version " + strconv.FormatUint(command.VersionOf(e), 10))
	}
	return nil
}

func (op *lsPutOp) Run(ctx *command.Ctx) resp.Value {
	return op.run(ctx, "ls.put", func(at int64) (*store.Entry, error) {
		return ctx.Put(op.key, op.value, at, false), nil
	})
}

// run puts a value if the condition holds, with the expiry time that it is to have.
func (op *lsPutOp) run(ctx *command.Ctx, name string, put func(at int64) (*store.Entry, error)) resp.Value {
	var at int64
	if op.lifetime.Given() {
		var err error
		if at, err = op.lifetime.At(ctx.Now, name); err != nil {
			return resp.ErrorReply(err)
		}
	}
	old := ctx.Lookup(op.key)
	if err := op.check(old); err != nil {
		return resp.ErrorReply(err)
	}
	if op.keepTTL && old != nil {
		at = old.ExpireAt()
	}
	e, err := put(at)
	if err != nil {
		return resp.ErrorReply(err)
	}
	return resp.Array(versionReply(e), resp.Int(at))
}

// versionReply replies with a version. Versions count mutations, so they never
// reach the sign bit.
func versionReply(e *store.Entry) resp.Value { return resp.Int(int64(e.Version())) }

var specLSGet = &command.Spec{
	Name: "ls.get", Group: "lockstep", Arity: 2, Since: "0.1.0",
	Flags: command.ReadOnly | command.Fast, ACL: []string{"keyspace"}, Keys: command.OneKey(command.RO | command.Access),
	Summary: "Answers the type, value (a map of a hash, a list, a set, pairs of a sorted set), version and remaining lifetime (milliseconds, -1 for none) of a key, or nil.",
	Args:    []command.Arg{command.Key("key")},
	Parse:   func(args command.Args) (command.Op, error) { return lsGetOp{args[1]}, nil },
}

type lsGetOp struct{ key []byte }

func (op lsGetOp) Run(ctx *command.Ctx) resp.Value {
	e := ctx.Read(op.key)
	if e == nil {
		return resp.Nil
	}
	value := resp.Nil
	if e.Type() == store.String {
		value = resp.Bulk(e.Bytes())
	} else if k := ctx.Table.Kind(e.Type()); k != nil {
		value = k.Whole(e)
	}
	return resp.Array(resp.BulkString(e.Type().String()), value, versionReply(e), resp.Int(lifetimeLeft(ctx, e)))
}

var specLSDel = &command.Spec{
	Name: "ls.del", Group: "lockstep", Arity: -2, Since: "0.1.0",
	Flags: command.Write | command.Frees | command.Fast, ACL: []string{"keyspace"},
	Keys:    command.OneKey(command.RW | command.Access | command.Update),
	Summary: "Deletes a key and answers 1, or 0 when there is none, or CONDITION when it has another version.",
	Args:    delOptions.After(command.Key("key")),
	Parse: func(args command.Args) (command.Op, error) {
		op := &lsDelOp{key: args[1]}
		return op, delOptions.Parse(args[2:], op)
	},
}

type lsDelOp struct {
	key []byte
	condition
}

var delOptions = command.NewOptions(
	command.Value("IFVERSION", command.Integer("version"), (*lsDelOp).parseVersion).Once(),
)

func (op *lsDelOp) Run(ctx *command.Ctx) resp.Value {
	e := ctx.Peek(op.key)
	if err := op.check(e); err != nil {
		return resp.ErrorReply(err)
	}
	if e == nil {
		return resp.Zero
	}
	ctx.Delete(e)
	return resp.One
}

var specLSIncr = &command.Spec{
	Name: "ls.incr", Group: "lockstep", Arity: 3, Since: "0.1.0",
	Flags: command.Write | command.DenyOOM | command.Fast, ACL: []string{"string"},
	Keys:    command.OneKey(command.RW | command.Access | command.Update),
	Summary: "Adds to the integer under a key and answers the sum and its version.",
	Args:    []command.Arg{command.Key("key"), command.Integer("increment")},
	Parse: func(args command.Args) (command.Op, error) {
		by, err := command.IntArg(args[2])
		if err != nil {
			return nil, err
		}
		return lsIncrOp{args[1], by}, nil
	},
}

type lsIncrOp struct {
	key []byte
	by  int64
}

func (op lsIncrOp) Run(ctx *command.Ctx) resp.Value {
	n, e, err := ctx.Increment(op.key, op.by)
	if err != nil {
		return resp.ErrorReply(err)
	}
	return resp.Array(resp.Int(n), versionReply(e))
}

func (op lsGetOp) ReplySize(ctx *command.Ctx) (bytes, values int) { return ctx.WholeSize(op.key) }
