package command

import (
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

func inspectSpecs() []*Spec { return []*Spec{specObject, specMemory} }

// secondKey is the place of the key of commands like OBJECT ENCODING key.
var secondKey = KeyRange{First: 2, Last: 2, Step: 1}

var specObject = &Spec{
	Name: "object", Group: "generic", Arity: -2, Since: "2.2.3",
	ACL:     []string{"slow"},
	Summary: "Tells how a value is kept.",
	Sub:     []*Spec{specObjectEncoding, specObjectFreq, specObjectIdletime, specObjectRefcount, specObjectHelp},
}

var specObjectEncoding = &Spec{
	Name: "object|encoding", Group: "generic", Arity: 3, Since: "2.2.3",
	Flags: ReadOnly, ACL: []string{"keyspace", "read", "slow"}, Keys: secondKey,
	Summary: "Answers the encoding that Redis would keep a value in: int, embstr or raw.",
	Syntax:  "key",
	Parse:   func(args Args) (Op, error) { return objectOp{args[2], objectEncoding}, nil },
}

var specObjectFreq = &Spec{
	Name: "object|freq", Group: "generic", Arity: 3, Since: "4.0.0",
	Flags: ReadOnly, ACL: []string{"keyspace", "read", "slow"}, Keys: secondKey,
	Summary: "Answers the logarithmic access counter of a key on this node, under an LFU policy; not in MULTI.",
	Syntax:  "key",
	Parse:   func(args Args) (Op, error) { return objectOp{args[2], objectFreq}, nil },
}

var specObjectIdletime = &Spec{
	Name: "object|idletime", Group: "generic", Arity: 3, Since: "2.2.3",
	Flags: ReadOnly, ACL: []string{"keyspace", "read", "slow"}, Keys: secondKey,
	Summary: "Answers the seconds since a key was last used on this node, except under an LFU policy; not in MULTI.",
	Syntax:  "key",
	Parse:   func(args Args) (Op, error) { return objectOp{args[2], objectIdletime}, nil },
}

var specObjectRefcount = &Spec{
	Name: "object|refcount", Group: "generic", Arity: 3, Since: "2.2.3",
	Flags: ReadOnly, ACL: []string{"keyspace", "read", "slow"}, Keys: secondKey,
	Summary: "Answers the reference count that Redis would give: that of a shared object for small integers, else 1.",
	Syntax:  "key",
	Parse:   func(args Args) (Op, error) { return objectOp{args[2], objectRefcount}, nil },
}

var specObjectHelp = &Spec{
	Name: "object|help", Group: "generic", Arity: 2, Since: "6.2.0",
	Flags: ReadOnly | Loading | StaleOK, ACL: []string{"keyspace", "slow"},
	Summary: "Answers this overview.",
	Parse:   func(Args) (Op, error) { return helpOp{"object"}, nil },
}

// objectOp answers one question about the entry of a key.
type objectOp struct {
	key []byte
	ask func(*Ctx, *store.Entry) resp.Value
}

func (op objectOp) Run(ctx *Ctx) resp.Value {
	e := ctx.glance(op.key)
	if e == nil {
		return resp.Nil
	}
	return op.ask(ctx, e)
}

// maxEmbeddedBytes is the longest string that Redis allocates in one piece with
// its object header.
const maxEmbeddedBytes = 44

func objectEncoding(_ *Ctx, e *store.Entry) resp.Value {
	v := e.Bytes()
	if e.Raw() {
		return resp.BulkString("raw")
	}
	if _, ok := parseInt(v); ok {
		return resp.BulkString("int")
	}
	if len(v) <= maxEmbeddedBytes {
		return resp.BulkString("embstr")
	}
	return resp.BulkString("raw")
}

func objectRefcount(_ *Ctx, e *store.Entry) resp.Value {
	const shared = 1<<31 - 1
	if n, ok := parseInt(e.Bytes()); ok && !e.Raw() && n >= 0 && n < maxSharedInt {
		return resp.Int(shared)
	}
	return resp.One
}

// errAccessInLog: the access data of a key differs between replicas, and a reply
// from the log must not.
const errAccessInLog = resp.Error("ERR OBJECT FREQ and OBJECT IDLETIME are answered on their own, not in MULTI or between the writes of a pipeline")

func objectFreq(ctx *Ctx, e *store.Entry) resp.Value {
	if ctx.InLog {
		return errorReply(errAccessInLog)
	}
	if !ctx.Store.Options().Policy.LFU() {
		return errorReply(errNoLFU)
	}
	return resp.Int(int64(ctx.Store.Freq(e, ctx.Wall)))
}

func objectIdletime(ctx *Ctx, e *store.Entry) resp.Value {
	if ctx.InLog {
		return errorReply(errAccessInLog)
	}
	if ctx.Store.Options().Policy.LFU() {
		return errorReply(errLFU)
	}
	return resp.Int(e.IdleMillis(ctx.Wall) / secondMillis)
}

var specMemory = &Spec{
	Name: "memory", Group: "server", Arity: -2, Since: "4.0.0",
	ACL:     []string{"slow"},
	Summary: "Tells about memory.",
	Sub:     []*Spec{specMemoryUsage, specMemoryHelp},
}

var specMemoryUsage = &Spec{
	Name: "memory|usage", Group: "server", Arity: -3, Since: "4.0.0",
	Flags: ReadOnly, ACL: []string{"read", "slow"}, Keys: secondKey,
	Summary: "Answers the bytes that a key counts for against maxmemory.",
	Syntax:  "key [SAMPLES count]",
	Parse:   parseMemoryUsage,
}

var specMemoryHelp = &Spec{
	Name: "memory|help", Group: "server", Arity: 2, Since: "4.0.0",
	Flags: ReadOnly | Loading | StaleOK, ACL: []string{"slow"},
	Summary: "Answers this overview.",
	Parse:   func(Args) (Op, error) { return helpOp{"memory"}, nil },
}

func parseMemoryUsage(args Args) (Op, error) {
	for i := 3; i < len(args); i += 2 {
		if !isWord(args[i], "SAMPLES") || i+1 == len(args) {
			return nil, errSyntax
		}
		n, err := intArg(args[i+1])
		if err != nil {
			return nil, err
		}
		if n < 0 {
			return nil, errSyntax
		}
	}
	return objectOp{args[2], memoryUsage}, nil
}

func memoryUsage(_ *Ctx, e *store.Entry) resp.Value { return resp.Int(e.Size()) }

type helpOp struct{ container string }

func (op helpOp) Run(ctx *Ctx) resp.Value { return ctx.Table.Lookup([]byte(op.container)).Help() }
