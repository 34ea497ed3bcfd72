package admin_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
)

// TestNodeCommandsAreTimed: commands that never reach a shard are in the slow log
// and in the histograms like all others, as in Redis.
func TestNodeCommandsAreTimed(t *testing.T) {
	r, _, s := newRouter(t, routertest.Options{}, router.Config{})
	script(t, r, s, `
		CONFIG SET slowlog-log-slower-than 0 => +OK
		PING => +PONG
		CLIENT GETNAME => nil
		CLIENT GETNAME => nil
		MULTI => +OK
		DISCARD => +OK
		AUTH secret => -ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?
		AUTH default secret => +OK
		AUTH nobody secret => -WRONGPASS invalid username-password pair or user is disabled.
		HELLO 2 SETNAME me AUTH nobody secret => -WRONGPASS invalid username-password pair or user is disabled.
		HELLO 2 AUTH secret => -ERR Syntax error in HELLO option 'AUTH'
	`)
	log := show(r.Do(context.Background(), s, cmd("SLOWLOG GET -1")))
	for _, want := range []string{"[PING]", "[CLIENT GETNAME]", "[MULTI]", "[DISCARD]", "[AUTH (redacted)]",
		"[HELLO 2 SETNAME me AUTH (redacted) (redacted)]"} {
		if !strings.Contains(log, want) {
			t.Errorf("SLOWLOG lacks %s: %s", want, log)
		}
	}
	if strings.Contains(log, "secret") {
		t.Errorf("SLOWLOG shows a password: %s", log)
	}
	for line, want := range map[string]string{
		"LATENCY HISTOGRAM client":         "[client|getname [calls 2 histogram_usec [",
		"LATENCY HISTOGRAM client|getname": "[client|getname [calls 2 histogram_usec [",
		"LATENCY HISTOGRAM ping":           "[ping [calls 1 histogram_usec [",
	} {
		if got := show(r.Do(context.Background(), s, cmd(line))); !strings.HasPrefix(got, want) || strings.Contains(got, "usec []") {
			t.Errorf("%s: %s", line, got)
		}
	}
}

func TestCommandListNamesSubcommands(t *testing.T) {
	r, _, s := newRouter(t, routertest.Options{}, router.Config{})
	var names []string
	for _, v := range r.Do(context.Background(), s, cmd("COMMAND LIST")).Elems {
		names = append(names, string(v.Str))
	}
	for _, want := range []string{"get", "client", "client|id", "config|set"} {
		if !slices.Contains(names, want) {
			t.Errorf("COMMAND LIST lacks %s", want)
		}
	}
}

// TestClientNamesAreBounded: every line of CLIENT LIST carries one.
func TestClientNamesAreBounded(t *testing.T) {
	r, _, s := newRouter(t, routertest.Options{}, router.Config{})
	fits, long := strings.Repeat("n", 1024), strings.Repeat("n", 1025)
	script(t, r, s, strings.NewReplacer("FITS", fits, "LONG", long).Replace(`
		CLIENT SETNAME FITS => +OK
		CLIENT SETNAME LONG => -ERR Client names are limited to 1024 bytes
		HELLO 2 SETNAME LONG => -ERR Client names are limited to 1024 bytes
		CLIENT GETNAME => FITS
	`))
}
