package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
)

func TestStartingAnswersProbesOnly(t *testing.T) {
	var s Starting
	checked := document(t).Handler(&s, func(err error) { t.Error(err) })
	get := func(h http.Handler, path string) int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w.Code
	}
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 503, "/v1/keys/k": 503, "/metrics": 503, "/v1/cluster": 503, "/openapi.json": 503} {
		if got := get(checked, path); got != want {
			t.Errorf("%s while starting: %d, want %d", path, got, want)
		}
	}
	s.Open(http.NotFoundHandler())
	if got := get(&s, "/readyz"); got != 404 {
		t.Errorf("after Open: %d from the starting handler", got)
	}
}

// TestLoadingInWordsOfItsOwn: clients over HTTP know no Redis.
func TestLoadingInWordsOfItsOwn(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{Loading: true}, Options{})
	const words = "this node is starting and does not serve data yet"
	for _, c := range []struct{ method, path, body string }{
		{"GET", "/v1/keys/k", ""}, {"PUT", "/v1/keys/k", `{"value":"v"}`}, {"GET", "/v1/keys", ""}, {"GET", "/v1/locks", ""},
		{"POST", "/v1/locks/l", `{"ttl_ms":1000}`}, {"DELETE", "/v1/locks/l?force=true&reason=r", ""}, {"POST", "/v1/commands", `["GET","k"]`},
	} {
		w := f.call(c.method, c.path, c.body)
		if p := checkProblem(t, w); w.Code != 503 || p.Code != "loading" || p.Detail != words {
			t.Errorf("%s %s: %d %+v", c.method, c.path, w.Code, p)
		}
	}
	w := f.call("POST", "/v1/commands", `[["GET","k"],["ECHO","x"]]`)
	if text := w.Body.String(); w.Code != 200 || strings.Contains(text, "Redis") || !strings.Contains(text, words) {
		t.Errorf("several commands: %d %s", w.Code, text)
	}
}

// What is no command of the router's is refused while starting as commands are.
func TestBackupAndDigestWhileStarting(t *testing.T) {
	opening := errors.New("this node is still opening its shards")
	f := newFixture(t, routertest.Options{}, router.Config{Loading: true}, Options{
		Backup: func(context.Context, int, io.Writer) error { return opening },
		Digest: func(int) (Digest, error) { return Digest{}, opening },
	})
	for _, path := range []string{"/v1/shards/0/backup", "/v1/shards/0/digest"} {
		if p := checkProblem(t, f.call("GET", path, "")); p.Status != 503 || p.Code != "loading" {
			t.Errorf("%s: %+v", path, p)
		}
	}
	f.router.Loaded()
	if p := checkProblem(t, f.call("GET", "/v1/shards/0/digest", "")); p.Status != 503 || p.Code != "unavailable" {
		t.Errorf("%+v", p)
	}
}
