package command

import (
	"math"

	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/resp"
)

// lockSpecs lists the commands of locks. Names of locks are routed like keys, but
// locks are none: they live beside the store.
func lockSpecs() []*Spec {
	return []*Spec{
		specLock, specLockRenew, specUnlock, specLockInfo,
		specLSLock, specLSLockRenew, specLSLockCancel, specLSLockDrop, specLSFenceFloor,
		specLSLocks, specLSLockCount, specLSLockBreak,
	}
}

// CodeStaleFence is the code of the error that answers a command whose fence is
// older than one that the shard has seen.
const CodeStaleFence = "STALEFENCE"

const (
	errNoLocks   = resp.Error("ERR locks are not at hand here")
	errNode      = resp.Error("ERR no such start of a node")
	errLocksFull = resp.Error("OOM too many locks and waiters on this shard")
	errFloor     = resp.Error("ERR fence must be 0 to 9223372036854775807")
	// errFloorAhead keeps fences where readers of JSON can tell them apart.
	errFloorAhead = resp.Error("ERR fence is more than 30 days ahead of the cluster's clock")
)

const nameFenceFloor = "ls.fencefloor"

// specLock is run by the router, which makes the token and waits: LS.LOCK and
// LS.LOCKCANCEL are what it logs.
var specLock = &Spec{
	Name: "lock", Group: "lockstep", Arity: -3, Since: "0.1.0",
	Flags: Write | Connection | Blocking | NoMulti | NoScript | SkipSlowlog, ACL: []string{"write", "blocking", "slow"}, Keys: oneKey,
	Summary: "Takes a lock for a time and answers its secret token and its fence, or nil when somebody else has it, and still has it after the wait.",
	Syntax:  "name ttl-milliseconds [WAIT milliseconds] [OWNER owner]",
}

// ParseLock reads the arguments of LOCK. The request has no token yet.
func ParseLock(args Args) (lock.Request, error) {
	r := lock.Request{Name: string(args[1]), Token: "-"}
	ttl, err := intArg(args[2])
	if err != nil {
		return r, lockError(lock.ErrTTL)
	}
	r.TTLMillis = ttl
	var waits, owned bool
	for i := 3; i < len(args); i += 2 {
		switch {
		case i+1 == len(args):
			return r, errSyntax
		case isWord(args[i], "WAIT") && !waits:
			waits = true
			if r.WaitMillis, err = intArg(args[i+1]); err != nil {
				return r, lockError(lock.ErrWait)
			}
		case isWord(args[i], "OWNER") && !owned:
			owned, r.Owner = true, string(args[i+1])
		default:
			return r, errSyntax
		}
	}
	return r, lockError(r.Validate())
}

// lockError puts a refusal of package lock into a reply.
func lockError(err error) error {
	if err == nil {
		return nil
	}
	return resp.Error("ERR " + err.Error())
}

var specLockRenew = &Spec{
	Name: "lockrenew", Group: "lockstep", Arity: 4, Since: "0.1.0",
	Flags: Write | SkipSlowlog | Fast, ACL: []string{"write", "fast"}, Keys: oneKey,
	Summary: "Lets the time of a held lock count from now on; answers 1, or 0 when the token does not hold it.",
	Syntax:  "name token ttl-milliseconds",
	Parse:   func(args Args) (Op, error) { return parseRenew(args, false) },
}

var specLSLockRenew = &Spec{
	Name: "ls.lockrenew", Group: "lockstep", Arity: 4, Since: "0.1.0",
	Flags: Write | SkipSlowlog | Fast, ACL: []string{"write", "fast"}, Keys: oneKey,
	Summary: "LOCKRENEW that answers fence and end (Unix milliseconds), or nil.",
	Syntax:  "name token ttl-milliseconds",
	Parse:   func(args Args) (Op, error) { return parseRenew(args, true) },
}

type lockRenewOp struct {
	name, token []byte
	ttl         int64
	detailed    bool
}

func parseRenew(args Args, detailed bool) (Op, error) {
	if err := checkLockName(args[1]); err != nil {
		return nil, err
	}
	ttl, err := intArg(args[3])
	if err != nil || lock.ValidateTTL(ttl) != nil {
		return nil, lockError(lock.ErrTTL)
	}
	return lockRenewOp{args[1], args[2], ttl, detailed}, nil
}

func checkLockName(name []byte) error {
	if len(name) == 0 || len(name) > lock.MaxNameBytes {
		return lockError(lock.ErrName)
	}
	return nil
}

