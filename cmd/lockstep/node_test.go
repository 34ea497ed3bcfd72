package main

import (
	"testing"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/internal/config"
	"github.com/lockstepkv/lockstep/shard"
)

// A node says no more of others than it knows.
func TestStatesOfNodes(t *testing.T) {
	cfg, err := load(t)
	if err != nil {
		t.Fatal(err)
	}
	opening := newNode(self(cfg), viewOf([]config.Member{{ID: cfg.Node.ID}, {ID: "other", PeerAddr: "h:3"}}, 1)).Cluster()
	if got := opening.Nodes; got[0].State != router.StateStarting || got[1].State != router.StateUnknown || got[1].Peer != "h:3" {
		t.Errorf("a node that opens its data says %+v", got)
	}
	for _, c := range []struct {
		up, starting bool
		want         string
	}{{true, false, router.StateUp}, {true, true, router.StateStarting}, {false, true, router.StateDown}, {false, false, router.StateDown}} {
		if got := stateOf(shard.Replica{NodeInfo: shard.NodeInfo{Starting: c.starting}, Up: c.up}); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}
