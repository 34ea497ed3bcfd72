package compound

import (
	"strconv"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/resp"
)

const (
	errFence        = resp.Error("ERR fence must be 1 to 9223372036854775807")
	errFenceFuture  = resp.Error("ERR this fence was never granted")
	errFencedInner  = resp.Error("ERR FENCED takes a command on keys")
	errFencedFenced = resp.Error("ERR FENCED does not go into another FENCED")
)

const nameFenced = "fenced"

// fencedSpec needs the table because its keys are those of the inner command.
func fencedSpec(t *command.Table) *command.Spec {
	return &command.Spec{
		Name: nameFenced, Group: "lockstep", Arity: -4, Since: "0.1.0",
		Flags: command.Write | command.MovableKeys, Inner: 3,
		Summary: "Runs a command unless the shard of its keys has seen a newer fence of the lock; checked and applied in one step.",
		Args:    []command.Arg{command.String("lock"), command.Integer("fence"), command.String("command"), command.Opt(command.Many(command.String("arg")).Line("argument ..."))},
		FindKeys: func(args command.Args) ([][]byte, error) {
			sp, _, err := checkFenced(t, args)
			if err != nil {
				return nil, err
			}
			return sp.KeysOf(args[3:])
		},
		Holds: func(args command.Args) ([]*command.Spec, error) {
			sp, _, err := checkFenced(t, args)
			return []*command.Spec{sp}, err
		},
		Parse: func(args command.Args) (command.Op, error) {
			sp, fence, err := checkFenced(t, args)
			if err != nil {
				return nil, err
			}
			return &fencedOp{lock: args[1], fence: fence, inner: args[3:], spec: sp}, nil
		},
	}
}

// checkFenced is Check for the command within FENCED lock fence command.
func checkFenced(t *command.Table, args command.Args) (sp *command.Spec, fence uint64, err error) {
	if len(args) < 4 {
		return nil, 0, command.ErrEmptyCommand
	}
	if err := lock.ValidateName(args[1]); err != nil {
		return nil, 0, resp.Error("ERR " + err.Error())
	}
	n, ok := command.ParseInt(args[2])
	if !ok || n < 1 {
		return nil, 0, errFence
	}
	sp, err = t.Check(args[3:])
	switch {
	case err != nil:
		return nil, 0, err
	case sp.Name == nameFenced:
		return nil, 0, errFencedFenced
	case !sp.IsData() || sp.Flags.Has(command.NoMulti) || len(sp.Keys) == 0:
		return nil, 0, errFencedInner
	}
	return sp, uint64(n), nil
}

type fencedOp struct {
	lock  []byte
	fence uint64
	inner command.Args
	spec  *command.Spec
}

// Run counts the fence as seen even if the command then answers an error: a
// holder with this fence exists.
func (op *fencedOp) Run(ctx *command.Ctx) resp.Value {
	if ctx.Locks == nil {
		return resp.ErrorReply(command.ErrNoLocks)
	}
	if err := ctx.Growth(); err != nil && op.spec.Flags.Has(command.DenyOOM) {
		return resp.ErrorReply(err)
	}
	inner, err := op.spec.Parse(op.inner)
	if err != nil {
		return resp.ErrorReply(err)
	}
	var few [8]uint16
	slots := few[:0]
	_ = op.spec.Slots(op.inner, func(slot uint16) bool { // fails for none that may stand here
		slots = append(slots, slot)
		return true
	})
	switch seen, verdict := ctx.Locks.CheckFence(ctx.Mono, op.lock, op.fence, slots...); verdict {
	case lock.FenceStale:
		return resp.ErrorReply(staleFence(op, seen))
	case lock.FenceFuture:
		return resp.ErrorReply(errFenceFuture)
	}
	return inner.Run(ctx)
}

func staleFence(op *fencedOp, seen uint64) error {
	return resp.Error(command.CodeStaleFence + " fence " + strconv.FormatUint(op.fence, 10) + " of lock '" +
		command.Quotable(op.lock, 128) + "' is older than " + strconv.FormatUint(seen, 10))
}

func (op *fencedOp) ReplySize(ctx *command.Ctx) (bytes, values int) {
	inner, err := op.spec.Parse(op.inner)
	if err != nil {
		return 0, 0
	}
	if s, ok := inner.(command.Sizer); ok {
		return s.ReplySize(ctx)
	}
	return 0, 0
}
