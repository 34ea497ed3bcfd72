package compound

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

const (
	errOnceID       = resp.Error("ERR idempotency id must have 1 to 256 bytes")
	errOnceCommand  = resp.Error("ERR ONCE takes a command that writes to keys")
	errOnceLog      = resp.Error("ERR ONCE runs from the log only")
	errOnceMismatch = resp.Error("ONCEMISMATCH this idempotency id was used with another command")
)

// maxOnceID bounds an idempotency id, in bytes.
const maxOnceID = 256

// onceSpec needs the table because its keys are those of the inner command.
func onceSpec(t *command.Table) *command.Spec {
	return &command.Spec{
		Name: "once", Group: "lockstep", Arity: -3, Since: "0.1.0",
		Flags:   command.Write | command.MovableKeys | command.NoMulti | command.Owned | command.Deduplicates,
		Inner:   2,
		Summary: "Runs a write command at most once per idempotency id; a retry gets the reply of the first run.",
		Args:    []command.Arg{command.String("id"), command.String("command"), command.Opt(command.Many(command.String("arg")).Line("argument ..."))},
		FindKeys: func(args command.Args) ([][]byte, error) {
			sp, err := checkOnce(t, args)
			if err != nil {
				return nil, err
			}
			return sp.KeysOf(args[2:])
		},
		Holds: func(args command.Args) ([]*command.Spec, error) {
			sp, err := checkOnce(t, args)
			return []*command.Spec{sp}, err
		},
		Recall: func(ctx *command.Ctx, args command.Args) (resp.Value, bool) { return recallOnce(t, ctx, args) },
		Parse: func(args command.Args) (command.Op, error) {
			sp, err := checkOnce(t, args)
			if err != nil {
				return nil, err
			}
			return &onceOp{id: args[1], inner: args[2:], spec: sp}, nil
		},
	}
}

// checkOnce is Check for the command within ONCE id command. ONCE wraps writes
// to keys, which live on one shard together with the record of the id. That
// leaves out ONCE itself and FLUSHALL.
func checkOnce(t *command.Table, args command.Args) (*command.Spec, error) {
	if len(args) < 3 {
		return nil, command.ErrEmptyCommand
	}
	if id := args[1]; len(id) == 0 || len(id) > maxOnceID {
		return nil, errOnceID
	}
	sp, err := t.Check(args[2:])
	if err != nil {
		return nil, err
	}
	if !sp.IsData() || !sp.Flags.Has(command.Write) || sp.Flags.Has(command.NoMulti) || !sp.HasKeys() {
		return nil, errOnceCommand
	}
	return sp, nil
}

type onceOp struct {
	id    []byte
	inner command.Args
	spec  *command.Spec
}

// Run remembers what the command answered, an error from its Run included. A
// command that was refused before it ran (malformed, no memory, no room on disk) leaves no
// record: the same id may be used for it again.
func (op *onceOp) Run(ctx *command.Ctx) resp.Value {
	if ctx.Once == nil {
		return resp.ErrorReply(errOnceLog)
	}
	fingerprint := op.fingerprint()
	reply, seen, is := ctx.Once.Begin(op.id, ctx.Owner)
	switch {
	case is == command.OnceDone && seen != fingerprint:
		return resp.ErrorReply(errOnceMismatch)
	case is == command.OnceDone:
		if v, no := ctx.Refusal(command.ReplyCost(reply), 1); no {
			return v
		}
		return reply
	case is != command.OnceNew:
		return resp.ErrorReply(is.Err())
	}
	if err := ctx.Growth(); err != nil && op.spec.Flags.Has(command.DenyOOM) {
		return resp.ErrorReply(err)
	}
	inner, err := op.spec.Parse(op.inner)
	if err != nil {
		return resp.ErrorReply(err)
	}
	// The reply stays, so it must have room in the memory for ids as well.
	ctx.OnceID = op.id
	defer func() { ctx.OnceID = nil }()
	if v, no := ctx.Refused(inner); no {
		return v
	}
	reply = inner.Run(ctx)
	if unrun(reply) {
		return reply // found out by a command within (FENCED, LS.TXN), which then did nothing
	}
	ctx.Once.Finish(op.id, ctx.Owner, op.spec.SlotOf(op.inner), ctx.Mono, fingerprint, reply)
	return reply
}

// recallOnce answers a repetition of ONCE without the log, as Run does. It reports false for
// a command that is new: it has to be logged.
func recallOnce(t *command.Table, ctx *command.Ctx, args command.Args) (reply resp.Value, ran bool) {
	sp, err := checkOnce(t, args)
	if err != nil || ctx.Records == nil {
		return resp.Value{}, false
	}
	op := onceOp{id: args[1], inner: args[2:], spec: sp}
	reply, seen, is := ctx.Records.Recorded(op.id)
	switch {
	case is == command.OnceDone && seen != op.fingerprint():
		return resp.ErrorReply(errOnceMismatch), true
	case is == command.OnceForgotten:
		return resp.ErrorReply(is.Err()), true
	}
	return reply, is == command.OnceDone
}

// unrun tells the errors of a command that did nothing for want of memory or disk.
func unrun(reply resp.Value) bool {
	if !reply.IsError() {
		return false
	}
	return resp.Error(reply.Str).Code() == command.CodeOOM || command.RepliesFull(reply) || onceNoRoom(reply)
}

// onceNoRoom reports whether v says that a reply could not be remembered.
func onceNoRoom(v resp.Value) bool {
	return string(v.Str) == command.OnceFull.Err().Error() || string(v.Str) == command.OnceShare.Err().Error()
}

// fingerprint tells the commands under an id apart.
func (op *onceOp) fingerprint() uint64 {
	words := op.inner
	if n := op.spec.PrintArgs; n > 0 {
		words = words[:n]
	}
	return fingerprint(op.spec.Name, words[1:])
}

// fingerprint tells commands apart: two with the same words in other places
// differ. It is stored, so it must not change.
func fingerprint(name string, args command.Args) uint64 {
	var d xxhash.Digest
	d.Reset()
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], uint64(len(name)))
	_, _ = d.Write(n[:])
	_, _ = d.WriteString(name)
	for _, a := range args {
		binary.LittleEndian.PutUint64(n[:], uint64(len(a)))
		_, _ = d.Write(n[:])
		_, _ = d.Write(a)
	}
	return d.Sum64()
}
