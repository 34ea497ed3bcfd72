package locks

import (
	"bytes"
	"encoding/base64"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/resp"
)

// What one LS.LOCKS may answer. It is made under the shard's lock.
const (
	MaxListed   = 10_000
	maxPageSize = 1 << 20 // of names and owners, but for the last
)

// MaxReasonBytes is how long a reason for a forced release may be.
const MaxReasonBytes = 256

const nameLockBreak = "ls.lockbreak"

// cursor is where the next page of locks begins: in a shard, after a name.
type cursor struct {
	shard int
	after string
}

// parseCursor reads what String wrote.
func parseCursor(b []byte) (c cursor, err error) {
	if string(b) == command.StartCursor {
		return c, nil
	}
	number, name, ok := bytes.Cut(b, []byte{'.'})
	shard, err := strconv.ParseUint(string(number), 10, 31)
	if !ok || err != nil {
		return c, command.ErrCursor
	}
	after, err := base64.RawURLEncoding.DecodeString(string(name))
	if err != nil || len(after) > lock.MaxNameBytes {
		return c, command.ErrCursor
	}
	return cursor{int(shard), string(after)}, nil
}

// String is StartCursor for the beginning, which is also what a list ends with.
func (c cursor) String() string {
	if c == (cursor{}) {
		return command.StartCursor
	}
	return strconv.Itoa(c.shard) + "." + base64.RawURLEncoding.EncodeToString([]byte(c.after))
}

// nameCursor goes on after a name: the order of locks is that of their names.
var nameCursor = &command.Cursor{
	Read: func(b []byte) (shard int, inner []byte, err error) {
		c, err := parseCursor(b)
		return c.shard, []byte(cursor{after: c.after}.String()), err
	},
	Join: func(shard int, inner []byte) ([]byte, error) {
		c, err := parseCursor(inner)
		c.shard = shard
		return []byte(c.String()), err
	},
}

var specLSLocks = &command.Spec{
	Name: "ls.locks", Group: "lockstep", Arity: -2, Since: "0.1.0",
	Flags: command.ReadOnly | command.OnLocks | command.AllShards | command.NoMulti | command.Walks, Cursor: nameCursor,
	Summary: "Lists the locks that are held, by name, from a cursor on that begins with 0: answers the next cursor, 0 at the end, and of each lock " +
		"name, owner, fence, remaining time, end (Unix milliseconds) and how many wait; at most COUNT locks, all of one state.",
	Args:  listOptions.After(command.Integer("cursor")),
	Parse: parseLSLocks,
}

type lsLocksOp struct {
	after, prefix string
	count         int
}

var listOptions = command.NewOptions(
	command.Value("PREFIX", command.String("prefix"), func(op *lsLocksOp, value []byte) error {
		op.prefix = string(value)
		return nil
	}),
	command.Count(MaxListed, func(op *lsLocksOp) *int { return &op.count }),
)

func parseLSLocks(args command.Args) (command.Op, error) {
	at, err := parseCursor(args[1])
	if err != nil {
		return nil, command.ErrCursor
	}
	op := &lsLocksOp{after: at.after, count: 100}
	return op, listOptions.Parse(args[2:], op)
}

func (op *lsLocksOp) Run(ctx *command.Ctx) resp.Value {
	if ctx.Locks == nil {
		return resp.ErrorReply(command.ErrNoLocks)
	}
	lookForDue(ctx)
	var found []resp.Value
	size, next := 0, cursor{}
	end := ctx.Locks.List(op.prefix, op.after, func(l lock.Listed) bool {
		if len(found) == op.count || size >= maxPageSize {
			return false
		}
		size += len(l.Name) + len(l.Owner)
		next.after = l.Name
		found = append(found, resp.Array(resp.BulkString(l.Name), resp.BulkString(l.Owner), fenceReply(l.Fence),
			resp.Int(max(l.Ends-ctx.MonoAhead, 0)), resp.Int(l.ExpiresAt), resp.Int(int64(l.Waiters))))
		return true
	})
	if end {
		next = cursor{}
	}
	return resp.Array(resp.BulkString(next.String()), resp.Array(found...))
}

// lookForDue has the log's time moved first if the time of any grant or wait is up.
func lookForDue(ctx *command.Ctx) {
	if at, ok := ctx.Locks.NextDue(); ok && at <= ctx.MonoAhead {
		ctx.Due = true
	}
}

var specLSLockCount = &command.Spec{
	Name: "ls.lockcount", Group: "lockstep", Arity: -1, Since: "0.1.0",
	Flags: command.ReadOnly | command.OnLocks | command.AllShards | command.Fast, Merge: command.Sum,
	Summary: "Answers how many locks are held, or those of them whose names have the prefix.",
	Args:    []command.Arg{command.Opt(command.String("prefix"))},
	Parse: func(args command.Args) (command.Op, error) {
		switch len(args) {
		case 1:
			return lsLockCountOp{}, nil
		case 2:
			return lsLockCountOp{string(args[1])}, nil
		}
		return nil, command.ErrSyntax
	},
}

type lsLockCountOp struct{ prefix string }

func (op lsLockCountOp) Run(ctx *command.Ctx) resp.Value {
	if ctx.Locks == nil {
		return resp.ErrorReply(command.ErrNoLocks)
	}
	lookForDue(ctx)
	return resp.Int(int64(ctx.Locks.Count(op.prefix)))
}

// specLSLockBreak is logged for an operator. The log keeps who that was, and why.
var specLSLockBreak = &command.Spec{
	Name: nameLockBreak, Group: "lockstep", Arity: 5, Since: "0.1.0",
	Flags: command.Write | command.Frees | command.OnLocks | command.SkipSlowlog | command.Internal,
	Keys:  command.OneKey(command.RW | command.Access | command.Update), PrintArgs: 4,
	Summary: "Releases a lock whoever holds it, if fence is 0 or that of the grant, and answers owner, fence and waiters of the grant, or nil.",
	Args:    []command.Arg{command.Key("name"), command.Integer("fence"), command.String("reason"), command.String("by")},
	Parse:   parseLSLockBreak,
}

type lsLockBreakOp struct {
	name  []byte
	fence uint64
}

func parseLSLockBreak(args command.Args) (command.Op, error) {
	fence, err := command.IntArg(args[2])
	if err != nil || fence < 0 {
		return nil, errFloor
	}
	return lsLockBreakOp{args[1], uint64(fence)}, checkLockName(args[1])
}

func (op lsLockBreakOp) Run(ctx *command.Ctx) resp.Value {
	if ctx.Locks == nil {
		return resp.ErrorReply(command.ErrNoLocks)
	}
	was, held := ctx.Locks.Break(ctx.Mono, op.name, op.fence)
	if !held {
		return resp.NilArray
	}
	return resp.Array(resp.BulkString(was.Owner), fenceReply(was.Fence), resp.Int(int64(was.Waiters)))
}

// Break asks for the release of a lock whoever holds it, or for that of one grant
// if fence is not 0. It is for the log, and no command.
func Break(name []byte, fence uint64, reason, by string) command.Args {
	return command.Args{[]byte(nameLockBreak), name, strconv.AppendUint(nil, min(fence, math.MaxInt64), 10), []byte(reason), []byte(by)}
}

// ValidReason reports whether a reason can be logged: it is there, short, and one line
// of text.
func ValidReason(reason string) bool {
	return strings.TrimSpace(reason) != "" && len(reason) <= MaxReasonBytes && utf8.ValidString(reason) &&
		strings.IndexFunc(reason, unicode.IsControl) < 0
}
