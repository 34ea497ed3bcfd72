package command

import (
	"bytes"
	"encoding/base64"
	"errors"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/resp"
)

// What one LS.LOCKS may answer. It is made under the shard's lock.
const (
	MaxLocksListed  = 10_000
	maxLockPageSize = 1 << 20 // of names and owners, but for the last
)

// MaxReasonBytes is how long a reason for a forced release may be.
const MaxReasonBytes = 256

const nameLockBreak = "ls.lockbreak"

// LockCursor is where the next page of locks begins: in a shard, after a name.
type LockCursor struct {
	Shard int
	After string
}

var errLockCursor = errors.New("ERR invalid cursor")

// ParseLockCursor reads what String wrote.
func ParseLockCursor(b []byte) (c LockCursor, err error) {
	if string(b) == "0" {
		return c, nil
	}
	number, name, ok := bytes.Cut(b, []byte{'.'})
	shard, err := strconv.ParseUint(string(number), 10, 31)
	if !ok || err != nil {
		return c, errLockCursor
	}
	after, err := base64.RawURLEncoding.DecodeString(string(name))
	if err != nil || len(after) > lock.MaxNameBytes {
		return c, errLockCursor
	}
	return LockCursor{int(shard), string(after)}, nil
}

// String is "0" for the beginning, which is also what a list ends with.
func (c LockCursor) String() string {
	if c == (LockCursor{}) {
		return "0"
	}
	return strconv.Itoa(c.Shard) + "." + base64.RawURLEncoding.EncodeToString([]byte(c.After))
}

var specLSLocks = &Spec{
	Name: "ls.locks", Group: "lockstep", Arity: -2, Since: "0.1.0",
	Flags: ReadOnly | AllShards | NoMulti, ACL: []string{"read", "slow"},
	Summary: "Lists the locks that are held, by name, from a cursor on that begins with 0: answers the next cursor, 0 at the end, and of each lock " +
		"name, owner, fence, remaining time, end (Unix milliseconds) and how many wait; at most COUNT locks, all of one state.",
	Syntax: "cursor [PREFIX prefix] [COUNT count]",
	Parse:  parseLSLocks,
}

type lsLocksOp struct {
	after, prefix string
	count         int
}

func parseLSLocks(args Args) (Op, error) {
	at, err := ParseLockCursor(args[1])
	if err != nil {
		return nil, errCursor
	}
	op := &lsLocksOp{after: at.After, count: 100}
	for i := 2; i < len(args); i += 2 {
		switch {
		case i+1 == len(args):
			return nil, errSyntax
		case isWord(args[i], "PREFIX"):
			op.prefix = string(args[i+1])
		case isWord(args[i], "COUNT"):
			n, err := intArg(args[i+1])
			if err != nil {
				return nil, err
			}
			if n < 1 {
				return nil, errSyntax
			}
			op.count = int(min(n, MaxLocksListed))
		default:
			return nil, errSyntax
		}
	}
	return op, nil
}

func (op *lsLocksOp) Run(ctx *Ctx) resp.Value {
	if ctx.Locks == nil {
		return errorReply(errNoLocks)
	}
	lookForDue(ctx)
	var found []resp.Value
	size, next := 0, LockCursor{}
	end := ctx.Locks.List(op.prefix, op.after, func(l lock.Listed) bool {
		if len(found) == op.count || size >= maxLockPageSize {
			return false
		}
		size += len(l.Name) + len(l.Owner)
		next.After = l.Name
		found = append(found, resp.Array(resp.BulkString(l.Name), resp.BulkString(l.Owner), fenceReply(l.Fence),
			resp.Int(max(l.Ends-ctx.MonoAhead, 0)), resp.Int(l.ExpiresAt), resp.Int(int64(l.Waiters))))
		return true
	})
	if end {
		next = LockCursor{}
	}
	return resp.Array(resp.BulkString(next.String()), resp.Array(found...))
}

// lookForDue has the log's time moved first if the time of any grant or wait is up.
func lookForDue(ctx *Ctx) {
	if at, any := ctx.Locks.NextDue(); any && at <= ctx.MonoAhead {
		ctx.Due = true
	}
}

var specLSLockCount = &Spec{
	Name: "ls.lockcount", Group: "lockstep", Arity: -1, Since: "0.1.0",
	Flags: ReadOnly | AllShards | Fast, ACL: []string{"read", "fast"},
	Summary: "Answers how many locks are held, or those of them whose names have the prefix.",
	Syntax:  "[prefix]",
	Parse: func(args Args) (Op, error) {
		switch len(args) {
		case 1:
			return lsLockCountOp{}, nil
		case 2:
			return lsLockCountOp{string(args[1])}, nil
		}
		return nil, errSyntax
	},
}

type lsLockCountOp struct{ prefix string }

func (op lsLockCountOp) Run(ctx *Ctx) resp.Value {
	if ctx.Locks == nil {
		return errorReply(errNoLocks)
	}
	lookForDue(ctx)
	return resp.Int(int64(ctx.Locks.Count(op.prefix)))
}

// specLSLockBreak is logged for an operator. The log keeps who that was, and why.
var specLSLockBreak = &Spec{
	Name: nameLockBreak, Group: "lockstep", Arity: 5, Since: "0.1.0",
	Flags: Write | Frees | SkipSlowlog | Internal, Keys: oneKey, PrintArgs: 4,
	Summary: "Releases a lock whoever holds it, if fence is 0 or that of the grant, and answers owner, fence and waiters of the grant, or nil.",
	Syntax:  "name fence reason by",
	Parse:   parseLSLockBreak,
}

type lsLockBreakOp struct {
	name  []byte
	fence uint64
}

func parseLSLockBreak(args Args) (Op, error) {
	fence, err := intArg(args[2])
	if err != nil || fence < 0 {
		return nil, errFloor
	}
	return lsLockBreakOp{args[1], uint64(fence)}, checkLockName(args[1])
}

func (op lsLockBreakOp) Run(ctx *Ctx) resp.Value {
	if ctx.Locks == nil {
		return errorReply(errNoLocks)
	}
	was, held := ctx.Locks.Break(ctx.Mono, op.name, op.fence)
	if !held {
		return resp.NilArray
	}
	return resp.Array(resp.BulkString(was.Owner), fenceReply(was.Fence), resp.Int(int64(was.Waiters)))
}

// LockBreak asks for the release of a lock whoever holds it, or for that of one grant
// if fence is not 0. It is for the log, and no command.
func LockBreak(name []byte, fence uint64, reason, by string) Args {
	return Args{[]byte(nameLockBreak), name, strconv.AppendUint(nil, min(fence, math.MaxInt64), 10), []byte(reason), []byte(by)}
}

// ValidReason reports whether a reason can be logged: it is there, short, and one line
// of text.
func ValidReason(reason string) bool {
	return strings.TrimSpace(reason) != "" && len(reason) <= MaxReasonBytes && utf8.ValidString(reason) &&
		strings.IndexFunc(reason, unicode.IsControl) < 0
}
