package hll

import (
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
	"github.com/lockstepkv/lockstep/store/value/hll"
)

const (
	errNoKey     = resp.Error("ERR The specified key does not exist")
	errNotSparse = resp.Error("ERR HLL encoding is not sparse")
	errSelfTest  = resp.Error("TESTFAILED HyperLogLogs are not counted right")
)

var specPFDebug = &command.Spec{
	Name: "pfdebug", Group: "hyperloglog", Arity: 3, Since: "2.8.9",
	Flags: command.Write | command.DenyOOM | command.Admin, ACL: []string{"hyperloglog"},
	Keys:    command.SecondKey(command.RW | command.Access),
	Summary: "Looks into a HyperLogLog: its registers, which become dense; its runs; its encoding; or makes it dense.",
	Args:    []command.Arg{command.String("subcommand").As("GETREG | DECODE | ENCODING | TODENSE"), command.Key("key")},
	Parse:   func(args command.Args) (command.Op, error) { return debugOp{args[1], args[2]}, nil },
}

type debugOp struct{ ask, key []byte }

func (op debugOp) Run(ctx *command.Ctx) resp.Value {
	e := ctx.Lookup(op.key)
	if e == nil {
		return resp.ErrorReply(errNoKey)
	}
	s, err := ownSketch(ctx, e)
	if err != nil {
		return refusal(err)
	}
	switch {
	case command.IsWord(op.ask, "GETREG"):
		return getRegisters(ctx, e, s)
	case command.IsWord(op.ask, "DECODE"):
		if s.Dense() {
			return resp.ErrorReply(errNotSparse)
		}
		return resp.BulkString(s.Runs())
	case command.IsWord(op.ask, "ENCODING"):
		if s.Dense() {
			return resp.Simple("dense")
		}
		return resp.Simple("sparse")
	case command.IsWord(op.ask, "TODENSE"):
		did, err := makeDense(ctx, e, &s)
		if err != nil {
			return refusal(err)
		}
		return command.BoolReply(did)
	}
	return resp.ErrorReply(resp.Error("ERR Unknown PFDEBUG subcommand '" + command.Quotable(op.ask, 128) + "'"))
}

// makeDense stores s, a copy of what e holds, as a dense one, and reports whether it was not.
func makeDense(ctx *command.Ctx, e *store.Entry, s *hll.Sketch) (did bool, err error) {
	if s.Dense() {
		return false, nil
	}
	if err := s.MakeDense(); err != nil {
		return false, err
	}
	ctx.Put([]byte(e.Key()), s.Bytes(), e.ExpireAt(), true)
	return true, nil
}

func getRegisters(ctx *command.Ctx, e *store.Entry, s hll.Sketch) resp.Value {
	if _, err := makeDense(ctx, e, &s); err != nil {
		return refusal(err)
	}
	var m hll.Registers
	if err := m.Merge(s); err != nil {
		return refusal(err)
	}
	values := make([]resp.Value, len(m))
	for i, rank := range m {
		values[i] = resp.Int(int64(rank))
	}
	return resp.Array(values...)
}

// ReplySize is that of GETREG.
func (op debugOp) ReplySize(*command.Ctx) (bytes, values int) {
	if !command.IsWord(op.ask, "GETREG") {
		return 0, 0
	}
	n := len(hll.Registers{})
	return command.ValueBytes * (n + 1), n
}

// specPFSelfTest touches no key: any shard answers it like a read.
var specPFSelfTest = &command.Spec{
	Name: "pfselftest", Group: "hyperloglog", Arity: 1, Since: "2.8.9",
	Flags: command.ReadOnly | command.Admin | command.Help, ACL: []string{"hyperloglog"},
	Summary: "Counts some elements in HyperLogLogs of both encodings, and answers OK if the estimates are near.",
	Parse:   func(command.Args) (command.Op, error) { return selfTestOp{}, nil },
}

type selfTestOp struct{}

func (selfTestOp) Run(*command.Ctx) resp.Value {
	if !hll.SelfTest() {
		return resp.ErrorReply(errSelfTest)
	}
	return resp.OK
}
