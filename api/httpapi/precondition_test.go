package httpapi

import (
	"net/http"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
)

func TestEntityTagIsTheVersion(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{})
	if w := f.call("PUT", "/v1/keys/a", `{"value":"x"}`); w.Header().Get("ETag") != `"1"` {
		t.Errorf("PUT answers ETag %q", w.Header().Get("ETag"))
	}
	for _, method := range []string{"GET", "HEAD"} {
		for _, accept := range []string{"application/json", octetStream} {
			w := f.call(method, "/v1/keys/a", "", "Accept: "+accept)
			if w.Code != 200 || w.Header().Get("ETag") != `"1"` || w.Header().Get("Vary") != "Accept" {
				t.Errorf("%s %s: %d %v", method, accept, w.Code, w.Header())
			}
		}
	}
	if w := f.call("GET", "/v1/keys/none", ""); w.Header().Get("ETag") != "" {
		t.Errorf("an absent key has ETag %q", w.Header().Get("ETag"))
	}
}

func TestReadPreconditions(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{})
	f.call("PUT", "/v1/keys/a", `{"value":"x"}`)
	f.call("PUT", "/v1/keys/a", `{"value":"y"}`) // version 2
	for _, c := range []struct {
		header string
		status int
	}{
		{`If-None-Match: "2"`, 304}, {`If-None-Match: W/"2"`, 304}, {`If-None-Match: *`, 304},
		{`If-None-Match: "1" , "2"`, 304}, {`If-None-Match: "1"`, 200}, {`If-None-Match: "02"`, 200},
		{`If-Match: "2"`, 200}, {`If-Match: *`, 200}, {`If-Match: "9", "2"`, 200},
		{`If-Match: "1"`, 412}, {`If-Match: W/"2"`, 412}, {`If-Match: "a,\2"`, 412},
		{`If-None-Match: 2`, 400}, {`If-None-Match: "2`, 400}, {`If-None-Match: "1" "2"`, 400}, {`If-Match: ,`, 400},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			w := f.call(method, "/v1/keys/a", "", c.header)
			if w.Code != c.status {
				t.Errorf("%s with %s: %d, want %d", method, c.header, w.Code, c.status)
			}
			if w.Code == http.StatusNotModified && (w.Body.Len() > 0 || w.Header().Get("ETag") != `"2"`) {
				t.Errorf("%s with %s: %q %v", method, c.header, w.Body, w.Header())
			}
		}
		if w := f.call("GET", "/v1/keys/none", "", c.header); c.status != 400 && w.Code != 404 {
			t.Errorf("of an absent key with %s: %d", c.header, w.Code)
		}
	}
}

func TestWritePreconditions(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{})
	const body = `{"value":"x"}`
	for _, c := range []struct {
		method, path, body, header string
		status                     int
		code                       string
	}{
		{"PUT", "/v1/keys/a", body, `If-Match: *`, 412, "condition_failed"},
		{"PUT", "/v1/keys/a", body, `If-Match: "0"`, 412, "condition_failed"},
		{"PUT", "/v1/keys/a", body, `If-Match: "1"`, 412, "condition_failed"},
		{"PUT", "/v1/keys/a", body, `If-None-Match: *`, 200, ""}, // version 1
		{"PUT", "/v1/keys/a", body, `If-None-Match: *`, 412, "condition_failed"},
		{"PUT", "/v1/keys/a", body, `If-Match: *`, 200, ""}, // version 2
		{"PUT", "/v1/keys/a", body, `If-Match: "1"`, 412, "condition_failed"},
		{"PUT", "/v1/keys/a", body, `If-Match: W/"2"`, 412, "condition_failed"},
		{"PUT", "/v1/keys/a", body, `If-Match: "x"`, 412, "condition_failed"},
		{"PUT", "/v1/keys/a", body, `If-Match: "2"`, 200, ""}, // version 3
		{"PUT", "/v1/keys/a", body, `If-Match: "3", "4"`, 400, "bad_precondition"},
		{"PUT", "/v1/keys/a", body, `If-None-Match: "3"`, 400, "bad_precondition"},
		{"PUT", "/v1/keys/a", `{"value":"x","if":"present"}`, `If-Match: "3"`, 400, "bad_precondition"},
		{"PUT", "/v1/keys/a", `{"value":"x","if_version":3}`, `If-None-Match: *`, 400, "bad_precondition"},
		{"DELETE", "/v1/keys/a", ``, `If-Match: "2"`, 412, "condition_failed"},
		{"DELETE", "/v1/keys/a", ``, `If-Match: "0"`, 412, "condition_failed"},
		{"DELETE", "/v1/keys/a", ``, `If-None-Match: *`, 400, "bad_precondition"},
		{"DELETE", "/v1/keys/a?if_version=3", ``, `If-Match: "3"`, 400, "bad_precondition"},
		{"DELETE", "/v1/keys/a", ``, `If-Match: "3"`, 200, ""},
		{"DELETE", "/v1/keys/a", ``, `If-Match: *`, 412, "condition_failed"},
		{"POST", "/v1/keys/a/incr", ``, `If-Match: "3"`, 400, "bad_precondition"},
		{"POST", "/v1/keys/a/incr", ``, `If-None-Match: *`, 400, "bad_precondition"},
		{"POST", "/v1/commands", `["SET","a","1"]`, `If-Match: "3"`, 400, "bad_precondition"},
		{"POST", "/v1/locks/l", `{"ttl_ms":1000}`, `If-None-Match: *`, 400, "bad_precondition"},
		{"GET", "/v1/cluster", ``, `If-Match: "3"`, 400, "bad_precondition"},
	} {
		w := f.call(c.method, c.path, c.body, c.header)
		code := ""
		if w.Code >= 400 {
			code = checkProblem(t, w).Code
		}
		if w.Code != c.status || code != c.code {
			t.Errorf("%s %s %s with %s: %d %s, want %d %s", c.method, c.path, c.body, c.header, w.Code, code, c.status, c.code)
		}
	}
	if w := f.call("GET", "/v1/keys/a", ""); w.Code != 404 {
		t.Errorf("what was refused left %s", w.Body)
	}
}

