package keys

import (
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

const (
	errNoLFU = resp.Error("ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.")
	errLFU   = resp.Error("ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.")
)

var specObject = &command.Spec{
	Name: "object", Group: "generic", Arity: -2, Since: "2.2.3",
	Summary: "Tells how a value is kept.",
	Sub:     []*command.Spec{specObjectEncoding, specObjectFreq, specObjectIdletime, specObjectRefcount, specObjectHelp},
}

var specObjectEncoding = &command.Spec{
	Name: "object|encoding", Group: "generic", Arity: 3, Since: "2.2.3",
	Flags: command.ReadOnly, ACL: []string{"keyspace"}, Keys: command.SecondKey(command.RO),
	Summary: "Answers the encoding that Redis would keep a value in: int, embstr, raw, listpack, quicklist, intset, hashtable, skiplist.",
	Args:    []command.Arg{command.Key("key")},
	Parse:   func(args command.Args) (command.Op, error) { return objectOp{args[2], objectEncoding}, nil },
}

var specObjectFreq = &command.Spec{
	Name: "object|freq", Group: "generic", Arity: 3, Since: "4.0.0",
	Flags: command.ReadOnly, ACL: []string{"keyspace"}, Keys: command.SecondKey(command.RO),
	Summary: "Answers the logarithmic access counter of a key on this node, under an LFU policy; not in MULTI.",
	Args:    []command.Arg{command.Key("key")},
	Parse:   func(args command.Args) (command.Op, error) { return objectOp{args[2], objectFreq}, nil },
}

var specObjectIdletime = &command.Spec{
	Name: "object|idletime", Group: "generic", Arity: 3, Since: "2.2.3",
	Flags: command.ReadOnly, ACL: []string{"keyspace"}, Keys: command.SecondKey(command.RO),
	Summary: "Answers the seconds since a key was last used on this node, except under an LFU policy; not in MULTI.",
	Args:    []command.Arg{command.Key("key")},
	Parse:   func(args command.Args) (command.Op, error) { return objectOp{args[2], objectIdletime}, nil },
}

var specObjectRefcount = &command.Spec{
	Name: "object|refcount", Group: "generic", Arity: 3, Since: "2.2.3",
	Flags: command.ReadOnly, ACL: []string{"keyspace"}, Keys: command.SecondKey(command.RO),
	Summary: "Answers the reference count that Redis would give: that of a shared object for small integers, else 1.",
	Args:    []command.Arg{command.Key("key")},
	Parse:   func(args command.Args) (command.Op, error) { return objectOp{args[2], objectRefcount}, nil },
}

var specObjectHelp = &command.Spec{
	Name: "object|help", Group: "generic", Arity: 2, Since: "6.2.0",
	Flags: command.ReadOnly | command.Loading | command.StaleOK | command.Help, ACL: []string{"keyspace"},
	Summary: "Answers this overview.",
	Parse:   func(command.Args) (command.Op, error) { return helpOp{"object"}, nil },
}

// objectOp answers one question about the entry of a key.
type objectOp struct {
	key []byte
	ask func(*command.Ctx, *store.Entry) resp.Value
}

func (op objectOp) Run(ctx *command.Ctx) resp.Value {
	e := ctx.Glance(op.key)
	if e == nil {
		return resp.Nil
	}
	return op.ask(ctx, e)
}

// maxEmbeddedBytes is the longest string that Redis allocates in one piece with
// its object header.
const maxEmbeddedBytes = 44

func objectEncoding(_ *command.Ctx, e *store.Entry) resp.Value {
	if c := e.Collection(); c != nil {
		return resp.BulkString(c.Encoding())
	}
	v := e.Look()
	if e.Raw() {
		return resp.BulkString("raw")
	}
	if _, ok := command.ParseInt(v); ok {
		return resp.BulkString("int")
	}
	if len(v) <= maxEmbeddedBytes {
		return resp.BulkString("embstr")
	}
	return resp.BulkString("raw")
}

// maxSharedInt bounds the small integers that Redis keeps shared objects of.
const maxSharedInt = 10000

func objectRefcount(_ *command.Ctx, e *store.Entry) resp.Value {
	const shared = 1<<31 - 1
	if e.Type() != store.String {
		return resp.One
	}
	if n, ok := command.ParseInt(e.Look()); ok && !e.Raw() && n >= 0 && n < maxSharedInt {
		return resp.Int(shared)
	}
	return resp.One
}

// errAccessInLog: the access data of a key differs between replicas, and a reply
// from the log must not.
const errAccessInLog = resp.Error("ERR OBJECT FREQ and OBJECT IDLETIME are answered on their own, not in MULTI or between the writes of a pipeline")

func objectFreq(ctx *command.Ctx, e *store.Entry) resp.Value {
	if ctx.InLog {
		return resp.ErrorReply(errAccessInLog)
	}
	if !ctx.Store.Options().Policy.LFU() {
		return resp.ErrorReply(errNoLFU)
	}
	return resp.Int(int64(ctx.Store.Freq(e, ctx.Wall)))
}

func objectIdletime(ctx *command.Ctx, e *store.Entry) resp.Value {
	if ctx.InLog {
		return resp.ErrorReply(errAccessInLog)
	}
	if ctx.Store.Options().Policy.LFU() {
		return resp.ErrorReply(errLFU)
	}
	return resp.Int(e.IdleMillis(ctx.Wall) / command.SecondMillis)
}

var specMemory = &command.Spec{
	Name: "memory", Group: "server", Arity: -2, Since: "4.0.0",
	Summary: "Tells about memory.",
	Sub:     []*command.Spec{specMemoryUsage, specMemoryHelp},
}

var specMemoryUsage = &command.Spec{
	Name: "memory|usage", Group: "server", Arity: -3, Since: "4.0.0",
	Flags: command.ReadOnly, Keys: command.SecondKey(command.RO),
	Summary: "Answers the bytes that a key counts for against maxmemory.",
	Args:    memoryUsageOptions.After(command.Key("key")),
	Parse:   parseMemoryUsage,
}

var specMemoryHelp = &command.Spec{
	Name: "memory|help", Group: "server", Arity: 2, Since: "4.0.0",
	Flags:   command.ReadOnly | command.Loading | command.StaleOK | command.Help,
	Summary: "Answers this overview.",
	Parse:   func(command.Args) (command.Op, error) { return helpOp{"memory"}, nil },
}

var memoryUsageOptions = command.NewOptions(
	command.Number("SAMPLES", command.Integer("count"), func(_ *objectOp, n int64) error {
		if n < 0 {
			return command.ErrSyntax
		}
		return nil
	}),
)

func parseMemoryUsage(args command.Args) (command.Op, error) {
	op := objectOp{args[2], memoryUsage}
	return op, memoryUsageOptions.Parse(args[3:], &op)
}

func memoryUsage(_ *command.Ctx, e *store.Entry) resp.Value { return resp.Int(e.Size()) }

type helpOp struct{ container string }

func (op helpOp) Run(ctx *command.Ctx) resp.Value {
	return ctx.Table.Lookup([]byte(op.container)).Help()
}
