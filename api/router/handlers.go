package router

import (
	"context"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// handlers returns what runs each connection and server command, by full name.
func handlers() map[string]handler {
	inline := func(f func(*Router, context.Context, *Session, command.Args) resp.Value) handler {
		return handler{run: f, inline: true}
	}
	after := func(f func(*Router, context.Context, *Session, command.Args) resp.Value) handler {
		return handler{run: f}
	}
	return map[string]handler{
		"multi":       inline(doMulti),
		"discard":     inline(doDiscard),
		"watch":       after(doWatch),
		"unwatch":     inline(doUnwatch),
		"slowlog|get": after(doSlowlogGet),
	}
}
