package router_test

import (
	"testing"

	"github.com/lockstepkv/lockstep/api/rooms"
	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
)

// TestRoomsRunCommandsOfTheTable, each of which nobody else runs; see TestEveryCommandRuns
// for those that nobody would run.
func TestRoomsRunCommandsOfTheTable(t *testing.T) {
	table := rooms.Table()
	node := routertest.New(table, routertest.Options{})
	for _, name := range []string{"nosuch", "config|nosuch", "multi"} {
		room := router.Room{Open: func(router.Services) router.Offer { return router.Offer{Handlers: map[string]router.Handler{name: {}}} }}
		if _, err := router.New(node, table, router.Config{Rooms: []router.Room{room}}); err == nil {
			t.Errorf("a room may run %q", name)
		}
	}
}
