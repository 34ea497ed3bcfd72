package httpapi

import (
	"net/http/httptest"
	"testing"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
)

// TestHostsWithoutAPassword: a page of evil.example whose name is pointed at this node
// has the same origin, so that nothing but the Host tells it from an own one.
func TestHostsWithoutAPassword(t *testing.T) {
	open := newFixture(t, routertest.Options{}, router.Config{}, Options{AllowedHosts: []string{"Cache.example"}})
	guarded := newFixture(t, routertest.Options{}, router.Config{Passwords: []string{"s3cret"}}, Options{})
	for host, own := range map[string]bool{
		"127.0.0.1": true, "127.0.0.1:8001": true, "10.1.2.3:8001": true, "[::1]:8001": true, "[::1]": true, "127.0.0.1:": true,
		"localhost": true, "LOCALHOST:8001": true, "localhost.": true, "cache.example:80": true, "CACHE.example.": true, "": true,
		"evil.example": false, "evil.example:8001": false, "127.0.0.1.evil.example": false, "localhost.evil.example": false,
		"x.cache.example": false, "127.0.0.1:8001@evil.example": false, "[evil.example]": false,
	} {
		for _, path := range []string{"/v1/cluster", "/v1/keys/a", "/healthz", "/metrics", "/nowhere"} {
			req := httptest.NewRequest("GET", path, nil)
			req.Host = host
			req.Header.Set("Sec-Fetch-Site", "same-origin")
			w := httptest.NewRecorder()
			open.ServeHTTP(w, req)
			if refused := w.Code == 403; refused == own {
				t.Errorf("%s of Host %q: %d %s", path, host, w.Code, w.Body)
			}
			if w.Code == 403 && checkProblem(t, w).Code != "host_not_allowed" {
				t.Errorf("%s of Host %q: %s", path, host, w.Body)
			}
		}
		req := httptest.NewRequest("GET", "/v1/cluster", nil)
		req.Host = host
		req.Header.Set("Authorization", "Bearer s3cret")
		w := httptest.NewRecorder()
		if guarded.ServeHTTP(w, req); w.Code != 200 {
			t.Errorf("with a password, Host %q: %d %s", host, w.Code, w.Body)
		}
	}
}

// TestOtherOriginsGetNothing, not even by GET.
func TestOtherOriginsGetNothing(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{})
	for _, c := range []struct {
		header  string
		refused bool
	}{
		{"Sec-Fetch-Site: cross-site", true}, {"Sec-Fetch-Site: same-site", true}, {"Sec-Fetch-Site: odd", true},
		{"Sec-Fetch-Site: same-origin", false}, {"Sec-Fetch-Site: none", false},
		{"Origin: http://evil.example", true}, {"Origin: null", true}, {"Origin: http://127.0.0.1", false}, {"X: y", false},
	} {
		for _, method := range []string{"GET", "HEAD", "OPTIONS", "PUT", "DELETE"} {
			for _, path := range []string{"/v1/keys/a", "/v1/cluster", "/healthz"} {
				w := f.call(method, path, "", c.header)
				if got := w.Code == 403; got != c.refused {
					t.Errorf("%s %s with %s: %d %s", method, path, c.header, w.Code, w.Body)
				}
			}
		}
	}
}
