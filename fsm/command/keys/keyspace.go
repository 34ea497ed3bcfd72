package keys

import (
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

// The commands here concern the whole keyspace. Each runs on one shard's store;
// the router asks every shard and merges.

var specKeys = &command.Spec{
	Name: "keys", Group: "generic", Arity: 2, Since: "1.0.0",
	Flags: command.ReadOnly | command.AllShards | command.Walks, ACL: []string{"keyspace", "dangerous"},
	Merge:   command.Concat,
	Summary: "Answers all keys that match a glob pattern.",
	Args:    []command.Arg{command.Pattern("pattern")},
	Parse:   parseKeys,
}

type keysOp struct{ pattern *command.Glob }

func parseKeys(args command.Args) (command.Op, error) {
	pattern, err := command.NewGlob(args[1])
	if err != nil {
		return nil, err
	}
	return keysOp{pattern}, nil
}

func (op keysOp) Run(ctx *command.Ctx) resp.Value {
	var keys []resp.Value
	pattern, room := op.pattern.Start(), ctx.ReplyRoom()
	ctx.Store.Each(func(e *store.Entry) bool {
		key := e.Key()
		if pattern.Match(key) && ctx.Live(e) {
			room -= command.ValueBytes + len(key)
			keys = append(keys, resp.BulkString(key))
		}
		return room >= 0 && !pattern.Slow
	})
	switch {
	case pattern.Slow:
		return resp.ErrorReply(command.ErrGlobTooSlow)
	case room < 0:
		return command.ReplyTooLarge
	}
	return resp.Array(keys...)
}

var specScan = &command.Spec{
	Name: "scan", Group: "generic", Arity: -2, Since: "2.8.0",
	Flags: command.ReadOnly | command.AllShards | command.Walks, ACL: []string{"keyspace"}, Cursor: command.NumberCursor,
	Summary: "Walks the keys step by step: answers the next cursor, 0 at the end, and some keys. A key that exists all the time is seen.",
	Args:    scanOptions.After(command.Integer("cursor")),
	Parse:   parseScan,
}

type scanOp struct {
	cursor   uint64
	pattern  *command.Glob
	count    int
	typed    bool
	typeName string // lower case
}

var scanOptions = command.NewOptions(
	command.Value("MATCH", command.Pattern("pattern"), func(op *scanOp, value []byte) (err error) {
		op.pattern, err = command.NewGlob(value)
		return err
	}),
	command.Count(command.MaxScanCount, func(op *scanOp) *int { return &op.count }),
	command.Value("TYPE", command.String("type"), func(op *scanOp, value []byte) error {
		op.typed, op.typeName = true, strings.ToLower(string(value))
		return nil
	}),
)

func parseScan(args command.Args) (command.Op, error) {
	cursor, ok := command.ParseCursor(args[1])
	if !ok {
		return nil, command.ErrCursor
	}
	op := &scanOp{cursor: cursor, count: 10, pattern: command.GlobAll}
	return op, scanOptions.Parse(args[2:], op)
}

func (op *scanOp) Run(ctx *command.Ctx) resp.Value {
	var keys []resp.Value
	pattern, room := op.pattern.Start(), ctx.ReplyRoom()
	next := ctx.Store.Scan(op.cursor, op.count, func(e *store.Entry) {
		if room < 0 || !op.wants(e) || !pattern.Match(e.Key()) || !ctx.Live(e) {
			return
		}
		if room -= command.ValueBytes + len(e.Key()); room < 0 {
			keys = nil
			return
		}
		keys = append(keys, resp.BulkString(e.Key()))
	})
	switch {
	case pattern.Slow:
		return resp.ErrorReply(command.ErrGlobTooSlow)
	case room < 0:
		return command.ReplyTooLarge
	}
	return resp.Array(resp.Bulk(strconv.AppendUint(nil, next, 10)), resp.Array(keys...))
}

func (op *scanOp) wants(e *store.Entry) bool { return !op.typed || op.typeName == e.Type().String() }

var specRandomKey = &command.Spec{
	Name: "randomkey", Group: "generic", Arity: 1, Since: "1.0.0",
	Flags: command.ReadOnly | command.AllShards, ACL: []string{"keyspace"}, Merge: pickRandom,
	Summary: "Answers some key, nil when there is none.",
	Parse:   func(command.Args) (command.Op, error) { return randomkeyOp{}, nil },
}

type randomkeyOp struct{}

func (randomkeyOp) Run(ctx *command.Ctx) resp.Value {
	e := ctx.Store.Random(ctx.Rand(), ctx.Live)
	if e == nil {
		return resp.Nil
	}
	return resp.BulkString(e.Key())
}

// pickRandom picks one shard's key with a chance that grows with its size.
func pickRandom(parts []command.Part, _ int) resp.Value {
	total := 0
	for i := range parts {
		if !parts[i].Reply.IsNil() {
			total += max(parts[i].Size, 1)
		}
	}
	if total == 0 {
		return resp.Nil
	}
	n := rand.IntN(total)
	for i := range parts {
		if parts[i].Reply.IsNil() {
			continue
		}
		if n -= max(parts[i].Size, 1); n < 0 {
			return parts[i].Reply
		}
	}
	return resp.Nil
}

var specDBSize = &command.Spec{
	Name: "dbsize", Group: "server", Arity: 1, Since: "1.0.0",
	Flags: command.ReadOnly | command.Fast | command.AllShards, ACL: []string{"keyspace"}, Merge: command.Sum,
	Summary: "Answers the number of keys.",
	Parse:   func(command.Args) (command.Op, error) { return dbsizeOp{}, nil },
}

type dbsizeOp struct{}

// Run counts no key whose time is up. Those are few and short-lived, because
// the shard reaps them; only while there are some is every key looked at.
func (dbsizeOp) Run(ctx *command.Ctx) resp.Value {
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

var specFlushAll = &command.Spec{
	Name: "flushall", Group: "server", Arity: -1, Since: "1.0.0",
	Flags: command.Write | command.Frees | command.AllShards, ACL: []string{"keyspace", "dangerous"}, Merge: command.FirstReply,
	Summary: "Deletes all keys. ASYNC and SYNC are the same here: neither holds up other commands.",
	Args:    []command.Arg{command.Opt(command.OneOf("async", command.Token("ASYNC"), command.Token("SYNC")))},
	Parse:   parseFlush,
}

var specFlushDB = &command.Spec{
	Name: "flushdb", Group: "server", Arity: -1, Since: "1.0.0",
	Flags: command.Write | command.Frees | command.AllShards, ACL: []string{"keyspace", "dangerous"}, Merge: command.FirstReply,
	Summary: "The same as FLUSHALL: there is one database.",
	Args:    []command.Arg{command.Opt(command.OneOf("async", command.Token("ASYNC"), command.Token("SYNC")))},
	Parse:   parseFlush,
}

type flushOp struct{}

func parseFlush(args command.Args) (command.Op, error) {
	if len(args) > 2 || len(args) == 2 && !command.IsWord(args[1], "ASYNC") && !command.IsWord(args[1], "SYNC") {
		return nil, command.ErrSyntax
	}
	return flushOp{}, nil
}

func (flushOp) Run(ctx *command.Ctx) resp.Value {
	ctx.Clear()
	return resp.OK
}
