package httpapi

import (
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
	"github.com/lockstepkv/lockstep/fsm/command"
)

// TestRepetitionOnFullDisks gets the first answer; what is new is told what became of this try.
func TestRepetitionOnFullDisks(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{})
	const first = "Idempotency-Key: first"
	put := f.call("PUT", "/v1/keys/a", `{"value":"x"}`, first).Body.String()
	lock := f.call("POST", "/v1/locks/l", `{"ttl_ms":60000}`, first+"lock").Body.String()
	list := f.call("POST", "/v1/commands", `[["INCR","n"],["GET","n"]]`, first).Body.String()
	f.node.Shard(0).SetFull(true)
	for again, want := range map[string]string{
		f.call("PUT", "/v1/keys/a", `{"value":"x"}`, first).Body.String():                 put,
		f.call("POST", "/v1/commands", `[["INCR","n"],["GET","n"]]`, first).Body.String(): list,
	} {
		if again != want {
			t.Errorf("again: %s\nfirst: %s", again, want)
		}
	}
	token, _, _ := strings.Cut(lock, `,"ttl`)
	if again := f.call("POST", "/v1/locks/l", `{"ttl_ms":60000}`, first+"lock").Body.String(); !strings.Contains(again, `"token"`) || !strings.HasPrefix(again, token) {
		t.Errorf("again: %s\nfirst: %s", again, lock)
	}
	w := f.call("PUT", "/v1/keys/a", `{"value":"x"}`, "Idempotency-Key: second")
	if p := checkProblem(t, w); p.Status != 507 || p.Code != "out_of_disk" || !strings.Contains(p.Detail, "this try was not applied") {
		t.Errorf("%+v", p)
	}
	f.node.Shard(0).SetFull(false)
	f.node.Shard(0).Fail(command.ErrUnavailable)
	w = f.call("PUT", "/v1/keys/a", `{"value":"x"}`, first)
	if p := checkProblem(t, w); p.Status != 503 || !strings.Contains(p.Detail, "this try was not applied") {
		t.Errorf("%+v", p)
	}
}
