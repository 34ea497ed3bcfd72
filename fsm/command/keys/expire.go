package keys

import (
	"math"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

const (
	errExpireNX   = resp.Error("ERR NX and XX, GT or LT options at the same time are not compatible")
	errExpireGTLT = resp.Error("ERR GT and LT options at the same time are not compatible")
)

var specExpire = &command.Spec{
	Name: "expire", Group: "generic", Arity: -3, Since: "1.0.0",
	Flags: command.Write | command.Frees | command.Fast, ACL: []string{"keyspace"}, Keys: command.OneKey(command.RW | command.Update),
	Summary: "Gives a key a lifetime in seconds; answers 1, or 0 when there is no key or the condition forbids it.",
	Args:    expireOptions.After(command.Key("key"), command.Integer("seconds")),
	Parse: func(args command.Args) (command.Op, error) {
		return parseExpire("expire", args, command.SecondMillis, false)
	},
}

var specPExpire = &command.Spec{
	Name: "pexpire", Group: "generic", Arity: -3, Since: "2.6.0",
	Flags: command.Write | command.Frees | command.Fast, ACL: []string{"keyspace"}, Keys: command.OneKey(command.RW | command.Update),
	Summary: "Gives a key a lifetime in milliseconds.",
	Args:    expireOptions.After(command.Key("key"), command.Integer("milliseconds")),
	Parse:   func(args command.Args) (command.Op, error) { return parseExpire("pexpire", args, 1, false) },
}

var specExpireAt = &command.Spec{
	Name: "expireat", Group: "generic", Arity: -3, Since: "1.2.0",
	Flags: command.Write | command.Frees | command.Fast, ACL: []string{"keyspace"}, Keys: command.OneKey(command.RW | command.Update),
	Summary: "Lets a key expire at a Unix time in seconds.",
	Args:    expireOptions.After(command.Key("key"), command.UnixTime("unix-time-seconds").As("unix-seconds")),
	Parse: func(args command.Args) (command.Op, error) {
		return parseExpire("expireat", args, command.SecondMillis, true)
	},
}

var specPExpireAt = &command.Spec{
	Name: "pexpireat", Group: "generic", Arity: -3, Since: "2.6.0",
	Flags: command.Write | command.Frees | command.Fast, ACL: []string{"keyspace"}, Keys: command.OneKey(command.RW | command.Update),
	Summary: "Lets a key expire at a Unix time in milliseconds.",
	Args:    expireOptions.After(command.Key("key"), command.UnixTime("unix-time-milliseconds").As("unix-milliseconds")),
	Parse:   func(args command.Args) (command.Op, error) { return parseExpire("pexpireat", args, 1, true) },
}

type expireOp struct {
	name           string
	key            []byte
	when           int64 // milliseconds
	absolute       bool
	nx, xx, gt, lt bool
}

// expireOptions may come together: conflicts have error words of their own.
var expireOptions = command.NewOptions(command.Choice("condition",
	command.Word("NX", func(op *expireOp) { op.nx = true }),
	command.Word("XX", func(op *expireOp) { op.xx = true }),
	command.Word("GT", func(op *expireOp) { op.gt = true }),
	command.Word("LT", func(op *expireOp) { op.lt = true }),
).Together()).Unknown(func(word []byte) error {
	return resp.Error("ERR Unsupported option " + command.Quotable(word, len(word)))
})

func parseExpire(name string, args command.Args, unit int64, absolute bool) (command.Op, error) {
	op := &expireOp{name: name, key: args[1], absolute: absolute}
	if err := expireOptions.Parse(args[3:], op); err != nil {
		return nil, err
	}
	switch {
	case op.nx && (op.xx || op.gt || op.lt):
		return nil, errExpireNX
	case op.gt && op.lt:
		return nil, errExpireGTLT
	}
	n, err := command.IntArg(args[2])
	if err != nil {
		return nil, err
	}
	if n > math.MaxInt64/unit || n < math.MinInt64/unit {
		return nil, command.ErrLifetime(name)
	}
	op.when = n * unit
	return op, nil
}

func (op *expireOp) Run(ctx *command.Ctx) resp.Value {
	at := op.when
	if !op.absolute {
		if at > math.MaxInt64-ctx.Now {
			return resp.ErrorReply(command.ErrLifetime(op.name))
		}
		at += ctx.Now
	}
	e := ctx.Lookup(op.key)
	if e == nil || !op.allowed(e.ExpireAt(), at) {
		return resp.Zero
	}
	ctx.ExpireAt(e, at)
	return resp.One
}

// allowed judges the conditions; a key that never expires (old 0) counts as one
// that expires after any time.
func (op *expireOp) allowed(old, at int64) bool {
	switch {
	case op.nx && old != 0,
		op.xx && old == 0,
		op.gt && (old == 0 || at <= old),
		op.lt && old != 0 && at >= old:
		return false
	}
	return true
}

var specPersist = &command.Spec{
	Name: "persist", Group: "generic", Arity: 2, Since: "2.2.0",
	Flags: command.Write | command.Fast, ACL: []string{"keyspace"}, Keys: command.OneKey(command.RW | command.Update),
	Summary: "Removes a key's lifetime; answers 1, or 0 when it has none.",
	Args:    []command.Arg{command.Key("key")},
	Parse:   func(args command.Args) (command.Op, error) { return persistOp{args[1]}, nil },
}

type persistOp struct{ key []byte }

func (op persistOp) Run(ctx *command.Ctx) resp.Value {
	e := ctx.Lookup(op.key)
	if e == nil || e.ExpireAt() == 0 {
		return resp.Zero
	}
	ctx.SetExpireAt(e, 0)
	return resp.One
}

var specTTL = &command.Spec{
	Name: "ttl", Group: "generic", Arity: 2, Since: "1.0.0",
	Flags: command.ReadOnly | command.Fast, ACL: []string{"keyspace"}, Keys: command.OneKey(command.RO | command.Access),
	Summary: "Answers a key's remaining lifetime in seconds, -1 without one, -2 without the key.",
	Args:    []command.Arg{command.Key("key")},
	Parse:   func(args command.Args) (command.Op, error) { return ttlOp{args[1], command.SecondMillis, false}, nil },
}

var specPTTL = &command.Spec{
	Name: "pttl", Group: "generic", Arity: 2, Since: "2.6.0",
	Flags: command.ReadOnly | command.Fast, ACL: []string{"keyspace"}, Keys: command.OneKey(command.RO | command.Access),
	Summary: "Answers a key's remaining lifetime in milliseconds, -1 without one, -2 without the key.",
	Args:    []command.Arg{command.Key("key")},
	Parse:   func(args command.Args) (command.Op, error) { return ttlOp{args[1], 1, false}, nil },
}

var specExpireTime = &command.Spec{
	Name: "expiretime", Group: "generic", Arity: 2, Since: "7.0.0",
	Flags: command.ReadOnly | command.Fast, ACL: []string{"keyspace"}, Keys: command.OneKey(command.RO | command.Access),
	Summary: "Answers the Unix time in seconds at which a key expires, -1 or -2 as TTL.",
	Args:    []command.Arg{command.Key("key")},
	Parse:   func(args command.Args) (command.Op, error) { return ttlOp{args[1], command.SecondMillis, true}, nil },
}

var specPExpireTime = &command.Spec{
	Name: "pexpiretime", Group: "generic", Arity: 2, Since: "7.0.0",
	Flags: command.ReadOnly | command.Fast, ACL: []string{"keyspace"}, Keys: command.OneKey(command.RO | command.Access),
	Summary: "Answers the Unix time in milliseconds at which a key expires, -1 or -2 as TTL.",
	Args:    []command.Arg{command.Key("key")},
	Parse:   func(args command.Args) (command.Op, error) { return ttlOp{args[1], 1, true}, nil },
}

type ttlOp struct {
	key      []byte
	unit     int64
	absolute bool
}

func (op ttlOp) Run(ctx *command.Ctx) resp.Value {
	e := ctx.Glance(op.key)
	if e == nil {
		return resp.Int(-2)
	}
	at := e.ExpireAt()
	if at == 0 {
		return resp.Int(-1)
	}
	if !op.absolute {
		at = max(at-ctx.Wall, 0)
	}
	if op.unit == 1 {
		return resp.Int(at)
	}
	return resp.Int(roundToSeconds(at))
}

// roundToSeconds rounds half a second up, without overflow near the end of time.
func roundToSeconds(millis int64) int64 {
	return millis/command.SecondMillis + (millis%command.SecondMillis+command.SecondMillis/2)/command.SecondMillis
}
