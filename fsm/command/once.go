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
// command that was refused before it ran (malformed, out of memory) leaves no
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
	case is == OnceForgotten:
		return errorReply(errOnceForgotten)
	case is == OnceFull:
		return errorReply(errOnceFull)
	case is == OnceShare:
		return errorReply(errOnceShare)
	}
	if op.spec.Flags.Has(DenyOOM) && ctx.outOfMemory() {
		return errorReply(errOOM)
	}
	inner, err := op.spec.Parse(op.inner)
	if err != nil {
		return errorReply(err)
	}
	if v, no := ctx.refused(inner); no {
		return v
	}
	reply = inner.Run(ctx)
	if reply.IsError() && (resp.Error(reply.Str).Code() == codeOOM || RepliesFull(reply)) {
		return reply // found out by a command within (FENCED, LS.TXN), which then did nothing
	}
	ctx.Once.Finish(op.id, ctx.Owner, ctx.Mono, print, reply)
	return reply
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
