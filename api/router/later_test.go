package router_test

import (
	"context"
	"testing"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/strings"
	"github.com/lockstepkv/lockstep/resp"
)

// slowOp is a read whose reply is made by fn, later where that is possible.
type slowOp struct{ slow *slow }

type slow struct {
	fn       func() resp.Value
	released int
}

func (op slowOp) Run(ctx *command.Ctx) resp.Value {
	if ctx.Rest == nil {
		return resp.Simple("at once")
	}
	return ctx.Leave(op.slow.fn, func() { op.slow.released++ })
}

// TestLongRepliesAreMadeWithoutTheLock: a write comes through while one is being made.
func TestLongRepliesAreMadeWithoutTheLock(t *testing.T) {
	s := new(slow)
	table := command.NewTable(strings.Commands, router.Commands, func(*command.Table) []*command.Spec {
		return []*command.Spec{{
			Name: "slow", Group: "lockstep", Arity: 2, Flags: command.ReadOnly, Keys: command.OneKey(command.RO),
			Parse: func(command.Args) (command.Op, error) { return slowOp{s}, nil },
		}}
	})
	node := routertest.New(table, routertest.Options{})
	r, err := router.New(node, table, router.Config{})
	if err != nil {
		t.Fatal(err)
	}
	session, other := r.NewSession("127.0.0.1:1", router.KindRESP), r.NewSession("127.0.0.1:2", router.KindRESP)
	defer session.Close()
	defer other.Close()
	ctx := context.Background()
	s.fn = func() resp.Value {
		if v := r.Do(ctx, other, routertest.Cmd("SET k v")); v.IsError() { // it would hang
			t.Errorf("SET = %s", v.Str)
		}
		return resp.Simple("later")
	}
	if got := routertest.Show(r.Do(ctx, session, routertest.Cmd("SLOW k"))); got != "+later" || s.released != 1 {
		t.Errorf("SLOW = %s, released %d times", got, s.released)
	}
	if got := routertest.Show(r.Do(ctx, other, routertest.Cmd("GET k"))); got != "v" {
		t.Errorf("GET = %s", got)
	}
	for _, line := range []string{"MULTI", "SLOW k"} {
		r.Do(ctx, session, routertest.Cmd(line))
	}
	if got := routertest.Show(r.Do(ctx, session, routertest.Cmd("EXEC"))); got != "[+at once]" {
		t.Errorf("in a transaction: %s", got)
	}
	web := r.NewSession("127.0.0.1:3", router.KindHTTP) // where replies have a bound
	defer web.Close()
	if got := routertest.Show(r.Do(ctx, web, routertest.Cmd("SLOW k"))); got != "+at once" {
		t.Errorf("over HTTP: %s", got)
	}
}