func TestCodedBodiesAreRefused(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{})
	for _, c := range []struct{ method, path, body string }{
		{"PUT", "/v1/keys/a", `{"value":"x"}`}, {"POST", "/v1/keys/a/incr", ``}, {"POST", "/v1/commands", `["SET","a","1"]`},
		{"POST", "/v1/locks/l", `{"ttl_ms":1000}`}, {"DELETE", "/v1/keys/a", ``},
	} {
		w := f.call(c.method, c.path, c.body, "Content-Encoding: gzip")
		if p := checkProblem(t, w); w.Code != 415 || p.Code != "unsupported_content_encoding" || w.Header().Get("Accept-Encoding") != "identity" {
			t.Errorf("%s %s: %d %s %v", c.method, c.path, w.Code, p.Code, w.Header())
		}
	}
	if w := f.call("PUT", "/v1/keys/a", `{"value":"x"}`, "Content-Encoding: identity"); w.Code != 200 {
		t.Errorf("identity: %d %s", w.Code, w.Body)
	}
}

func TestAccept(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{})
	f.call("PUT", "/v1/keys/a", `{"value":"x"}`)
	for accept, raw := range map[string]bool{
		"*/*":                                                    false,
		"application/*":                                          false,
		"text/html":                                              false,
		"application/octet-stream":                               true,
		"Application/Octet-Stream":                               true,
		"application/octet-stream;q=0":                           false,
		"application/octet-stream;q=0, */*":                      false,
		"application/json, application/octet-stream":             false,
		"application/json, application/octet-stream;q=0.5":       false,
		"application/json;q=0.5, application/octet-stream":       true,
		"application/json;q=0.5, application/octet-stream;q=0.6": true,
		"application/octet-stream, */*":                          true,
		"application/octet-stream;q=0.1, */*":                    false,
		"application/*;q=0.9, application/json;q=0.2":            true,
		"application/octet-stream;q=x":                           false,
		"text/html,application/xhtml+xml,application/xml;q=0.9,image/*,*/*;q=1": false,
	} {
		w := f.call("GET", "/v1/keys/a", "", "Accept: "+accept)
		if got := strings.HasPrefix(w.Header().Get("Content-Type"), octetStream); w.Code != 200 || got != raw {
			t.Errorf("%s: %d, raw %t, want %t", accept, w.Code, got, raw)
		}
	}
}

// TestConditionsOfOtherKindsAreRefused: to ignore one would be to write what was not asked for.
func TestConditionsOfOtherKindsAreRefused(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{})
	f.call("PUT", "/v1/keys/k", `{"value":"v"}`)
	for _, c := range []struct{ method, path, body, header string }{
		{"PUT", "/v1/keys/k", `{"value":"w"}`, "If-Unmodified-Since: Wed, 21 Oct 2015 07:28:00 GMT"},
		{"PUT", "/v1/keys/k", `{"value":"w"}`, `If: (["1"])`},
		{"DELETE", "/v1/keys/k", "", "If-Modified-Since: Wed, 21 Oct 2015 07:28:00 GMT"},
		{"POST", "/v1/commands", `["SET","k","w"]`, "If-Unmodified-Since: Wed, 21 Oct 2015 07:28:00 GMT"},
		{"GET", "/v1/keys", "", "If-None-Match: *"},
	} {
		if p := checkProblem(t, f.call(c.method, c.path, c.body, c.header)); p.Status != 400 || p.Code != "bad_precondition" {
			t.Errorf("%s %s with %s: %+v", c.method, c.path, c.header, p)
		}
	}
	if w := f.call("GET", "/v1/keys/k", "", "If-Modified-Since: Wed, 21 Oct 2015 07:28:00 GMT"); w.Code != 200 || !strings.Contains(w.Body.String(), `"v"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
