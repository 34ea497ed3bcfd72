package keys

import (
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// Commands lists the commands on keys, whatever is under them.
func Commands(*command.Table) []*command.Spec {
	return []*command.Spec{
		specDel, specUnlink, specExists, specTouch, specType,
		specRename, specRenameNX, specCopy,
		specKeys, specScan, specRandomKey, specDBSize, specFlushAll, specFlushDB,
		specExpire, specPExpire, specExpireAt, specPExpireAt, specPersist,
		specTTL, specPTTL, specExpireTime, specPExpireTime,
		specDump, specRestore,
		specObject, specMemory,
	}
}

const (
	errSameObject = resp.Error("ERR source and destination objects are the same")
	errDBIndex    = resp.Error("ERR DB index is out of range")
	errDBRange    = resp.Error("ERR value is out of range, value must between -2147483648 and 2147483647")
)

var errNoKey = resp.ClassedError{Text: "ERR no such key", Class: resp.ClassNoKey}

var specDel = &command.Spec{
	Name: "del", Group: "generic", Arity: -2, Since: "1.0.0",
	Flags: command.Write | command.Frees, ACL: []string{"keyspace"},
	Keys: command.AllKeys(command.RM | command.Delete), Split: 1, Merge: command.Sum,
	Summary: "Deletes keys and answers how many there were.",
	Args:    []command.Arg{command.Many(command.Key("key"))},
	Parse:   func(args command.Args) (command.Op, error) { return delOp{args[1:]}, nil },
}

var specUnlink = &command.Spec{
	Name: "unlink", Group: "generic", Arity: -2, Since: "4.0.0",
	Flags: command.Write | command.Frees | command.Fast, ACL: []string{"keyspace"},
	Keys: command.AllKeys(command.RM | command.Delete), Split: 1, Merge: command.Sum,
	Summary: "The same as DEL: memory is reclaimed in the background either way.",
	Args:    []command.Arg{command.Many(command.Key("key"))},
	Parse:   func(args command.Args) (command.Op, error) { return delOp{args[1:]}, nil },
}

type delOp struct{ keys command.Args }

func (op delOp) Run(ctx *command.Ctx) resp.Value {
	var n int64
	for _, k := range op.keys {
		if e := ctx.Peek(k); e != nil {
			ctx.Delete(e)
			n++
		}
	}
	return resp.Int(n)
}

var specExists = &command.Spec{
	Name: "exists", Group: "generic", Arity: -2, Since: "1.0.0",
	Flags: command.ReadOnly | command.Fast, ACL: []string{"keyspace"},
	Keys: command.AllKeys(command.RO), Split: 1, Merge: command.Sum,
	Summary: "Answers how many of the keys exist; one that is named twice counts twice.",
	Args:    []command.Arg{command.Many(command.Key("key"))},
	Parse:   func(args command.Args) (command.Op, error) { return existsOp{args[1:]}, nil },
}

type existsOp struct{ keys command.Args }

func (op existsOp) Run(ctx *command.Ctx) resp.Value {
	var n int64
	for _, k := range op.keys {
		if ctx.Glance(k) != nil {
			n++
		}
	}
	return resp.Int(n)
}

var specTouch = &command.Spec{
	Name: "touch", Group: "generic", Arity: -2, Since: "3.2.1",
	Flags: command.ReadOnly | command.Fast, ACL: []string{"keyspace"},
	Keys: command.AllKeys(command.RO), Split: 1, Merge: command.Sum,
	Summary: "Marks keys as just used and answers how many there are.",
	Args:    []command.Arg{command.Many(command.Key("key"))},
	Parse:   func(args command.Args) (command.Op, error) { return touchOp{args[1:]}, nil },
}

type touchOp struct{ keys command.Args }

func (op touchOp) Run(ctx *command.Ctx) resp.Value {
	var n int64
	for _, k := range op.keys {
		if ctx.Read(k) != nil {
			n++
		}
	}
	return resp.Int(n)
}

var specType = &command.Spec{
	Name: "type", Group: "generic", Arity: 2, Since: "1.0.0",
	Flags: command.ReadOnly | command.Fast, ACL: []string{"keyspace"}, Keys: command.OneKey(command.RO),
	Summary: "Answers the type of the value under a key, none without one.",
	Args:    []command.Arg{command.Key("key")},
	Parse:   func(args command.Args) (command.Op, error) { return typeOp{args[1]}, nil },
}

type typeOp struct{ key []byte }

func (op typeOp) Run(ctx *command.Ctx) resp.Value {
	if e := ctx.Glance(op.key); e != nil {
		return resp.Simple(e.Type().String())
	}
	return resp.Simple("none")
}

var specRename = &command.Spec{
	Name: "rename", Group: "generic", Arity: 3, Since: "1.0.0",
	Flags: command.Write, ACL: []string{"keyspace"},
	Keys:    command.TwoKeys(command.RW|command.Access|command.Delete, command.OW|command.Update),
	Summary: "Gives a key another name, in place of what had that name.",
	Args:    []command.Arg{command.Key("key"), command.Key("newkey")},
	Parse:   func(args command.Args) (command.Op, error) { return renameOp{args[1], args[2], false}, nil },
}

var specRenameNX = &command.Spec{
	Name: "renamenx", Group: "generic", Arity: 3, Since: "1.0.0",
	Flags: command.Write | command.Fast, ACL: []string{"keyspace"},
	Keys:    command.TwoKeys(command.RW|command.Access|command.Delete, command.OW|command.Insert),
	Summary: "Gives a key another name unless that exists; answers 1 or 0.",
	Args:    []command.Arg{command.Key("key"), command.Key("newkey")},
	Parse:   func(args command.Args) (command.Op, error) { return renameOp{args[1], args[2], true}, nil },
}

type renameOp struct {
	from, to []byte
	nx       bool
}

func (op renameOp) Run(ctx *command.Ctx) resp.Value {
	done := resp.OK
	if op.nx {
		done = resp.One
	}
	e := ctx.Lookup(op.from)
	if e == nil {
		return resp.ErrorReply(errNoKey)
	}
	if string(op.from) == string(op.to) {
		if op.nx {
			return resp.Zero
		}
		return done
	}
	if op.nx && ctx.Lookup(op.to) != nil {
		return resp.Zero
	}
	ctx.Rename(e, op.to)
	return done
}

var specCopy = &command.Spec{
	Name: "copy", Group: "generic", Arity: -3, Since: "6.2.0",
	Flags: command.Write | command.DenyOOM, ACL: []string{"keyspace"},
	Keys:    command.TwoKeys(command.RO|command.Access, command.OW|command.Update),
	Summary: "Copies a value and its lifetime to another key; answers 1 or 0. The only database is 0.",
	Args:    copyOptions.After(command.Key("source"), command.Key("destination")),
	Parse:   parseCopy,
}

type copyOp struct {
	from, to []byte
	replace  bool
}

var copyOptions = command.NewOptions(
	command.Number("DB", command.Integer("destination-db").As("0"), func(_ *copyOp, db int64) error {
		switch {
		case db != int64(int32(db)):
			return errDBRange
		case db != 0:
			return errDBIndex
		}
		return nil
	}),
	command.Word("REPLACE", func(op *copyOp) { op.replace = true }),
)

func parseCopy(args command.Args) (command.Op, error) {
	op := &copyOp{from: args[1], to: args[2]}
	if err := copyOptions.Parse(args[3:], op); err != nil {
		return nil, err
	}
	if string(op.from) == string(op.to) {
		return nil, errSameObject
	}
	return op, nil
}

func (op *copyOp) Run(ctx *command.Ctx) resp.Value {
	e := ctx.Read(op.from)
	if e == nil || ctx.Lookup(op.to) != nil && !op.replace {
		return resp.Zero
	}
	ctx.Copy(e, op.to)
	return resp.One
}