func (op lockRenewOp) Run(ctx *Ctx) resp.Value {
	if ctx.Locks == nil {
		return errorReply(errNoLocks)
	}
	g, ok := ctx.Locks.Renew(ctx.Mono, op.name, op.token, op.ttl)
	switch {
	case !op.detailed:
		return boolReply(ok)
	case !ok:
		return resp.NilArray
	}
	return resp.Array(fenceReply(g.Fence), resp.Int(g.ExpiresAt))
}

func fenceReply(fence uint64) resp.Value { return resp.Int(int64(fence)) }

var specUnlock = &Spec{
	Name: "unlock", Group: "lockstep", Arity: 3, Since: "0.1.0",
	Flags: Write | Frees | SkipSlowlog | Fast, ACL: []string{"write", "fast"}, Keys: oneKey,
	Summary: "Releases a lock and answers 1, or 0 when the token does not hold it.",
	Syntax:  "name token",
	Parse: func(args Args) (Op, error) {
		return unlockOp{args[1], args[2]}, checkLockName(args[1])
	},
}

type unlockOp struct{ name, token []byte }

func (op unlockOp) Run(ctx *Ctx) resp.Value {
	if ctx.Locks == nil {
		return errorReply(errNoLocks)
	}
	return boolReply(ctx.Locks.Release(ctx.Mono, op.name, op.token))
}

var specLockInfo = &Spec{
	Name: "lockinfo", Group: "lockstep", Arity: 2, Since: "0.1.0",
	Flags: ReadOnly | Fast, ACL: []string{"read", "fast"}, Keys: oneKey,
	Summary: "Answers who holds a lock, its fence, its remaining time, and how many wait.",
	Syntax:  "name",
	Parse: func(args Args) (Op, error) {
		return lockInfoOp{args[1]}, checkLockName(args[1])
	},
}

type lockInfoOp struct{ name []byte }

// Run judges the lock's time like that of a key: by the log, whose time is moved
// first if the leader's clock says that the lock's time is up.
func (op lockInfoOp) Run(ctx *Ctx) resp.Value {
	if ctx.Locks == nil {
		return errorReply(errNoLocks)
	}
	info, held := ctx.Locks.Info(op.name)
	left := int64(0)
	if held {
		if info.Ends <= ctx.MonoAhead {
			ctx.Due = true
		}
		left = max(info.Ends-ctx.MonoAhead, 0)
	}
	return resp.Map(
		resp.BulkString("name"), resp.Bulk(append([]byte(nil), op.name...)),
		resp.BulkString("held"), boolReply(held),
		resp.BulkString("owner"), resp.BulkString(info.Owner),
		resp.BulkString("fence"), fenceReply(info.Fence),
		resp.BulkString("ttl_ms"), resp.Int(left),
		resp.BulkString("expires_at_ms"), resp.Int(info.ExpiresAt),
		resp.BulkString("waiters"), resp.Int(int64(info.Waiters)),
	)
}

// Statuses that LS.LOCK answers.
const (
	LockHeld    = 0
	LockGranted = 1
	LockQueued  = 2
)

var specLSLock = &Spec{
	Name: "ls.lock", Group: "lockstep", Arity: 8, Since: "0.1.0",
	Flags: Write | SkipSlowlog | Internal, Keys: oneKey, PrintArgs: 4,
	Summary: "What LOCK logs: answers status (0 held, 1 granted, 2 queued), fence, end (Unix milliseconds) and owner of the grant in force, and the request's token.",
	Syntax:  "name ttl-milliseconds owner wait-milliseconds token node boot",
	Parse:   parseLSLock,
}

type lsLockOp struct{ request lock.Request }

func parseLSLock(args Args) (Op, error) {
	ttl, err := intArg(args[2])
	if err != nil {
		return nil, err
	}
	wait, err := intArg(args[4])
	if err != nil {
		return nil, err
	}
	boot, err := bootArg(args[6], args[7])
	if err != nil {
		return nil, err
	}
	r := lock.Request{
		Name: string(args[1]), TTLMillis: ttl, WaitMillis: wait, Owner: string(args[3]),
		Token: string(args[5]), Node: string(args[6]), Boot: boot,
	}
	return lsLockOp{r}, lockError(r.Validate())
}

// maxNodeBytes bounds what may be named as a node.
const maxNodeBytes = 256

