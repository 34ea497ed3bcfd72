// Package commandtest has what tests of commands share: a context as in the log, a real Redis
// to compare with, and a generator of commands. It knows no table, so that the tests of every
// group can use it.
package commandtest

import (
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

// Line splits a command at spaces; ” stands for an empty argument.
func Line(s string) command.Args {
	var args command.Args
	for _, w := range strings.Fields(s) {
		if w == "''" {
			w = ""
		}
		args = append(args, []byte(w))
	}
	return args
}

// Now is the time of NewCtx, in Unix milliseconds.
const Now = 1_700_000_000_000

// NewCtx is a context as in the log, at Now.
func NewCtx(table *command.Table) *command.Ctx {
	limits := store.DefaultLimits()
	return &command.Ctx{
		Limits: &limits,
		Table:  table, Store: store.New(store.DefaultOptions()),
		Now: Now, Wall: Now, Mono: Now, MonoAhead: Now, InLog: true, Seed: 1, Once: OnceMap{},
	}
}

// Do runs a command that is written as a line.
func Do(ctx *command.Ctx, s string) resp.Value { return ctx.Table.Exec(ctx, Line(s)) }

// Show is what a client of RESP2 gets.
func Show(v resp.Value) string { return string(resp.Append(nil, v, 2)) }

// Same compares replies by what RESP2 makes of them.
func Same(a, b resp.Value) bool { return Show(a) == Show(b) }

// Exchange is a command and its reply.
type Exchange [2]string

// RunExchanges runs commands one after the other.
func RunExchanges(t *testing.T, ctx *command.Ctx, list []Exchange) {
	t.Helper()
	for _, c := range list {
		if got := Show(Do(ctx, c[0])); got != c[1] {
			t.Errorf("%s = %q, want %q", c[0], got, c[1])
		}
	}
}

// OnceMap remembers every id.
type OnceMap map[string]OnceRecord

// OnceRecord is what is remembered of an id.
type OnceRecord struct {
	Reply       resp.Value
	Fingerprint uint64
	Forgotten   bool
}

// Begin implements command.OnceTable.
func (m OnceMap) Begin(id, _ []byte) (resp.Value, uint64, command.OnceState) {
	switch r, ok := m[string(id)]; {
	case !ok:
		return resp.Value{}, 0, command.OnceNew
	case r.Forgotten:
		return resp.Value{}, 0, command.OnceForgotten
	default:
		return r.Reply, r.Fingerprint, command.OnceDone
	}
}

// Forget implements command.OnceTable.
func (m OnceMap) Forget(id []byte) { delete(m, string(id)) }

// Room implements command.OnceTable.
func (m OnceMap) Room(_, _ []byte, _ int) command.OnceState { return command.OnceNew }

// Finish implements command.OnceTable.
func (m OnceMap) Finish(id, _ []byte, _ uint16, _ int64, fingerprint uint64, reply resp.Value) {
	m[string(id)] = OnceRecord{Reply: reply, Fingerprint: fingerprint}
}
