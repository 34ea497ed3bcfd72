package router

import (
	"context"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

type handlerFunc func(*Router, context.Context, *Session, command.Args) resp.Value

// handlers returns what runs the commands that concern the connection and the way to the
// shards, by full name; rooms run the rest. Inline ones neither see nor change data, so
// they overtake what is before them in a pipeline; alone ones change how replies are
// written.
func handlers() map[string]handler {
	hs := map[string]handler{"lock": {run: doLock, once: doOnceLock}}
	inline := map[string]handlerFunc{
		"multi": doMulti, "discard": doDiscard, "unwatch": doUnwatch,
		"ping": doPing, "echo": doEcho, "select": doSelect, "auth": doAuth,
		"cluster|info": doClusterInfo, "cluster|nodes": doClusterNodes, "cluster|slots": doClusterSlots, "cluster|shards": doClusterShards,
		"cluster|myid": doClusterMyID, "cluster|keyslot": doClusterKeyslot,
	}
	inOrder := map[string]handlerFunc{
		"watch": doWatch, "readonly": doReadonly, "readwrite": doReadwrite,
		"cluster|countkeysinslot": doClusterCountKeysInSlot, "cluster|getkeysinslot": doClusterGetKeysInSlot,
	}
	alone := map[string]handlerFunc{"hello": doHello, "reset": doReset, "quit": doQuit}
	for name, f := range inline {
		hs[name] = handler{run: f, inline: true}
	}
	for name, f := range inOrder {
		hs[name] = handler{run: f}
	}
	for name, f := range alone {
		hs[name] = handler{run: f, alone: true}
	}
	return hs
}

// handlerOf returns what runs sp, a subcommand of container unless that is nil.
func (r *Router) handlerOf(hs map[string]handler, sp, container *command.Spec) handler {
	switch {
	case sp.Flags.Has(command.ClusterOnly) && !r.cluster:
		return handler{run: refuseCluster, inline: true}
	case sp.Flags.Has(command.Connection | command.Help):
		return helpOf(container)
	}
	return hs[sp.Name]
}

// refuseCluster is in place of what runs CLUSTER. READONLY is not refused: it is how a
// connection asks for reads of this node's memory.
func refuseCluster(*Router, context.Context, *Session, command.Args) resp.Value { return errNoCluster }

// helpOf explains a container.
func helpOf(container *command.Spec) handler {
	return handler{inline: true, run: func(*Router, context.Context, *Session, command.Args) resp.Value {
		return container.Help()
	}}
}
