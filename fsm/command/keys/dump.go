package keys

import (
	"errors"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/snapshot/rdb"
	"github.com/lockstepkv/lockstep/store"
)

const (
	errBusyKey     = resp.Error("BUSYKEY Target key name already exists.")
	errRestoreTTL  = resp.Error("ERR Invalid TTL value, must be >= 0")
	errRestoreIdle = resp.Error("ERR Invalid IDLETIME value, must be >= 0")
	errRestoreFreq = resp.Error("ERR Invalid FREQ value, must be >= 0 and <= 255")
	errTrailer     = resp.Error("ERR DUMP payload version or checksum are wrong")
	errBadFormat   = resp.Error("ERR Bad data format")
)

var specDump = &command.Spec{
	Name: "dump", Group: "generic", Arity: 2, Since: "2.6.0",
	Flags: command.ReadOnly, ACL: []string{"keyspace"}, Keys: command.OneKey(command.RO | command.Access),
	Summary: "Answers a value in the form that RESTORE takes, here or in Redis.",
	Args:    []command.Arg{command.Key("key")},
	Parse:   func(args command.Args) (command.Op, error) { return dumpOp{args[1]}, nil },
}

type dumpOp struct{ key []byte }

func (op dumpOp) Run(ctx *command.Ctx) resp.Value {
	e := ctx.Read(op.key)
	if e == nil {
		return resp.Nil
	}
	dump, err := rdb.AppendDump(make([]byte, 0, dumpSize(e)), e)
	if err != nil {
		return resp.Err("ERR " + err.Error())
	}
	return resp.Bulk(dump)
}

// dumpSize is about how long the dump of e is.
func dumpSize(e *store.Entry) int {
	const around = 32
	if e.Type() == store.String {
		return e.Len() + around
	}
	return int(e.Collection().Size()) + around
}

func (op dumpOp) ReplySize(ctx *command.Ctx) (bytes, values int) {
	e := ctx.Peek(op.key)
	if e == nil {
		return 0, 1
	}
	return command.ValueBytes + dumpSize(e), 1
}

var specRestore = &command.Spec{
	Name: "restore", Group: "generic", Arity: -4, Since: "2.6.0",
	Flags: command.Write | command.DenyOOM, ACL: []string{"keyspace", "dangerous"},
	Keys: command.OneKey(command.OW | command.Update),
	Summary: "Makes a key of what DUMP has answered, here or in Redis, with a lifetime in milliseconds, 0 for none. " +
		"ABSTTL: it is a Unix time.",
	Args: restoreOptions.After(command.Key("key"), command.Integer("ttl"), command.String("serialized-value")),
	Parse: func(args command.Args) (command.Op, error) {
		op := &restoreOp{key: args[1], ttl: args[2], dump: args[3], idle: -1, freq: -1}
		return op, restoreOptions.Parse(args[4:], op)
	},
}

type restoreOp struct {
	key, ttl, dump  []byte
	replace, absTTL bool
	idle            int64 // in seconds; -1: not given
	freq            int64 // -1: not given
	both            bool
}

// restoreOptions: only one of IDLETIME and FREQ may come, but any as often as one likes.
var restoreOptions = command.NewOptions(
	command.Word("REPLACE", func(op *restoreOp) { op.replace = true }),
	command.Word("ABSTTL", func(op *restoreOp) { op.absTTL = true }),
	command.Value("IDLETIME", command.Integer("seconds"), func(op *restoreOp, value []byte) (err error) {
		if op.both = op.both || op.freq >= 0; op.both { // whatever the value is
			return nil
		}
		if op.idle, err = command.IntArg(value); err == nil && op.idle < 0 {
			err = errRestoreIdle
		}
		return err
	}),
	command.Value("FREQ", command.Integer("frequency"), func(op *restoreOp, value []byte) (err error) {
		if op.both = op.both || op.idle >= 0; op.both {
			return nil
		}
		if op.freq, err = command.IntArg(value); err == nil && (op.freq < 0 || op.freq > 255) {
			err = errRestoreFreq
		}
		return err
	}),
)

func (op *restoreOp) Run(ctx *command.Ctx) resp.Value {
	if op.both {
		return resp.ErrorReply(command.ErrSyntax)
	}
	if !op.replace && ctx.Lookup(op.key) != nil {
		return resp.ErrorReply(errBusyKey)
	}
	at, err := command.IntArg(op.ttl)
	switch {
	case err != nil:
		return resp.ErrorReply(err)
	case at < 0:
		return resp.ErrorReply(errRestoreTTL)
	case at > 0 && !op.absTTL:
		at += ctx.Now // it may wrap, as in Redis: the time is up
	}
	it, err := rdb.ReadDump(op.dump, ctx.Limits, ctx.MaxValueBytes())
	if err != nil {
		return resp.ErrorReply(refusedDump(err))
	}
	if at != 0 && at <= ctx.Now {
		ctx.Remove(op.key)
		return resp.OK
	}
	var e *store.Entry
	if it.Collection != nil {
		e = ctx.PutCollection(op.key, it.Collection, at)
	} else {
		e = ctx.Put(op.key, it.Value, at, false)
	}
	if a, ok := op.access(ctx); ok {
		ctx.Store.SetAccess(e, a)
	}
	return resp.OK
}

// refusedDump is what is answered to a dump that cannot be read.
func refusedDump(err error) error {
	switch {
	case errors.Is(err, rdb.ErrTrailer):
		return errTrailer
	case errors.Is(err, rdb.ErrTooLarge):
		return command.ErrTooLong
	}
	return errBadFormat
}

// access is what IDLETIME or FREQ say of the key, if that fits this node's policy.
func (op *restoreOp) access(ctx *command.Ctx) (a store.Access, ok bool) {
	const newFreq, longest = 5, 1 << 40
	lfu := ctx.Store.Options().Policy.LFU()
	switch {
	case lfu && op.freq >= 0:
		return store.Access{LastMillis: ctx.Now, Freq: uint8(op.freq)}, true
	case !lfu && op.idle >= 0:
		last := ctx.Now - min(op.idle, longest)*command.SecondMillis
		return store.Access{LastMillis: max(last, 0), Freq: newFreq}, true
	}
	return a, false
}
