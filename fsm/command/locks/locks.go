package locks

import (
	"math"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/resp"
)

// Commands lists the commands of locks. Names of locks are routed like keys, but
// locks are none: they live beside the store.
func Commands(*command.Table) []*command.Spec {
	return []*command.Spec{
		specLock, specLockRenew, specUnlock, specLockInfo,
		specLSLock, specLSLockRenew, specLSLockCancel, specLSLockDrop, specLSFenceFloor,
		specLSLocks, specLSLockCount, specLSLockBreak,
	}
}

const (
	errNode      = resp.Error("ERR no such start of a node")
	errLocksFull = resp.Error("OOM too many locks and waiters on this shard")
	errFloor     = resp.Error("ERR fence must be 0 to 9223372036854775807")
	// errFloorAhead keeps fences where readers of JSON can tell them apart.
	errFloorAhead = resp.Error("ERR fence is more than 30 days ahead of the cluster's clock")
)

const nameFenceFloor = "ls.fencefloor"

// specLock is run by the router, which makes the token and waits: LS.LOCK and
// LS.LOCKCANCEL are what it logs.
var specLock = &command.Spec{
	Name: "lock", Group: "lockstep", Arity: -3, Since: "0.1.0",
	Flags:   command.Write | command.OnLocks | command.Connection | command.Blocking | command.NoMulti | command.NoScript | command.SkipSlowlog,
	Keys:    command.OneKey(command.RW | command.Access | command.Update),
	Summary: "Takes a lock for a time and answers its secret token and its fence, or nil when somebody else has it, and still has it after the wait.",
	Args:    lockOptions.After(command.Key("name"), command.Integer("ttl-milliseconds")),
}

var lockOptions = command.NewOptions(
	command.Value("WAIT", command.Integer("milliseconds"), func(r *lock.Request, value []byte) (err error) {
		if r.WaitMillis, err = command.IntArg(value); err != nil {
			return lockError(lock.ErrWait)
		}
		return nil
	}).Once(),
	command.Value("OWNER", command.String("owner"), func(r *lock.Request, value []byte) error {
		r.Owner = string(value)
		return nil
	}).Once(),
)

