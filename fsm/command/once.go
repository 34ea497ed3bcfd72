package command

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/lockstepkv/lockstep/resp"
)

// maxOnceID bounds an idempotency id, in bytes.
const maxOnceID = 256

// onceSpec needs the table because its keys are those of the inner command.
func onceSpec(t *Table) *Spec {
	return &Spec{
		Name: "once", Group: "lockstep", Arity: -3, Since: "0.1.0",
		Flags: Write | MovableKeys | NoMulti | Owned, ACL: []string{"write", "slow"},
		Summary: "Runs a write command at most once per idempotency id; a retry gets the reply of the first run.",
		Syntax:  "id command [argument ...]",
		FindKeys: func(args Args) ([][]byte, error) {
			sp, err := t.checkOnce(args)
			if err != nil {
				return nil, err
			}
			return sp.KeysOf(args[2:])
		},
		Parse: func(args Args) (Op, error) {
			sp, err := t.checkOnce(args)
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
func (t *Table) checkOnce(args Args) (*Spec, error) {
	if len(args) < 3 {
		return nil, errEmptyCommand
	}
	if id := args[1]; len(id) == 0 || len(id) > maxOnceID {
		return nil, errOnceID
	}
	sp, err := t.Check(args[2:])
	if err != nil {
		return nil, err
	}
	if !sp.IsData() || !sp.Flags.Has(Write) || sp.Flags.Has(NoMulti) || sp.Keys.First == 0 && sp.FindKeys == nil {
		return nil, errOnceCommand
	}
	return sp, nil
}

type onceOp struct {
	id    []byte
	inner Args
	spec  *Spec
}

// Run remembers what the command answered, an error from its Run included. A
// command that was refused before it ran (malformed, no memory, no room on disk) leaves no
// record: the same id may be used for it again.
func (op *onceOp) Run(ctx *Ctx) resp.Value {
	if ctx.Once == nil {
		return errorReply(errOnceLog)
	}
	print := op.fingerprint()
	reply, seen, is := ctx.Once.Begin(op.id, ctx.Owner)
	switch {
	case is == OnceDone && seen != print:
		return errorReply(errOnceMismatch)
	case is == OnceDone:
		if v, no := ctx.refusal(ReplyCost(reply), 1); no {
			return v
		}
		return reply
	case is != OnceNew:
		return errorReply(onceError(is))
	}
	if err := ctx.growth(); err != nil && op.spec.Flags.Has(DenyOOM) {
		return errorReply(err)
	}
	inner, err := op.spec.Parse(op.inner)
	if err != nil {
		return errorReply(err)
	}
	// The reply stays, so it must have room in the memory for ids as well.
	ctx.onceID = op.id
	defer func() { ctx.onceID = nil }()
	if v, no := ctx.refused(inner); no {
		return v
	}
	reply = inner.Run(ctx)
	if unrun(reply) {
		return reply // found out by a command within (FENCED, LS.TXN), which then did nothing
	}
	ctx.Once.Finish(op.id, ctx.Owner, ctx.Mono, print, reply)
	return reply
}

// unrun tells the errors of a command that did nothing for want of memory or disk.
func unrun(reply resp.Value) bool {
	if !reply.IsError() {
		return false
	}
	return resp.Error(reply.Str).Code() == codeOOM || RepliesFull(reply) || onceNoRoom(reply)
}

// onceNoRoom reports whether v says that a reply could not be remembered.
func onceNoRoom(v resp.Value) bool {
	return string(v.Str) == string(errOnceFull) || string(v.Str) == string(errOnceShare)
}

// onceError is why a command does not run under an id, or nil.
func onceError(is OnceState) error {
	switch is {
	case OnceForgotten:
		return errOnceForgotten
	case OnceFull:
		return errOnceFull
	case OnceShare:
		return errOnceShare
	}
	return nil
}

func (op *onceOp) fingerprint() uint64 {
	if n := op.spec.PrintArgs; n > 0 {
		return fingerprint(op.inner[:n])
	}
	return fingerprint(op.inner)
}

// fingerprint tells commands apart: two with the same words in other places
// differ. It is stored, so it must not change.
func fingerprint(args Args) uint64 {
	var d xxhash.Digest
	d.Reset()
	var n [8]byte
	for i, a := range args {
		binary.LittleEndian.PutUint64(n[:], uint64(len(a)))
		_, _ = d.Write(n[:])
		if i == 0 {
			var buf [maxNameLen]byte
			a = lower(buf[:], a)
		}
		_, _ = d.Write(a)
	}
	return d.Sum64()
}
