package command

import (
	"strconv"
	"strings"

	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

// What one LS.SCAN may do. It holds up writers, and its reply is kept in memory.
const (
	maxListCount  = 10_000
	maxListVisits = 1 << 16   // keys looked at; few of them may have the prefix
	maxListBytes  = 8 << 20   // of keys, but for the last
	maxListValues = 512 << 10 // as replies, with values, but for the last: that may be of any length
)

var specLSScan = &Spec{
	Name: "ls.scan", Group: "lockstep", Arity: -2, Since: "0.1.0",
	Flags: ReadOnly | AllShards, ACL: []string{"keyspace", "read", "slow"},
	Summary: "SCAN that answers of each key its name, type, version, remaining lifetime (milliseconds, -1 for none) and, with VALUES, its value; " +
		"at most COUNT keys, all of one state. A key that exists all the time is listed once.",
	Syntax: "cursor [PREFIX prefix] [COUNT count] [VALUES]",
	Parse:  parseLSScan,
}

type lsScanOp struct {
	cursor uint64
	prefix string
	count  int
	values bool
}

func parseLSScan(args Args) (Op, error) {
	cursor, err := strconv.ParseUint(string(args[1]), 10, 64)
	if err != nil {
		return nil, errCursor
	}
	op := &lsScanOp{cursor: cursor, count: 100}
	for i := 2; i < len(args); i++ {
		switch {
		case isWord(args[i], "VALUES"):
			op.values = true
		case isWord(args[i], "PREFIX") && i+1 < len(args):
			i++
			op.prefix = string(args[i])
		case isWord(args[i], "COUNT") && i+1 < len(args):
			i++
			n, err := intArg(args[i])
			if err != nil {
				return nil, err
			}
			if n < 1 {
				return nil, errSyntax
			}
			op.count = int(min(n, maxListCount))
		default:
			return nil, errSyntax
		}
	}
	return op, nil
}

func (op *lsScanOp) Run(ctx *Ctx) resp.Value {
	var found []resp.Value
	visits, size := 0, 0
	most := maxListBytes
	if op.values {
		most = maxListValues
	}
	more := func() bool { return len(found) < op.count && visits < maxListVisits && size < most }
	next := ctx.Store.ScanWhile(op.cursor, more, func(e *store.Entry) {
		visits++
		if !strings.HasPrefix(e.Key(), op.prefix) || !ctx.Live(e) {
			return
		}
		v := op.describe(ctx, e)
		if op.values {
			size += ReplyCost(v)
		} else {
			size += v.Size()
		}
		found = append(found, v)
	})
	return resp.Array(resp.Bulk(strconv.AppendUint(nil, next, 10)), resp.Array(found...))
}

func (op *lsScanOp) describe(ctx *Ctx, e *store.Entry) resp.Value {
	elems := make([]resp.Value, 4, 5)
	elems[0], elems[1] = resp.BulkString(e.Key()), resp.BulkString(e.Type().String())
	elems[2], elems[3] = versionReply(e), resp.Int(lifetimeLeft(ctx, e))
	if op.values {
		v := resp.Nil
		if e.Type() == store.String {
			v = resp.Bulk(e.Bytes())
		}
		elems = append(elems, v)
	}
	return resp.Array(elems...)
}

// lifetimeLeft is how many milliseconds e has left, -1 when it does not expire.
func lifetimeLeft(ctx *Ctx, e *store.Entry) int64 {
	at := e.ExpireAt()
	if at == 0 {
		return -1
	}
	return max(at-ctx.Wall, 0)
}