// Parse reads the arguments of LOCK. The request has no token yet.
func Parse(args command.Args) (lock.Request, error) {
	r := lock.Request{Name: string(args[1]), Token: "-"}
	ttl, err := command.IntArg(args[2])
	if err != nil {
		return r, lockError(lock.ErrTTL)
	}
	r.TTLMillis = ttl
	if err := lockOptions.Parse(args[3:], &r); err != nil {
		return r, err
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

var specLockRenew = &command.Spec{
	Name: "lockrenew", Group: "lockstep", Arity: 4, Since: "0.1.0",
	Flags:   command.Write | command.OnLocks | command.SkipSlowlog | command.Fast,
	Keys:    command.OneKey(command.RW | command.Access | command.Update),
	Summary: "Lets the time of a held lock count from now on; answers 1, or 0 when the token does not hold it.",
	Args:    []command.Arg{command.Key("name"), command.String("token"), command.Integer("ttl-milliseconds")},
	Parse:   func(args command.Args) (command.Op, error) { return parseRenew(args, false) },
}

var specLSLockRenew = &command.Spec{
	Name: "ls.lockrenew", Group: "lockstep", Arity: 4, Since: "0.1.0",
	Flags:   command.Write | command.OnLocks | command.SkipSlowlog | command.Fast,
	Keys:    command.OneKey(command.RW | command.Access | command.Update),
	Summary: "LOCKRENEW that answers fence and end (Unix milliseconds), or nil.",
	Args:    []command.Arg{command.Key("name"), command.String("token"), command.Integer("ttl-milliseconds")},
	Parse:   func(args command.Args) (command.Op, error) { return parseRenew(args, true) },
}

type lockRenewOp struct {
	name, token []byte
	ttl         int64
	detailed    bool
}

func parseRenew(args command.Args, detailed bool) (command.Op, error) {
	if err := checkLockName(args[1]); err != nil {
		return nil, err
	}
	ttl, err := command.IntArg(args[3])
	if err != nil || lock.ValidateTTL(ttl) != nil {
		return nil, lockError(lock.ErrTTL)
	}
	return lockRenewOp{args[1], args[2], ttl, detailed}, nil
}

func checkLockName(name []byte) error { return lockError(lock.ValidateName(name)) }

func (op lockRenewOp) Run(ctx *command.Ctx) resp.Value {
	if ctx.Locks == nil {
		return resp.ErrorReply(command.ErrNoLocks)
	}
	g, ok := ctx.Locks.Renew(ctx.Mono, op.name, op.token, op.ttl)
	switch {
	case !op.detailed:
		return command.BoolReply(ok)
	case !ok:
		return resp.NilArray
	}
	return resp.Array(fenceReply(g.Fence), resp.Int(g.ExpiresAt))
}

func fenceReply(fence uint64) resp.Value { return resp.Int(int64(fence)) }

var specUnlock = &command.Spec{
	Name: "unlock", Group: "lockstep", Arity: 3, Since: "0.1.0",
	Flags:   command.Write | command.Frees | command.OnLocks | command.SkipSlowlog | command.Fast,
	Keys:    command.OneKey(command.RW | command.Access | command.Update),
	Summary: "Releases a lock and answers 1, or 0 when the token does not hold it.",
	Args:    []command.Arg{command.Key("name"), command.String("token")},
	Parse: func(args command.Args) (command.Op, error) {
		return unlockOp{args[1], args[2]}, checkLockName(args[1])
	},
}

type unlockOp struct{ name, token []byte }

func (op unlockOp) Run(ctx *command.Ctx) resp.Value {
	if ctx.Locks == nil {
		return resp.ErrorReply(command.ErrNoLocks)
	}
	return command.BoolReply(ctx.Locks.Release(ctx.Mono, op.name, op.token))
}

var specLockInfo = &command.Spec{
	Name: "lockinfo", Group: "lockstep", Arity: 2, Since: "0.1.0",
	Flags: command.ReadOnly | command.OnLocks | command.Fast, Keys: command.OneKey(command.RO | command.Access),
	Summary: "Answers who holds a lock, its fence, its remaining time, and how many wait.",
	Args:    []command.Arg{command.Key("name")},
	Parse: func(args command.Args) (command.Op, error) {
		return lockInfoOp{args[1]}, checkLockName(args[1])
	},
}

type lockInfoOp struct{ name []byte }

// Run judges the lock's time like that of a key: by the log, whose time is moved
// first if the leader's clock says that the lock's time is up.
func (op lockInfoOp) Run(ctx *command.Ctx) resp.Value {
	if ctx.Locks == nil {
		return resp.ErrorReply(command.ErrNoLocks)
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
		resp.BulkString("held"), command.BoolReply(held),
		resp.BulkString("owner"), resp.BulkString(info.Owner),
		resp.BulkString("fence"), fenceReply(info.Fence),
		resp.BulkString("ttl_ms"), resp.Int(left),
		resp.BulkString("expires_at_ms"), resp.Int(info.ExpiresAt),
		resp.BulkString("waiters"), resp.Int(int64(info.Waiters)),
	)
}

// Statuses that LS.LOCK answers.
const (
	Held    = 0
	Granted = 1
	Queued  = 2
)

var specLSLock = &command.Spec{
	Name: "ls.lock", Group: "lockstep", Arity: 8, Since: "0.1.0",
	Flags: command.Write | command.OnLocks | command.SkipSlowlog | command.Internal,
	Keys:  command.OneKey(command.RW | command.Access | command.Update), PrintArgs: 4,
	Summary: "What LOCK logs: answers status (0 held, 1 granted, 2 queued), fence, end (Unix milliseconds) and owner of the grant in force, and the request's token.",
	Args:    []command.Arg{command.Key("name"), command.Integer("ttl-milliseconds"), command.String("owner"), command.Integer("wait-milliseconds"), command.String("token"), command.String("node"), command.Integer("boot")},
	Parse:   parseLSLock,
}

type lsLockOp struct{ request lock.Request }

func parseLSLock(args command.Args) (command.Op, error) {
	ttl, err := command.IntArg(args[2])
	if err != nil {
		return nil, err
	}
	wait, err := command.IntArg(args[4])
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
	boot, err := command.IntArg(arg)
	if err == nil && (boot < 0 || boot == math.MaxInt64 || len(node) > maxNodeBytes) {
		err = errNode
	}
	return uint64(boot), err
}

func (op lsLockOp) Run(ctx *command.Ctx) resp.Value {
	if ctx.Locks == nil {
		return resp.ErrorReply(command.ErrNoLocks)
	}
	status, g, holder := ctx.Locks.Acquire(ctx.Mono, op.request)
	word := int64(Held)
	switch status {
	case lock.Full:
		return resp.ErrorReply(errLocksFull)
	case lock.Granted:
		word = Granted
	case lock.Queued:
		word = Queued
	}
	return resp.Array(resp.Int(word), fenceReply(g.Fence), resp.Int(g.ExpiresAt), resp.BulkString(holder), resp.BulkString(op.request.Token))
}

var specLSLockCancel = &command.Spec{
	Name: "ls.lockcancel", Group: "lockstep", Arity: -3, Since: "0.1.0",
	Flags:   command.Write | command.Frees | command.OnLocks | command.SkipSlowlog | command.Internal,
	Keys:    command.OneKey(command.RW | command.Access | command.Update),
	Summary: "Ends a wait for a lock, and forgets the idempotency id of the request that began it. A token that holds the lock by now keeps it, and fence and end are answered, unless RELEASE is given; else nil.",
	Args:    []command.Arg{command.Key("name"), command.String("token"), command.Opt(command.OneOf("undo", command.Token("RELEASE"), command.String("id").After("FORGET")))},
	Parse:   parseLSLockCancel,
}

type lsLockCancelOp struct {
	name, token []byte
	release     bool
	forget      []byte // an idempotency id, or nil
}

func parseLSLockCancel(args command.Args) (command.Op, error) {
	op := lsLockCancelOp{name: args[1], token: args[2]}
	switch {
	case len(args) == 3:
	case len(args) == 4 && command.IsWord(args[3], "RELEASE"):
		op.release = true
	case len(args) == 5 && command.IsWord(args[3], "FORGET"):
		op.forget = args[4]
	default:
		return nil, command.ErrSyntax
	}
	return op, checkLockName(op.name)
}

func (op lsLockCancelOp) Run(ctx *command.Ctx) resp.Value {
	if ctx.Locks == nil {
		return resp.ErrorReply(command.ErrNoLocks)
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
var specLSLockDrop = &command.Spec{
	Name: "ls.lockdrop", Group: "lockstep", Arity: 3, Since: "0.1.0",
	Flags:   command.Write | command.Frees | command.OnLocks | command.Internal,
	Summary: "Takes the waiters of a node's lives up to the given one out of all queues.",
	Args:    []command.Arg{command.String("node"), command.Integer("boot")},
	Parse: func(args command.Args) (command.Op, error) {
		boot, err := bootArg(args[1], args[2])
		return lsLockDropOp{string(args[1]), boot}, err
	},
}

type lsLockDropOp struct {
	node string
	boot uint64
}

func (op lsLockDropOp) Run(ctx *command.Ctx) resp.Value {
	if ctx.Locks == nil {
		return resp.ErrorReply(command.ErrNoLocks)
	}
	ctx.Locks.DropNode(op.node, op.boot+1)
	return resp.OK
}

var specLSFenceFloor = &command.Spec{
	Name: nameFenceFloor, Group: "lockstep", Arity: 2, Since: "0.1.0",
	Flags:   command.Write | command.OnLocks | command.Internal,
	Summary: "Makes all further fences higher than the given one. Restoring a backup does this.",
	Args:    []command.Arg{command.Integer("fence")},
	Parse: func(args command.Args) (command.Op, error) {
		floor, err := command.IntArg(args[1])
		if err != nil || floor < 0 {
			return nil, errFloor
		}
		return lsFenceFloorOp{uint64(floor)}, nil
	},
}

type lsFenceFloorOp struct{ floor uint64 }

func (op lsFenceFloorOp) Run(ctx *command.Ctx) resp.Value {
	if ctx.Locks == nil {
		return resp.ErrorReply(command.ErrNoLocks)
	}
	if !ctx.Locks.RaiseFloor(ctx.Mono, op.floor) {
		return resp.ErrorReply(errFloorAhead)
	}
	return resp.OK
}

// FenceFloor is what makes all further fences of a shard higher than floor. It is
// for the log, and no command.
func FenceFloor(floor []byte) command.Args { return command.Args{[]byte(nameFenceFloor), floor} }
