package router

import (
	"context"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

type handlerFunc func(*Router, context.Context, *Session, command.Args) resp.Value

// handlers returns what runs each connection and server command, by full name.
// Inline ones neither see nor change data, so they overtake what is before them
// in a pipeline; alone ones change how replies are written.
func handlers() map[string]handler {
	hs := map[string]handler{
		"client|reply": {run: doClientReply, alone: true, replies: true},
		"lock":         {run: doLock, once: doOnceLock},
	}
	inline := map[string]handlerFunc{
		"multi": doMulti, "discard": doDiscard, "unwatch": doUnwatch,
		"ping": doPing, "echo": doEcho, "select": doSelect, "auth": doAuth,
		"client|id": doClientID, "client|setname": doClientSetname, "client|getname": doClientGetname, "client|setinfo": doClientSetinfo,
		"client|info": doClientInfo, "client|list": doClientList,
		"command": doCommand, "command|count": doCommandCount, "command|info": doCommandInfo, "command|docs": doCommandDocs,
		"command|list": doCommandList, "command|getkeys": doCommandGetkeys, "command|getkeysandflags": doCommandGetkeysAndFlags,
		"cluster|info": doClusterInfo, "cluster|nodes": doClusterNodes, "cluster|slots": doClusterSlots, "cluster|shards": doClusterShards,
		"cluster|myid": doClusterMyID, "cluster|keyslot": doClusterKeyslot,
	}
	inOrder := map[string]handlerFunc{
		"watch": doWatch, "readonly": doReadonly, "readwrite": doReadwrite, "time": doTime, "wait": doWait,
		"client|kill": doClientKill, "client|no-evict": doClientNoEvict, "client|no-touch": doClientNoTouch,
		"config|get": doConfigGet, "config|set": doConfigSet, "config|resetstat": doConfigResetstat, "config|rewrite": doConfigRewrite,
		"info":        doInfo,
		"slowlog|get": doSlowlogGet, "slowlog|len": doSlowlogLen, "slowlog|reset": doSlowlogReset,
		"latency|latest": doLatencyLatest, "latency|history": doLatencyHistory, "latency|reset": doLatencyReset,
		"latency|doctor": doLatencyDoctor, "latency|histogram": doLatencyHistogram, "latency|graph": doLatencyGraph,
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
