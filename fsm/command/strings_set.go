package command

import (
	"bytes"

	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

var specSet = &Spec{
	Name: "set", Group: "string", Arity: -3, Since: "1.0.0",
	Flags: Write | DenyOOM, ACL: []string{"write", "string", "slow"}, Keys: oneKey,
	Summary: "Stores a string under a key, whatever was there before.",
	Syntax:  "key value [NX | XX | IFEQ comparison-value] [GET] [EX seconds | PX milliseconds | EXAT unix-seconds | PXAT unix-milliseconds | KEEPTTL]",
	Parse:   parseSet,
}

var specSetNX = &Spec{
	Name: "setnx", Group: "string", Arity: 3, Since: "1.0.0",
	Flags: Write | DenyOOM | Fast, ACL: []string{"write", "string", "fast"}, Keys: oneKey,
	Summary: "Stores a string under a key that does not exist yet; answers 1 or 0.",
	Syntax:  "key value",
	Parse: func(args Args) (Op, error) {
		return &setOp{key: args[1], value: args[2], setOptions: setOptions{nx: true}, counts: true}, nil
	},
}

var specSetEX = &Spec{
	Name: "setex", Group: "string", Arity: 4, Since: "2.0.0",
	Flags: Write | DenyOOM, ACL: []string{"write", "string", "slow"}, Keys: oneKey,
	Summary: "Stores a string with a lifetime in seconds.",
	Syntax:  "key seconds value",
	Parse:   func(args Args) (Op, error) { return parseSetEX("setex", args, expiry{unit: secondMillis}) },
}

var specPSetEX = &Spec{
	Name: "psetex", Group: "string", Arity: 4, Since: "2.6.0",
	Flags: Write | DenyOOM, ACL: []string{"write", "string", "slow"}, Keys: oneKey,
	Summary: "Stores a string with a lifetime in milliseconds.",
	Syntax:  "key milliseconds value",
	Parse:   func(args Args) (Op, error) { return parseSetEX("psetex", args, expiry{unit: 1}) },
}

var specGetSet = &Spec{
	Name: "getset", Group: "string", Arity: 3, Since: "1.0.0",
	Flags: Write | DenyOOM | Fast, ACL: []string{"write", "string", "fast"}, Keys: oneKey,
	Summary: "Stores a string and answers the one it replaced. SET with GET does the same.",
	Syntax:  "key value",
	Parse: func(args Args) (Op, error) {
		return &setOp{key: args[1], value: args[2], setOptions: setOptions{get: true}}, nil
	},
}

// setOptions are the words after key and value of SET, or after the key of GETEX.
type setOptions struct {
	nx, xx, get, keepTTL, persist bool
	hasIfEq                       bool
	ifEq                          []byte // what the key must hold; from Valkey 8.1
	hasExpiry                     bool
	expiry                        expiry
}

// setOp is SET and its older siblings.
type setOp struct {
	key, value []byte
	setOptions
	name   string // for error words
	counts bool   // replies 1 or 0, not OK or nil
}

func parseSet(args Args) (Op, error) {
	if len(args) == 3 {
		return plainSetOp{args[1], args[2]}, nil
	}
	op := &setOp{key: args[1], value: args[2], name: "set"}
	if err := op.setOptions.parse(args[3:], true); err != nil {
		return nil, err
	}
	return op, nil
}

func parseSetEX(name string, args Args, x expiry) (Op, error) {
	x.arg = args[2]
	return &setOp{
		key: args[1], value: args[3], name: name,
		setOptions: setOptions{hasExpiry: true, expiry: x},
	}, nil
}

// parse reads options as Redis does, which lets a word come twice: the last counts.
func (o *setOptions) parse(words Args, isSet bool) error {
	for i := 0; i < len(words); i++ {
		w := words[i]
		switch {
		case isSet && isWord(w, "NX") && !o.xx && !o.hasIfEq:
			o.nx = true
		case isSet && isWord(w, "XX") && !o.nx && !o.hasIfEq:
			o.xx = true
		case isSet && isWord(w, "IFEQ") && !o.nx && !o.xx && !o.hasIfEq && i+1 < len(words):
			i++
			o.hasIfEq, o.ifEq = true, words[i]
		case isSet && isWord(w, "GET"):
			o.get = true
		case isSet && isWord(w, "KEEPTTL") && !o.hasExpiry:
			o.keepTTL = true
		case !isSet && isWord(w, "PERSIST") && !o.hasExpiry:
			o.persist = true
		default:
			x, ok := expiryWord(w)
			if !ok || i+1 == len(words) || o.keepTTL || o.persist || o.hasExpiry && !x.sameKind(o.expiry) {
				return errSyntax
			}
			i++
			x.arg = words[i]
			o.hasExpiry, o.expiry = true, x
		}
	}
	return nil
}

func (op *setOp) Run(ctx *Ctx) resp.Value {
	var at int64
	if op.hasExpiry {
		var err error
		if at, err = op.expiry.at(ctx.Now, op.name); err != nil {
			return errorReply(err)
		}
	}
	old := ctx.Lookup(op.key)
	done := !(op.nx && old != nil || op.xx && old == nil || op.hasIfEq && !holds(old, op.ifEq))
	reply := op.reply(done)
	if op.get {
		reply = valueOrNil(ctx.count(old))
	}
	if !done {
		return reply
	}
	if op.keepTTL && old != nil {
		at = old.ExpireAt()
	}
	put(ctx, op.key, op.value, at)
	return reply
}

func (op *setOp) reply(done bool) resp.Value {
	switch {
	case op.counts:
		return boolReply(done)
	case done:
		return resp.OK
	}
	return resp.Nil
}

// plainSetOp is SET without options, the most frequent write.
type plainSetOp struct{ key, value []byte }

func (op plainSetOp) Run(ctx *Ctx) resp.Value {
	ctx.Store.Put(op.key, op.value, 0, false)
	return resp.OK
}

// holds reports whether e, nil for absent, is the string want.
func holds(e *store.Entry, want []byte) bool { return e != nil && bytes.Equal(e.Bytes(), want) }

// put stores a value that a client sent, unless its time is up already: then
// the key is gone, as if it had been stored and had expired at once.
func put(ctx *Ctx, key, value []byte, expireAt int64) {
	if expireAt != 0 && expireAt <= ctx.Now {
		remove(ctx, key)
		return
	}
	ctx.Store.Put(key, value, expireAt, false)
}

// remove drops whatever is stored under key, live or not.
func remove(ctx *Ctx, key []byte) {
	if e := ctx.Store.Get(key); e != nil {
		ctx.Store.Delete(e)
	}
}

// valueOrNil replies with e's value; nil stands for an absent key.
func valueOrNil(e *store.Entry) resp.Value {
	if e == nil {
		return resp.Nil
	}
	return resp.Bulk(e.Bytes())
}

var specMSet = &Spec{
	Name: "mset", Group: "string", Arity: -3, Since: "1.0.1",
	Flags: Write | DenyOOM, ACL: []string{"write", "string", "slow"}, Keys: KeyRange{First: 1, Last: -1, Step: 2},
	Summary: "Stores several strings in one step.",
	Syntax:  "key value [key value ...]",
	Parse:   func(args Args) (Op, error) { return parseMSet("mset", args, false) },
}

var specMSetNX = &Spec{
	Name: "msetnx", Group: "string", Arity: -3, Since: "1.0.1",
	Flags: Write | DenyOOM, ACL: []string{"write", "string", "slow"}, Keys: KeyRange{First: 1, Last: -1, Step: 2},
	Summary: "Stores several strings in one step if none of the keys exists; answers 1 or 0.",
	Syntax:  "key value [key value ...]",
	Parse:   func(args Args) (Op, error) { return parseMSet("msetnx", args, true) },
}

type msetOp struct {
	pairs Args
	nx    bool
}

func parseMSet(name string, args Args, nx bool) (Op, error) {
	if len(args)%2 == 0 {
		return nil, resp.Error("ERR wrong number of arguments for '" + name + "' command")
	}
	return msetOp{pairs: args[1:], nx: nx}, nil
}

func (op msetOp) Run(ctx *Ctx) resp.Value {
	if op.nx {
		for i := 0; i < len(op.pairs); i += 2 {
			if ctx.Lookup(op.pairs[i]) != nil {
				return resp.Zero
			}
		}
	}
	for i := 0; i < len(op.pairs); i += 2 {
		ctx.Store.Put(op.pairs[i], op.pairs[i+1], 0, false)
	}
	if op.nx {
		return resp.One
	}
	return resp.OK
}
