package router_test

import (
	"context"
	"testing"

	"github.com/lockstepkv/lockstep/api/rooms"
	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// fullNode is a node whose shard has no room for replies at first.
type fullNode struct {
	*routertest.Node
	refusals int
}

type fullShard struct {
	router.Shard
	n *fullNode
}

func (n *fullNode) Shards() []router.Shard { return []router.Shard{fullShard{n.Node.Shards()[0], n}} }

func (s fullShard) Propose(ctx context.Context, b command.Batch) ([]resp.Value, error) {
	if s.n.refusals--; s.n.refusals >= 0 {
		return []resp.Value{resp.Err("TRYAGAIN replies: full")}, nil
	}
	return s.Shard.Propose(ctx, b)
}

// The replies to other clients cost a command a little time, not an error.
func TestCommandWaitsForRoomForItsReply(t *testing.T) {
	table := rooms.Table()
	node := &fullNode{Node: routertest.New(table, routertest.Options{}), refusals: 3}
	r := routertest.Open(t, node, table, router.Config{})
	s := r.NewSession("127.0.0.1:1", router.KindRESP)
	defer s.Close()
	if v := r.Do(t.Context(), s, command.Args{[]byte("GETEX"), []byte("k")}); !v.IsNil() {
		t.Errorf("got %q", v.Str)
	}
}
