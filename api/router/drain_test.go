package router_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
	"github.com/lockstepkv/lockstep/fsm/lock"
)

// A node that is told to stop refuses new requests for data with an error that is
// definite, and still talks about itself.
func TestDrain(t *testing.T) {
	r, _, s := newRouter(t, routertest.Options{}, router.Config{})
	ctx := context.Background()
	for _, line := range []string{"SET a 1", "MULTI", "SET a 2"} {
		r.Do(ctx, s, cmd(line))
	}
	r.Drain()
	if got := show(r.Do(ctx, s, cmd("EXEC"))); !strings.Contains(got, "CLUSTERDOWN this node is stopping") {
		t.Errorf("EXEC: %s", got)
	}
	r.Do(ctx, s, cmd("DISCARD"))
	for _, line := range []string{"GET a", "SET a 3", "WATCH a", "LOCK l 1000", "DBSIZE", "LS.PUT a 1"} {
		if got := show(r.Do(ctx, s, cmd(line))); !strings.Contains(got, "CLUSTERDOWN this node is stopping") {
			t.Errorf("%s: %s", line, got)
		}
	}
	if got := r.Lock(ctx, s, lock.Request{Name: "l", TTLMillis: time.Minute.Milliseconds()}, ""); !strings.Contains(show(got.Err), "stopping") {
		t.Errorf("lock: %+v", got)
	}
	for _, line := range []string{"PING", "INFO", "CLIENT ID", "CLUSTER INFO"} {
		if got := show(r.Do(ctx, s, cmd(line))); strings.Contains(got, "stopping") {
			t.Errorf("%s: %s", line, got)
		}
	}
}
