package router

import (
	"context"
	"slices"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// Commands are those of the connection and of the way to the shards, which the router runs
// itself; rooms run the others that a node answers.
func Commands(*command.Table) []*command.Spec { return SpecsOf(commands()) }

func commands() []Command[*Router] {
	return slices.Concat(connectionCommands(), clusterCommands(), transactionCommands())
}

// handlers are those of all commands, the router's own and those of rooms, by full name.
func (r *Router) handlers(rooms []Room) (map[string]handler, error) {
	hs := map[string]handler{"lock": {Handler: Handler{Run: r.lock}, once: r.onceLock}} // waits, and then runs in the log
	for name, h := range HandlersOf(commands(), r) {
		hs[name] = handler{Handler: h}
	}
	return hs, r.furnish(hs, rooms)
}

// handlerOf returns what runs sp, a subcommand of container unless that is nil.
func (r *Router) handlerOf(hs map[string]handler, sp, container *command.Spec) handler {
	switch {
	case sp.Flags.Has(command.ClusterOnly) && !r.cluster:
		return handler{Handler: Handler{Run: refuseCluster, Inline: true}}
	case sp.Flags.Has(command.Connection | command.Help):
		return handler{Handler: Handler{Run: helpOf(container), Inline: true}}
	}
	return hs[sp.Name]
}

// refuseCluster is in place of what runs CLUSTER. READONLY is not refused: it is how a
// connection asks for reads of this node's memory.
func refuseCluster(context.Context, *Session, command.Args) resp.Value { return errNoCluster }

// helpOf explains a container.
func helpOf(container *command.Spec) func(context.Context, *Session, command.Args) resp.Value {
	return func(context.Context, *Session, command.Args) resp.Value { return container.Help() }
}
