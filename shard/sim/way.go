package sim

import (
	"context"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/wait"
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/shard"
)

// Way is how clients of a node come to the shard: by its replica, or from afar.
type Way interface {
	Propose(ctx context.Context, b command.Batch) ([]resp.Value, error)
	Watch(topic wait.Topic) (events <-chan wait.Event, stop func())
	Origin() (node string, boot uint64)
	ask(ctx context.Context, args command.Args) (resp.Value, error)
}

// WayOf returns that of a node.
func WayOf(n *shard.Node) Way {
	if g := n.Group(0); g != nil {
		return here{g}
	}
	return afar{n.Remotes()[0]}
}

type here struct{ *shard.Group }

func (h here) ask(ctx context.Context, args command.Args) (resp.Value, error) {
	q := command.Single{Args: args}
	_, err := h.Read(ctx, command.ReadOptions{}, q.Query().Run)
	return q.Reply, err
}

type afar struct{ *shard.Remote }

func (a afar) ask(ctx context.Context, args command.Args) (resp.Value, error) {
	q := command.Single{Args: args}
	_, err := a.Read(ctx, command.ReadOptions{}, &q)
	return q.Reply, err
}
