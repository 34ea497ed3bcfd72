package router

import (
	"context"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// Command is a command that a node answers without the log, since it concerns a connection or
// the node: what it is, and beside that what runs it. T is who runs it: the router, or a room.
type Command[T any] struct {
	command.Spec // without Sub, which stands below

	// Run is nil where there is nothing to run but subcommands, for HELP, and for what runs
	// the queue.
	Run func(T, context.Context, *Session, command.Args) resp.Value

	Inline, Alone, Replies bool // see Handler

	Sub []Command[T]
}

// SpecsOf returns what commands are, for a table of them.
func SpecsOf[T any](list []Command[T]) []*command.Spec {
	specs := make([]*command.Spec, len(list))
	for i := range list {
		sp := list[i].Spec
		if len(list[i].Sub) > 0 {
			sp.Sub = SpecsOf(list[i].Sub)
		}
		specs[i] = &sp
	}
	return specs
}

// HandlersOf returns what runs commands, in the hands of on, by their full names.
func HandlersOf[T any](list []Command[T], on T) map[string]Handler {
	hs := make(map[string]Handler)
	for _, c := range list {
		for name, h := range HandlersOf(c.Sub, on) {
			hs[name] = h
		}
		if c.Run == nil {
			continue
		}
		hs[c.Name] = Handler{Inline: c.Inline, Alone: c.Alone, Replies: c.Replies,
			Run: func(ctx context.Context, s *Session, args command.Args) resp.Value { return c.Run(on, ctx, s, args) }}
	}
	return hs
}
