package admin

import (
	"context"
	"strconv"

	"github.com/lockstepkv/lockstep/api/request"
	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// serverCommands are the short ones about this node.
func serverCommands() []router.Command[*admin] {
	return []router.Command[*admin]{
		{
			Spec: command.Spec{
				Name: "time", Group: "server", Arity: 1, Since: "2.6.0",
				Flags:   command.Connection | command.Loading | command.StaleOK | command.Fast,
				Summary: "Answers this node's clock: Unix seconds, and microseconds within the second.",
			},
			Run: (*admin).time,
		},
		{
			Spec: command.Spec{
				Name: "wait", Group: "generic", Arity: 3, Since: "3.0.0",
				Flags: command.Connection | command.NoScript, ACL: []string{"connection"},
				Summary: "Answers the number of replicas that have the writes of this connection: an acknowledged write is on a quorum.",
				Args:    []command.Arg{command.Integer("numreplicas"), command.Integer("timeout")},
			},
			Run: (*admin).wait,
		},
	}
}

func (a *admin) time(_ context.Context, _ *router.Session, _ command.Args) resp.Value {
	now := a.Facts.Now()
	return resp.Array(resp.BulkString(strconv.FormatInt(now.Unix(), 10)),
		resp.BulkString(strconv.Itoa(now.Nanosecond()/1000)))
}

// wait answers how many replicas surely have the writes of this connection
// besides the leader: an acknowledged write is on a quorum.
func (a *admin) wait(_ context.Context, _ *router.Session, args command.Args) resp.Value {
	if _, err := strconv.ParseInt(string(args[1]), 10, 64); err != nil {
		return errNotInteger
	}
	millis, err := strconv.ParseInt(string(args[2]), 10, 64)
	switch {
	case err != nil:
		return request.CodeError.Reply("timeout is not an integer or out of range")
	case millis < 0:
		return request.CodeError.Reply("timeout is negative")
	}
	fewest := -1
	for _, sh := range a.Cluster.Cluster().Shards {
		if n := len(sh.Replicas) / 2; fewest < 0 || n < fewest {
			fewest = n
		}
	}
	return resp.Int(int64(max(fewest, 0)))
}
