package command

import (
	"strconv"

	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

// The commands here concern the whole keyspace. Each runs on one shard's store;
// the router asks every shard and merges.

var specKeys = &Spec{
	Name: "keys", Group: "generic", Arity: 2, Since: "1.0.0",
	Flags: ReadOnly | AllShards, ACL: []string{"keyspace", "read", "slow", "dangerous"},
	Summary: "Answers all keys that match a glob pattern.",
	Syntax:  "pattern",
	Parse:   parseKeys,
}

type keysOp struct{ pattern *glob }

func parseKeys(args Args) (Op, error) {
	pattern, err := newGlob(args[1])
	if err != nil {
		return nil, err
	}
	return keysOp{pattern}, nil
}

func (op keysOp) Run(ctx *Ctx) resp.Value {
	var keys []resp.Value
	pattern, room := op.pattern.start(), ctx.replyRoom()
	ctx.Store.Each(func(e *store.Entry) bool {
		key := e.Key()
		if pattern.match(key) && ctx.Live(e) {
			room -= valueBytes + len(key)
			keys = append(keys, resp.BulkString(key))
		}
		return room >= 0 && !pattern.slow
	})
	switch {
	case pattern.slow:
		return errorReply(errGlobTooSlow)
	case room < 0:
		return replyTooLarge
	}
	return resp.Array(keys...)
}

var specScan = &Spec{
	Name: "scan", Group: "generic", Arity: -2, Since: "2.8.0",
	Flags: ReadOnly | AllShards, ACL: []string{"keyspace", "read", "slow"},
	Summary: "Walks the keys step by step: answers the next cursor, 0 at the end, and some keys. A key that exists all the time is seen.",
	Syntax:  "cursor [MATCH pattern] [COUNT count] [TYPE type]",
	Parse:   parseScan,
}

// maxScanCount bounds the work of one SCAN call, which holds up writers.
const maxScanCount = 1 << 20

type scanOp struct {
	cursor   uint64
	pattern  *glob
	count    int
	typeName []byte // nil means any
}

func parseScan(args Args) (Op, error) {
	cursor, ok := parseCursor(args[1])
	if !ok {
		return nil, errCursor
	}
	op := &scanOp{cursor: cursor, count: 10, pattern: globAll}
	var err error
	for i := 2; i < len(args); i += 2 {
		switch {
		case i+1 == len(args):
			return nil, errSyntax
		case isWord(args[i], "MATCH"):
			if op.pattern, err = newGlob(args[i+1]); err != nil {
				return nil, err
			}
		case isWord(args[i], "TYPE"):
			op.typeName = args[i+1]
		case isWord(args[i], "COUNT"):
			n, err := intArg(args[i+1])
			if err != nil {
				return nil, err
			}
			if n < 1 {
				return nil, errSyntax
			}
			op.count = int(min(n, maxScanCount))
		default:
			return nil, errSyntax
		}
	}
	return op, nil
}

// parseCursor reads a cursor as C's strtoul does, on which Redis leaves it: an
// empty one is 0, a sign is allowed and a negative number wraps around.
func parseCursor(b []byte) (uint64, bool) {
	if len(b) == 0 {
		return 0, true
	}
	digits := b
	if b[0] == '-' || b[0] == '+' {
		digits = b[1:]
	}
	n, err := strconv.ParseUint(string(digits), 10, 64)
	if err != nil {
		return 0, false
	}
	if b[0] == '-' {
		n = -n
	}
	return n, true
}

func (op *scanOp) Run(ctx *Ctx) resp.Value {
	var keys []resp.Value
	pattern, room := op.pattern.start(), ctx.replyRoom()
	next := ctx.Store.Scan(op.cursor, op.count, func(e *store.Entry) {
		if room < 0 || !op.wants(e) || !pattern.match(e.Key()) || !ctx.Live(e) {
			return
		}
		if room -= valueBytes + len(e.Key()); room < 0 {
			keys = nil
			return
		}
		keys = append(keys, resp.BulkString(e.Key()))
	})
	switch {
	case pattern.slow:
		return errorReply(errGlobTooSlow)
	case room < 0:
		return replyTooLarge
	}
	return resp.Array(resp.Bulk(strconv.AppendUint(nil, next, 10)), resp.Array(keys...))
}

func (op *scanOp) wants(e *store.Entry) bool {
	return op.typeName == nil || equalFold(op.typeName, e.Type().String())
}

// equalFold reports whether b is word (lower case) in any case.
func equalFold(b []byte, word string) bool {
	var buf [maxNameLen]byte
	return len(b) == len(word) && string(lower(buf[:], b)) == word
}

var specRandomKey = &Spec{
	Name: "randomkey", Group: "generic", Arity: 1, Since: "1.0.0",
	Flags: ReadOnly | AllShards, ACL: []string{"keyspace", "read", "slow"},
	Summary: "Answers some key, nil when there is none.",
	Parse:   func(Args) (Op, error) { return randomkeyOp{}, nil },
}

type randomkeyOp struct{}

func (randomkeyOp) Run(ctx *Ctx) resp.Value {
	e := ctx.Store.Random(ctx.Rand(), ctx.Live)
	if e == nil {
		return resp.Nil
	}
	return resp.BulkString(e.Key())
}

var specDBSize = &Spec{
	Name: "dbsize", Group: "server", Arity: 1, Since: "1.0.0",
	Flags: ReadOnly | Fast | AllShards, ACL: []string{"keyspace", "read", "fast"},
	Summary: "Answers the number of keys.",
	Parse:   func(Args) (Op, error) { return dbsizeOp{}, nil },
}

type dbsizeOp struct{}

// Run counts no key whose time is up. Those are few and short-lived, because
// the shard reaps them; only while there are some is every key looked at.
func (dbsizeOp) Run(ctx *Ctx) resp.Value {
	at, ok := ctx.Store.NextExpiry()
	if !ok || at > ctx.Wall {
		return resp.Int(int64(ctx.Store.Len()))
	}
	if at > ctx.Now {
		ctx.Due = true
		return resp.Int(int64(ctx.Store.Len()))
	}
	var n int64
	ctx.Store.Each(func(e *store.Entry) bool {
		if ctx.Live(e) {
			n++
		}
		return true
	})
	return resp.Int(n)
}

var specFlushAll = &Spec{
	Name: "flushall", Group: "server", Arity: -1, Since: "1.0.0",
	Flags: Write | Frees | AllShards, ACL: []string{"keyspace", "write", "slow", "dangerous"},
	Summary: "Deletes all keys. ASYNC and SYNC are the same here: neither holds up other commands.",
	Syntax:  "[ASYNC | SYNC]",
	Parse:   parseFlush,
}

var specFlushDB = &Spec{
	Name: "flushdb", Group: "server", Arity: -1, Since: "1.0.0",
	Flags: Write | Frees | AllShards, ACL: []string{"keyspace", "write", "slow", "dangerous"},
	Summary: "The same as FLUSHALL: there is one database.",
	Syntax:  "[ASYNC | SYNC]",
	Parse:   parseFlush,
}

type flushOp struct{}

func parseFlush(args Args) (Op, error) {
	if len(args) > 2 || len(args) == 2 && !isWord(args[1], "ASYNC") && !isWord(args[1], "SYNC") {
		return nil, errSyntax
	}
	return flushOp{}, nil
}

func (flushOp) Run(ctx *Ctx) resp.Value {
	ctx.Store.Clear()
	return resp.OK
}
