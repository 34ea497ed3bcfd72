package router_test

import (
	"context"
	"testing"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
)

// TestWalksLetWritersIn: a pipeline of commands that look at many keys or locks holds up the
// shard for one of them at a time.
func TestWalksLetWritersIn(t *testing.T) {
	r, node, s := newRouter(t, routertest.Options{}, router.Config{})
	pipeline := [][][]byte{cmd("GET a"), cmd("GET b"), cmd("LS.LOCKS 0"), cmd("LS.LOCKS 0"), cmd("KEYS *"), cmd("GET c"), cmd("SCAN 0"), cmd("LS.SCAN 0"), cmd("GET d"), cmd("GET e")}
	if got := len(r.DoPipeline(context.Background(), s, pipeline, nil)); got != len(pipeline) {
		t.Fatalf("%d replies", got)
	}
	if got := node.Shard(0).Reads.Load(); got != 8 {
		t.Errorf("%d reads, want 8", got)
	}
	r.Do(context.Background(), s, cmd("MULTI"))
	if got := show(r.Do(context.Background(), s, cmd("LS.LOCKS 0"))); got != "-ERR Command not allowed inside a transaction" {
		t.Errorf("within MULTI: %s", got)
	}
}
