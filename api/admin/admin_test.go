package admin_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newRouter returns a router over a fake cluster, and a session of it.
func newRouter(t testing.TB, o routertest.Options, cfg router.Config) (*router.Router, *routertest.Node, *router.Session) {
	t.Helper()
	return routertest.NewRouter(t, o, cfg)
}

// cmd splits a line into a command.
func cmd(line string) command.Args { return routertest.Cmd(line) }

// show writes a reply the way redis-cli does, on one line.
func show(v resp.Value) string { return routertest.Show(v) }

// script runs lines of "command => reply" through one session.
func script(t *testing.T, r *router.Router, s *router.Session, lines string) {
	t.Helper()
	routertest.Script(t, r, s, lines)
}