// bootArg reads the number of a node's start.
func bootArg(node, arg []byte) (uint64, error) {
	boot, err := intArg(arg)
	if err == nil && (boot < 0 || boot == math.MaxInt64 || len(node) > maxNodeBytes) {
		err = errNode
	}
	return uint64(boot), err
}

func (op lsLockOp) Run(ctx *Ctx) resp.Value {
	if ctx.Locks == nil {
		return errorReply(errNoLocks)
	}
	status, g, holder := ctx.Locks.Acquire(ctx.Mono, op.request)
	word := int64(LockHeld)
	switch status {
	case lock.Full:
		return errorReply(errLocksFull)
	case lock.Granted:
		word = LockGranted
	case lock.Queued:
		word = LockQueued
	}
	return resp.Array(resp.Int(word), fenceReply(g.Fence), resp.Int(g.ExpiresAt), resp.BulkString(holder), resp.BulkString(op.request.Token))
}

var specLSLockCancel = &Spec{
	Name: "ls.lockcancel", Group: "lockstep", Arity: -3, Since: "0.1.0",
	Flags: Write | Frees | SkipSlowlog | Internal, Keys: oneKey,
	Summary: "Ends a wait for a lock, and forgets the idempotency id of the request that began it. A token that holds the lock by now keeps it, and fence and end are answered, unless RELEASE is given; else nil.",
	Syntax:  "name token [RELEASE | FORGET id]",
	Parse:   parseLSLockCancel,
}

type lsLockCancelOp struct {
	name, token []byte
	release     bool
	forget      []byte // an idempotency id, or nil
}

func parseLSLockCancel(args Args) (Op, error) {
	op := lsLockCancelOp{name: args[1], token: args[2]}
	switch {
	case len(args) == 3:
	case len(args) == 4 && isWord(args[3], "RELEASE"):
		op.release = true
	case len(args) == 5 && isWord(args[3], "FORGET"):
		op.forget = args[4]
	default:
		return nil, errSyntax
	}
	return op, checkLockName(op.name)
}

func (op lsLockCancelOp) Run(ctx *Ctx) resp.Value {
	if ctx.Locks == nil {
		return errorReply(errNoLocks)
	}
	if status, _ := ctx.Locks.Stands(string(op.name), string(op.token)); status == lock.Queued && op.forget != nil && ctx.Once != nil {
		// The request is undone: another one under its id is none of the same.
		ctx.Once.Forget(op.forget)
	}
	g, ok := ctx.Locks.Cancel(ctx.Mono, op.name, op.token, op.release)
	if !ok {
		return resp.NilArray
	}
	return resp.Array(fenceReply(g.Fence), resp.Int(g.ExpiresAt))
}

// specLSLockDrop is logged by a shard's leader when a node with waiters is gone.
var specLSLockDrop = &Spec{
	Name: "ls.lockdrop", Group: "lockstep", Arity: 3, Since: "0.1.0",
	Flags:   Write | Frees | Internal,
	Summary: "Takes the waiters of a node's lives up to the given one out of all queues.",
	Syntax:  "node boot",
	Parse: func(args Args) (Op, error) {
		boot, err := bootArg(args[1], args[2])
		return lsLockDropOp{string(args[1]), boot}, err
	},
}

type lsLockDropOp struct {
	node string
	boot uint64
}

func (op lsLockDropOp) Run(ctx *Ctx) resp.Value {
	if ctx.Locks == nil {
		return errorReply(errNoLocks)
	}
	ctx.Locks.DropNode(op.node, op.boot+1)
	return resp.OK
}

var specLSFenceFloor = &Spec{
	Name: nameFenceFloor, Group: "lockstep", Arity: 2, Since: "0.1.0",
	Flags:   Write | Internal,
	Summary: "Makes all further fences higher than the given one. Restoring a backup does this.",
	Syntax:  "fence",
	Parse: func(args Args) (Op, error) {
		floor, err := intArg(args[1])
		if err != nil || floor < 0 {
			return nil, errFloor
		}
		return lsFenceFloorOp{uint64(floor)}, nil
	},
}

type lsFenceFloorOp struct{ floor uint64 }

func (op lsFenceFloorOp) Run(ctx *Ctx) resp.Value {
	if ctx.Locks == nil {
		return errorReply(errNoLocks)
	}
	if !ctx.Locks.RaiseFloor(ctx.Mono, op.floor) {
		return errorReply(errFloorAhead)
	}
	return resp.OK
}
