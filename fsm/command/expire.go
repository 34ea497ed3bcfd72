package command

import (
	"math"

	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

func expirySpecs() []*Spec {
	return []*Spec{
		specExpire, specPExpire, specExpireAt, specPExpireAt, specPersist,
		specTTL, specPTTL, specExpireTime, specPExpireTime,
	}
}

const secondMillis = 1000

// expiry is the argument of EX, PX, EXAT or PXAT.
type expiry struct {
	arg      []byte
	unit     int64 // milliseconds
	absolute bool
}

func (x expiry) sameKind(y expiry) bool { return x.unit == y.unit && x.absolute == y.absolute }

func expiryWord(w []byte) (expiry, bool) {
	switch {
	case isWord(w, "EX"):
		return expiry{unit: secondMillis}, true
	case isWord(w, "PX"):
		return expiry{unit: 1}, true
	case isWord(w, "EXAT"):
		return expiry{unit: secondMillis, absolute: true}, true
	case isWord(w, "PXAT"):
		return expiry{unit: 1, absolute: true}, true
	}
	return expiry{}, false
}

// at returns the Unix time in milliseconds that x stands for at now. Unlike
// EXPIRE, the options of SET and GETEX take no zero and nothing negative.
func (x expiry) at(now int64, command string) (int64, error) {
	n, err := intArg(x.arg)
	if err != nil {
		return 0, err
	}
	if n <= 0 || n > math.MaxInt64/x.unit {
		return 0, errExpire(command)
	}
	n *= x.unit
	if x.absolute {
		return n, nil
	}
	if addOverflows(n, now) {
		return 0, errExpire(command)
	}
	return n + now, nil
}

// expireAt gives e a time to expire, or deletes it when that has come.
func expireAt(ctx *Ctx, e *store.Entry, at int64) {
	if at <= ctx.Now {
		ctx.Store.Delete(e)
		return
	}
	ctx.Store.SetExpireAt(e, at)
}

var specExpire = &Spec{
	Name: "expire", Group: "generic", Arity: -3, Since: "1.0.0",
	Flags: Write | Frees | Fast, ACL: []string{"keyspace", "write", "fast"}, Keys: oneKey,
	Summary: "Gives a key a lifetime in seconds; answers 1, or 0 when there is no key or the condition forbids it.",
	Syntax:  "key seconds [NX | XX | GT | LT]",
	Parse:   func(args Args) (Op, error) { return parseExpire("expire", args, secondMillis, false) },
}

var specPExpire = &Spec{
	Name: "pexpire", Group: "generic", Arity: -3, Since: "2.6.0",
	Flags: Write | Frees | Fast, ACL: []string{"keyspace", "write", "fast"}, Keys: oneKey,
	Summary: "Gives a key a lifetime in milliseconds.",
	Syntax:  "key milliseconds [NX | XX | GT | LT]",
	Parse:   func(args Args) (Op, error) { return parseExpire("pexpire", args, 1, false) },
}

var specExpireAt = &Spec{
	Name: "expireat", Group: "generic", Arity: -3, Since: "1.2.0",
	Flags: Write | Frees | Fast, ACL: []string{"keyspace", "write", "fast"}, Keys: oneKey,
	Summary: "Lets a key expire at a Unix time in seconds.",
	Syntax:  "key unix-seconds [NX | XX | GT | LT]",
	Parse:   func(args Args) (Op, error) { return parseExpire("expireat", args, secondMillis, true) },
}

var specPExpireAt = &Spec{
	Name: "pexpireat", Group: "generic", Arity: -3, Since: "2.6.0",
	Flags: Write | Frees | Fast, ACL: []string{"keyspace", "write", "fast"}, Keys: oneKey,
	Summary: "Lets a key expire at a Unix time in milliseconds.",
	Syntax:  "key unix-milliseconds [NX | XX | GT | LT]",
	Parse:   func(args Args) (Op, error) { return parseExpire("pexpireat", args, 1, true) },
}

type expireOp struct {
	name           string
	key            []byte
	when           int64 // milliseconds
	absolute       bool
	nx, xx, gt, lt bool
}

func parseExpire(name string, args Args, unit int64, absolute bool) (Op, error) {
	op := &expireOp{name: name, key: args[1], absolute: absolute}
	if err := op.conditions(args[3:]); err != nil {
		return nil, err
	}
	n, err := intArg(args[2])
	if err != nil {
		return nil, err
	}
	if n > math.MaxInt64/unit || n < math.MinInt64/unit {
		return nil, errExpire(name)
	}
	op.when = n * unit
	return op, nil
}

func (op *expireOp) conditions(words Args) error {
	for _, w := range words {
		switch {
		case isWord(w, "NX"):
			op.nx = true
		case isWord(w, "XX"):
			op.xx = true
		case isWord(w, "GT"):
			op.gt = true
		case isWord(w, "LT"):
			op.lt = true
		default:
			return resp.Error("ERR Unsupported option " + quotable(w, len(w)))
		}
	}
	if op.nx && (op.xx || op.gt || op.lt) {
		return errExpireNX
	}
	if op.gt && op.lt {
		return errExpireGTLT
	}
	return nil
}

func (op *expireOp) Run(ctx *Ctx) resp.Value {
	at := op.when
	if !op.absolute {
		if at > math.MaxInt64-ctx.Now {
			return errorReply(errExpire(op.name))
		}
		at += ctx.Now
	}
	e := ctx.Lookup(op.key)
	if e == nil || !op.allowed(e.ExpireAt(), at) {
		return resp.Zero
	}
	expireAt(ctx, e, at)
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

var specPersist = &Spec{
	Name: "persist", Group: "generic", Arity: 2, Since: "2.2.0",
	Flags: Write | Fast, ACL: []string{"keyspace", "write", "fast"}, Keys: oneKey,
	Summary: "Removes a key's lifetime; answers 1, or 0 when it has none.",
	Syntax:  "key",
	Parse:   func(args Args) (Op, error) { return persistOp{args[1]}, nil },
}

type persistOp struct{ key []byte }

func (op persistOp) Run(ctx *Ctx) resp.Value {
	e := ctx.Lookup(op.key)
	if e == nil || e.ExpireAt() == 0 {
		return resp.Zero
	}
	ctx.Store.SetExpireAt(e, 0)
	return resp.One
}

var specTTL = &Spec{
	Name: "ttl", Group: "generic", Arity: 2, Since: "1.0.0",
	Flags: ReadOnly | Fast, ACL: []string{"keyspace", "read", "fast"}, Keys: oneKey,
	Summary: "Answers a key's remaining lifetime in seconds, -1 without one, -2 without the key.",
	Syntax:  "key",
	Parse:   func(args Args) (Op, error) { return ttlOp{args[1], secondMillis, false}, nil },
}

var specPTTL = &Spec{
	Name: "pttl", Group: "generic", Arity: 2, Since: "2.6.0",
	Flags: ReadOnly | Fast, ACL: []string{"keyspace", "read", "fast"}, Keys: oneKey,
	Summary: "Answers a key's remaining lifetime in milliseconds, -1 without one, -2 without the key.",
	Syntax:  "key",
	Parse:   func(args Args) (Op, error) { return ttlOp{args[1], 1, false}, nil },
}

var specExpireTime = &Spec{
	Name: "expiretime", Group: "generic", Arity: 2, Since: "7.0.0",
	Flags: ReadOnly | Fast, ACL: []string{"keyspace", "read", "fast"}, Keys: oneKey,
	Summary: "Answers the Unix time in seconds at which a key expires, -1 or -2 as TTL.",
	Syntax:  "key",
	Parse:   func(args Args) (Op, error) { return ttlOp{args[1], secondMillis, true}, nil },
}

var specPExpireTime = &Spec{
	Name: "pexpiretime", Group: "generic", Arity: 2, Since: "7.0.0",
	Flags: ReadOnly | Fast, ACL: []string{"keyspace", "read", "fast"}, Keys: oneKey,
	Summary: "Answers the Unix time in milliseconds at which a key expires, -1 or -2 as TTL.",
	Syntax:  "key",
	Parse:   func(args Args) (Op, error) { return ttlOp{args[1], 1, true}, nil },
}

type ttlOp struct {
	key      []byte
	unit     int64
	absolute bool
}

func (op ttlOp) Run(ctx *Ctx) resp.Value {
	e := ctx.glance(op.key)
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
	return millis/secondMillis + (millis%secondMillis+secondMillis/2)/secondMillis
}
