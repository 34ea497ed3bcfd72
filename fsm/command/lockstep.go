package command

import (
	"strconv"

	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

// ownSpecs lists Lockstep's own commands, on which the HTTP API is built.
func ownSpecs() []*Spec { return []*Spec{specLSPut, specLSGet, specLSDel, specLSIncr, specLSScan} }

// CodeCondition is the code of the error that answers a write whose condition
// (NX, XX, IFVERSION) did not hold.
const CodeCondition = "CONDITION"

var specLSPut = &Spec{
	Name: "ls.put", Group: "lockstep", Arity: -3, Since: "0.1.0",
	Flags: Write | DenyOOM, ACL: []string{"write", "string", "slow"}, Keys: oneKey,
	Summary: "Stores a string and answers its version and when it expires (Unix milliseconds, 0 for never), or CONDITION.",
	Syntax:  "key value [PX milliseconds | KEEPTTL] [NX | XX | IFVERSION version]",
	Parse:   parseLSPut,
}

type lsPutOp struct {
	key, value []byte
	hasPX      bool
	px         expiry
	keepTTL    bool
	cond       condition
}

// condition is what a write asks of the entry that it replaces.
type condition struct {
	nx, xx, hasVersion bool
	version            uint64 // 0 means absent
}

func parseLSPut(args Args) (Op, error) {
	op := &lsPutOp{key: args[1], value: args[2]}
	for i := 3; i < len(args); i++ {
		w := args[i]
		free := op.cond == condition{}
		switch {
		case isWord(w, "NX") && free:
			op.cond.nx = true
		case isWord(w, "XX") && free:
			op.cond.xx = true
		case isWord(w, "KEEPTTL") && !op.hasPX && !op.keepTTL:
			op.keepTTL = true
		case isWord(w, "PX") && !op.hasPX && !op.keepTTL && i+1 < len(args):
			i++
			op.hasPX, op.px = true, expiry{arg: args[i], unit: 1}
		case isWord(w, "IFVERSION") && free && i+1 < len(args):
			i++
			if err := op.cond.parseVersion(args[i]); err != nil {
				return nil, err
			}
		default:
			return nil, errSyntax
		}
	}
	return op, nil
}

func (c *condition) parseVersion(b []byte) error {
	n, err := strconv.ParseUint(string(b), 10, 64)
	if err != nil {
		return errNotInteger
	}
	c.hasVersion, c.version = true, n
	return nil
}

// check returns a CONDITION error unless e, nil for absent, is as asked.
func (c condition) check(e *store.Entry) error {
	switch {
	case c.nx && e != nil:
		return resp.Error(CodeCondition + " the key exists")
	case c.xx && e == nil:
		return resp.Error(CodeCondition + " no such key")
	case c.hasVersion && VersionOf(e) != c.version:
		return resp.Error(CodeCondition + " the key has version " + strconv.FormatUint(VersionOf(e), 10))
	}
	return nil
}

func (op *lsPutOp) Run(ctx *Ctx) resp.Value {
	var at int64
	if op.hasPX {
		var err error
		if at, err = op.px.at(ctx.Now, "ls.put"); err != nil {
			return errorReply(err)
		}
	}
	old := ctx.Lookup(op.key)
	if err := op.cond.check(old); err != nil {
		return errorReply(err)
	}
	if op.keepTTL && old != nil {
		at = old.ExpireAt()
	}
	e := ctx.Store.Put(op.key, op.value, at, false)
	return resp.Array(versionReply(e), resp.Int(at))
}

// versionReply replies with a version. Versions count mutations, so they never
// reach the sign bit.
func versionReply(e *store.Entry) resp.Value { return resp.Int(int64(e.Version())) }

var specLSGet = &Spec{
	Name: "ls.get", Group: "lockstep", Arity: 2, Since: "0.1.0",
	Flags: ReadOnly | Fast, ACL: []string{"read", "string", "fast"}, Keys: oneKey,
	Summary: "Answers the type, value, version and remaining lifetime (milliseconds, -1 for none) of a key, or nil.",
	Syntax:  "key",
	Parse:   func(args Args) (Op, error) { return lsGetOp{args[1]}, nil },
}

type lsGetOp struct{ key []byte }

func (op lsGetOp) Run(ctx *Ctx) resp.Value {
	e := ctx.read(op.key)
	if e == nil {
		return resp.Nil
	}
	return resp.Array(resp.BulkString(e.Type().String()), resp.Bulk(e.Bytes()), versionReply(e), resp.Int(lifetimeLeft(ctx, e)))
}

var specLSDel = &Spec{
	Name: "ls.del", Group: "lockstep", Arity: -2, Since: "0.1.0",
	Flags: Write | Frees | Fast, ACL: []string{"keyspace", "write", "fast"}, Keys: oneKey,
	Summary: "Deletes a key and answers 1, or 0 when there is none, or CONDITION when it has another version.",
	Syntax:  "key [IFVERSION version]",
	Parse: func(args Args) (Op, error) {
		op := lsDelOp{key: args[1]}
		switch {
		case len(args) == 2:
			return op, nil
		case len(args) != 4 || !isWord(args[2], "IFVERSION"):
			return nil, errSyntax
		}
		if err := op.cond.parseVersion(args[3]); err != nil {
			return nil, err
		}
		return op, nil
	},
}

type lsDelOp struct {
	key  []byte
	cond condition
}

func (op lsDelOp) Run(ctx *Ctx) resp.Value {
	e := ctx.Peek(op.key)
	if err := op.cond.check(e); err != nil {
		return errorReply(err)
	}
	if e == nil {
		return resp.Zero
	}
	ctx.Store.Delete(e)
	return resp.One
}

var specLSIncr = &Spec{
	Name: "ls.incr", Group: "lockstep", Arity: 3, Since: "0.1.0",
	Flags: Write | DenyOOM | Fast, ACL: []string{"write", "string", "fast"}, Keys: oneKey,
	Summary: "Adds to the integer under a key and answers the sum and its version.",
	Syntax:  "key increment",
	Parse: func(args Args) (Op, error) {
		by, err := intArg(args[2])
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

func (op lsIncrOp) Run(ctx *Ctx) resp.Value {
	n, e, err := increment(ctx, op.key, op.by)
	if err != nil {
		return errorReply(err)
	}
	return resp.Array(resp.Int(n), versionReply(e))
}
