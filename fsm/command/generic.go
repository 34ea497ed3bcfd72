package command

import (
	"github.com/lockstepkv/lockstep/resp"
)

func genericSpecs() []*Spec {
	return []*Spec{
		specDel, specUnlink, specDelIfEq, specExists, specTouch, specType,
		specRename, specRenameNX, specCopy,
		specKeys, specScan, specRandomKey, specDBSize, specFlushAll, specFlushDB,
	}
}

var specDel = &Spec{
	Name: "del", Group: "generic", Arity: -2, Since: "1.0.0",
	Flags: Write | Frees, ACL: []string{"keyspace", "write", "slow"}, Keys: allKeys,
	Summary: "Deletes keys and answers how many there were.",
	Syntax:  "key [key ...]",
	Parse:   func(args Args) (Op, error) { return delOp{args[1:]}, nil },
}

var specUnlink = &Spec{
	Name: "unlink", Group: "generic", Arity: -2, Since: "4.0.0",
	Flags: Write | Frees | Fast, ACL: []string{"keyspace", "write", "fast"}, Keys: allKeys,
	Summary: "The same as DEL: memory is reclaimed in the background either way.",
	Syntax:  "key [key ...]",
	Parse:   func(args Args) (Op, error) { return delOp{args[1:]}, nil },
}

var specDelIfEq = &Spec{
	Name: "delifeq", Group: "lockstep", Arity: 3, Since: "0.1.0", // from Valkey 9
	Flags: Write | Frees | Fast, ACL: []string{"write", "string", "fast"}, Keys: oneKey,
	Summary: "Deletes a key if it holds the given string, and answers 1 or 0: how a lock made by SET NX is released.",
	Syntax:  "key value",
	Parse:   func(args Args) (Op, error) { return delIfEqOp{args[1], args[2]}, nil },
}

type delIfEqOp struct{ key, value []byte }

func (op delIfEqOp) Run(ctx *Ctx) resp.Value {
	e := ctx.Peek(op.key)
	if !holds(e, op.value) {
		return resp.Zero
	}
	ctx.Store.Delete(e)
	return resp.One
}

type delOp struct{ keys Args }

func (op delOp) Run(ctx *Ctx) resp.Value {
	var n int64
	for _, k := range op.keys {
		if e := ctx.Peek(k); e != nil {
			ctx.Store.Delete(e)
			n++
		}
	}
	return resp.Int(n)
}

var specExists = &Spec{
	Name: "exists", Group: "generic", Arity: -2, Since: "1.0.0",
	Flags: ReadOnly | Fast, ACL: []string{"keyspace", "read", "fast"}, Keys: allKeys,
	Summary: "Answers how many of the keys exist; one that is named twice counts twice.",
	Syntax:  "key [key ...]",
	Parse:   func(args Args) (Op, error) { return existsOp{args[1:]}, nil },
}

type existsOp struct{ keys Args }

func (op existsOp) Run(ctx *Ctx) resp.Value {
	var n int64
	for _, k := range op.keys {
		if ctx.glance(k) != nil {
			n++
		}
	}
	return resp.Int(n)
}

var specTouch = &Spec{
	Name: "touch", Group: "generic", Arity: -2, Since: "3.2.1",
	Flags: ReadOnly | Fast, ACL: []string{"keyspace", "read", "fast"}, Keys: allKeys,
	Summary: "Marks keys as just used and answers how many there are.",
	Syntax:  "key [key ...]",
	Parse:   func(args Args) (Op, error) { return touchOp{args[1:]}, nil },
}

type touchOp struct{ keys Args }

func (op touchOp) Run(ctx *Ctx) resp.Value {
	var n int64
	for _, k := range op.keys {
		if ctx.read(k) != nil {
			n++
		}
	}
	return resp.Int(n)
}

var specType = &Spec{
	Name: "type", Group: "generic", Arity: 2, Since: "1.0.0",
	Flags: ReadOnly | Fast, ACL: []string{"keyspace", "read", "fast"}, Keys: oneKey,
	Summary: "Answers the type of the value under a key, none without one.",
	Syntax:  "key",
	Parse:   func(args Args) (Op, error) { return typeOp{args[1]}, nil },
}

type typeOp struct{ key []byte }

func (op typeOp) Run(ctx *Ctx) resp.Value {
	if e := ctx.glance(op.key); e != nil {
		return resp.Simple(e.Type().String())
	}
	return resp.Simple("none")
}

var specRename = &Spec{
	Name: "rename", Group: "generic", Arity: 3, Since: "1.0.0",
	Flags: Write, ACL: []string{"keyspace", "write", "slow"}, Keys: KeyRange{First: 1, Last: 2, Step: 1},
	Summary: "Gives a key another name, in place of what had that name.",
	Syntax:  "key newkey",
	Parse:   func(args Args) (Op, error) { return renameOp{args[1], args[2], false}, nil },
}

var specRenameNX = &Spec{
	Name: "renamenx", Group: "generic", Arity: 3, Since: "1.0.0",
	Flags: Write | Fast, ACL: []string{"keyspace", "write", "fast"}, Keys: KeyRange{First: 1, Last: 2, Step: 1},
	Summary: "Gives a key another name unless that exists; answers 1 or 0.",
	Syntax:  "key newkey",
	Parse:   func(args Args) (Op, error) { return renameOp{args[1], args[2], true}, nil },
}

type renameOp struct {
	from, to []byte
	nx       bool
}

func (op renameOp) Run(ctx *Ctx) resp.Value {
	done := resp.OK
	if op.nx {
		done = resp.One
	}
	e := ctx.Lookup(op.from)
	if e == nil {
		return errorReply(errNoKey)
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
	remove(ctx, op.to)
	ctx.Store.Rename(e, op.to)
	return done
}

var specCopy = &Spec{
	Name: "copy", Group: "generic", Arity: -3, Since: "6.2.0",
	Flags: Write | DenyOOM, ACL: []string{"keyspace", "write", "slow"}, Keys: KeyRange{First: 1, Last: 2, Step: 1},
	Summary: "Copies a value and its lifetime to another key; answers 1 or 0. The only database is 0.",
	Syntax:  "source destination [DB 0] [REPLACE]",
	Parse:   parseCopy,
}

type copyOp struct {
	from, to []byte
	replace  bool
}

func parseCopy(args Args) (Op, error) {
	op := copyOp{from: args[1], to: args[2]}
	for i := 3; i < len(args); i++ {
		switch {
		case isWord(args[i], "REPLACE"):
			op.replace = true
		case isWord(args[i], "DB") && i+1 < len(args):
			i++
			db, err := intArg(args[i])
			if err != nil {
				return nil, err
			}
			if db != int64(int32(db)) {
				return nil, errDBRange
			}
			if db != 0 {
				return nil, errDBIndex
			}
		default:
			return nil, errSyntax
		}
	}
	if string(op.from) == string(op.to) {
		return nil, errSameObject
	}
	return op, nil
}

func (op copyOp) Run(ctx *Ctx) resp.Value {
	e := ctx.read(op.from)
	if e == nil || ctx.Lookup(op.to) != nil && !op.replace {
		return resp.Zero
	}
	remove(ctx, op.to)
	ctx.Store.Copy(e, op.to)
	return resp.One
}
