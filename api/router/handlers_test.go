package router_test

import (
	"testing"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
	"github.com/lockstepkv/lockstep/fsm/commandset"
)

// TestRoomsRunCommandsOfTheTable, each of which nobody else runs; see TestEveryCommandRuns
// for those that nobody would run.
func TestRoomsRunCommandsOfTheTable(t *testing.T) {
	table := commandset.New()
	node := routertest.New(table, routertest.Options{})
	for _, name := range []string{"nosuch", "config|nosuch", "multi"} {
		room := func(router.Services) router.Offer { return router.Offer{Handlers: map[string]router.Handler{name: {}}} }
		if _, err := router.New(node, table, router.Config{Rooms: []router.Room{room}}); err == nil {
			t.Errorf("a room may run %q", name)
		}
	}
}
