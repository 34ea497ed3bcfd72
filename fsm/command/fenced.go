package command

import (
	"strconv"

	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/resp"
)

const (
	errFence        = resp.Error("ERR fence must be 1 to 9223372036854775807")
	errFenceFuture  = resp.Error("ERR this fence was never granted")
	errFencedInner  = resp.Error("ERR FENCED takes a command on keys")
	errFencedFenced = resp.Error("ERR FENCED does not go into another FENCED")
)

// fencedSpec needs the table because its keys are those of the inner command.
func fencedSpec(t *Table) *Spec {
	return &Spec{
		Name: "fenced", Group: "lockstep", Arity: -4, Since: "0.1.0",
		Flags: Write | MovableKeys, ACL: []string{"write", "slow"},
		Summary: "Runs a command unless the shard of its keys has seen a newer fence of the lock; checked and applied in one step.",
		Syntax:  "lock fence command [argument ...]",
		FindKeys: func(args Args) ([][]byte, error) {
			sp, _, err := t.checkFenced(args)
			if err != nil {
				return nil, err
			}
			return sp.KeysOf(args[3:])
		},
		Parse: func(args Args) (Op, error) {
			sp, fence, err := t.checkFenced(args)
			if err != nil {
				return nil, err
			}
			return &fencedOp{lock: args[1], fence: fence, inner: args[3:], spec: sp}, nil
		},
	}
}

// checkFenced is Check for the command within FENCED lock fence command.
func (t *Table) checkFenced(args Args) (sp *Spec, fence uint64, err error) {
	if len(args) < 4 {
		return nil, 0, errEmptyCommand
	}
	if err := checkLockName(args[1]); err != nil {
		return nil, 0, err
	}
	n, ok := parseInt(args[2])
	if !ok || n < 1 {
		return nil, 0, errFence
	}
	sp, err = t.Check(args[3:])
	switch {
	case err != nil:
		return nil, 0, err
	case sp.Name == "fenced":
		return nil, 0, errFencedFenced
	case !sp.IsData() || sp.Flags.Has(NoMulti) || sp.Keys.First == 0:
		return nil, 0, errFencedInner
	}
	return sp, uint64(n), nil
}

type fencedOp struct {
	lock  []byte
	fence uint64
	inner Args
	spec  *Spec
}

// Run counts the fence as seen even if the command then answers an error: a
// holder with this fence exists.
func (op *fencedOp) Run(ctx *Ctx) resp.Value {
	if ctx.Locks == nil {
		return errorReply(errNoLocks)
	}
	if err := ctx.growth(); err != nil && op.spec.Flags.Has(DenyOOM) {
		return errorReply(err)
	}
	inner, err := op.spec.Parse(op.inner)
	if err != nil {
		return errorReply(err)
	}
	switch seen, verdict := ctx.Locks.CheckFence(ctx.Mono, op.lock, op.fence); verdict {
	case lock.FenceStale:
		return errorReply(staleFence(op, seen))
	case lock.FenceFuture:
		return errorReply(errFenceFuture)
	}
	return inner.Run(ctx)
}

func staleFence(op *fencedOp, seen uint64) error {
	return resp.Error(CodeStaleFence + " fence " + strconv.FormatUint(op.fence, 10) + " of lock '" +
		quotable(op.lock, 128) + "' is older than " + strconv.FormatUint(seen, 10))
}
