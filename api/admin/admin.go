package admin

import (
	"slices"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// admin runs the commands about this node and its clients.
type admin struct {
	router.Services
	slowlog slowlog
	latency latencyMonitor
}

// Room is this package for the router.
func Room() router.Room {
	return router.Room{
		Commands: func(*command.Table) []*command.Spec { return router.SpecsOf(commands()) },
		Open: func(s router.Services) router.Offer {
			a := &admin{Services: s}
			return router.Offer{Slow: a, Handlers: router.HandlersOf(commands(), a)}
		},
	}
}

// commands are all, in the order in which COMMAND shows them.
func commands() []router.Command[*admin] {
	return slices.Concat(
		clientCommands(), tableCommands(), infoCommands(), configCommands(), serverCommands(), slowlogCommands(), latencyCommands(),
	)
}

// Errors in Redis's words.
var (
	errSyntax     = resp.ErrorReply(command.ErrSyntax)
	errNotInteger = resp.ErrorReply(command.ErrNotInteger)
)

func arity(name string) resp.Value { return resp.ErrorReply(command.ErrArity(name)) }
