package admin

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"github.com/lockstepkv/lockstep/api/request"
	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// slowlogCommands shows what took long.
func slowlogCommands() []router.Command[*admin] {
	return []router.Command[*admin]{
		{
			Spec: command.Spec{
				Name: "slowlog", Group: "server", Arity: -2, Since: "2.2.12",
				Flags:   command.Connection,
				Summary: "Shows the commands that took long.",
			},
			Sub: []router.Command[*admin]{
				{
					Spec: command.Spec{
						Name: "slowlog|get", Group: "server", Arity: -2, Since: "2.2.12",
						Flags:   command.Connection | command.Admin | command.Loading | command.StaleOK,
						Summary: "Answers the newest slow commands.",
						Args:    []command.Arg{command.Opt(command.Integer("count"))},
					},
					Run: (*admin).slowlogGet,
				},
				{
					Spec: command.Spec{
						Name: "slowlog|help", Group: "server", Arity: 2, Since: "6.2.0",
						Flags:   command.Connection | command.Loading | command.StaleOK | command.Help,
						Summary: "Answers this overview.",
					},
				},
				{
					Spec: command.Spec{
						Name: "slowlog|len", Group: "server", Arity: 2, Since: "2.2.12",
						Flags:   command.Connection | command.Admin | command.Loading | command.StaleOK,
						Summary: "Answers the number of slow commands kept.",
					},
					Run: (*admin).slowlogLen,
				},
				{
					Spec: command.Spec{
						Name: "slowlog|reset", Group: "server", Arity: 2, Since: "2.2.12",
						Flags:   command.Connection | command.Admin | command.Loading | command.StaleOK,
						Summary: "Forgets the slow commands.",
					},
					Run: (*admin).slowlogReset,
				},
			},
		},
	}
}

// Redis shows at most 32 arguments of at most 128 bytes in its slow log.
const (
	slowlogMaxArgs = 32
	slowlogMaxArg  = 128
)

// slowlog holds the newest commands that took too long, as SLOWLOG shows them.
type slowlog struct {
	mu      sync.Mutex
	nextID  int64
	entries []slowEntry // newest last
}

type slowEntry struct {
	id     int64
	at     int64 // Unix seconds
	micros int64
	args   []string
	addr   string
	name   string
}

// Slow notes a run of commands, under its first one.
func (a *admin) Slow(run router.SlowRun) {
	e := slowEntry{at: a.Facts.Now().Unix(), micros: run.Took.Microseconds(), args: slowArgs(run.Args, run.Commands), addr: run.Addr, name: run.Name}
	a.slowlog.add(e, a.Settings.Load().SlowlogMaxLen)
}

// slowArgs copies what the slow log shows of a command.
func slowArgs(args command.Args, n int) []string {
	shown := args
	if len(args) > slowlogMaxArgs {
		shown = args[:slowlogMaxArgs-1]
	}
	out := make([]string, 0, len(shown)+2)
	for _, a := range shown {
		if len(a) > slowlogMaxArg {
			out = append(out, fmt.Sprintf("%s... (%d more bytes)", a[:slowlogMaxArg], len(a)-slowlogMaxArg))
			continue
		}
		out = append(out, string(a))
	}
	if more := len(args) - len(shown); more > 0 {
		out = append(out, fmt.Sprintf("... (%d more arguments)", more))
	}
	if n > 1 {
		out = append(out, fmt.Sprintf("... (%d more commands of the same batch)", n-1))
	}
	return out
}

func (l *slowlog) add(e slowEntry, maxLen int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.id = l.nextID
	l.nextID++
	l.entries = append(l.entries, e)
	if over := len(l.entries) - maxLen; over > 0 {
		l.entries = append([]slowEntry(nil), l.entries[over:]...)
	}
}

// newest returns up to n entries, newest first.
func (l *slowlog) newest(n int) []slowEntry {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n < 0 || n > len(l.entries) {
		n = len(l.entries)
	}
	out := make([]slowEntry, 0, n)
	for i := range n {
		out = append(out, l.entries[len(l.entries)-1-i])
	}
	return out
}

func (a *admin) slowlogGet(_ context.Context, _ *router.Session, args command.Args) resp.Value {
	n := 10
	if len(args) > 3 {
		return arity("slowlog|get")
	}
	if len(args) == 3 {
		v, err := strconv.Atoi(string(args[2]))
		if err != nil || v < -1 {
			return request.CodeError.Reply("count should be greater than or equal to -1")
		}
		n = v
	}
	var out []resp.Value
	for _, e := range a.slowlog.newest(n) {
		argv := make([]resp.Value, len(e.args))
		for i, a := range e.args {
			argv[i] = resp.BulkString(a)
		}
		out = append(out, resp.Array(resp.Int(e.id), resp.Int(e.at), resp.Int(e.micros),
			resp.Array(argv...), resp.BulkString(e.addr), resp.BulkString(e.name)))
	}
	return resp.Array(out...)
}

func (a *admin) slowlogLen(_ context.Context, _ *router.Session, _ command.Args) resp.Value {
	a.slowlog.mu.Lock()
	defer a.slowlog.mu.Unlock()
	return resp.Int(int64(len(a.slowlog.entries)))
}

func (a *admin) slowlogReset(_ context.Context, _ *router.Session, _ command.Args) resp.Value {
	a.slowlog.mu.Lock()
	defer a.slowlog.mu.Unlock()
	a.slowlog.entries = nil
	return resp.OK
}
