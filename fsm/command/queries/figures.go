package queries

import (
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// ShardFigures are what a replica of a shard holds.
type ShardFigures struct {
	Keys, Volatile int
	Used           int64
	AverageTTL     int64 // milliseconds, of the volatile keys
	Locks, Waiters int
	LockBytes      int64
}

// Figures asks a replica what it holds.
func Figures() *command.Single { return ask(nameFigures) }

// FiguresIn reads the answer to Figures.
func FiguresIn(v resp.Value) (f ShardFigures, err error) {
	switch {
	case v.IsError():
		return f, resp.Error(v.Str)
	case len(v.Elems) != 7:
		return f, errShape
	}
	n := func(i int) int64 { return v.Elems[i].Int }
	return ShardFigures{
		Keys: int(n(0)), Volatile: int(n(1)), Used: n(2), AverageTTL: n(3),
		Locks: int(n(4)), Waiters: int(n(5)), LockBytes: n(6),
	}, nil
}

var specFigures = &command.Spec{
	Name: nameFigures, Group: "lockstep", Arity: 1, Since: "0.1.0", Flags: reads,
	Summary: "Answers what this replica of the shard holds.",
	Parse:   func(command.Args) (command.Op, error) { return figuresOp{}, nil },
}

type figuresOp struct{}

func (figuresOp) Run(ctx *command.Ctx) resp.Value {
	s := ctx.Store
	list := []int64{int64(s.Len()), int64(s.VolatileLen()), s.Used(), s.AverageTTL(ctx.Wall), 0, 0, 0}
	if l := ctx.Locks; l != nil {
		list[4], list[5], list[6] = int64(l.Len()), int64(l.Waiters()), l.Bytes()
	}
	values := make([]resp.Value, len(list))
	for i, n := range list {
		values[i] = resp.Int(n)
	}
	return resp.Array(values...)
}
