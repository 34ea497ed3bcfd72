package httpapi

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockstepkv/lockstep/api/request"
	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/commandset"
	"github.com/lockstepkv/lockstep/internal/openapitest"
)

// fixture is the API over a node of a test. What it answers is held against openapi.json.
type fixture struct {
	http.Handler
	node   *routertest.Node
	router *router.Router
	wrong  *func(error) // is told of answers that are not as documented
}

func newFixture(t testing.TB, ro routertest.Options, cfg router.Config, o Options) fixture {
	t.Helper()
	table := commandset.New()
	node := routertest.New(table, ro)
	r := routertest.Open(t, node, table, cfg)
	o.Router = r
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	wrong := func(err error) { t.Error(err) }
	return fixture{document(t).Handler(h, func(err error) { wrong(err) }), node, r, &wrong}
}

var readDocument = sync.OnceValues(func() (*openapitest.Document, error) { return openapitest.New(openapiDocument) })

// document is what the API says of itself.
func document(t testing.TB) *openapitest.Document {
	t.Helper()
	d, err := readDocument()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// call sends a request; headers are "Name: value".
func (f fixture) call(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	var r io.Reader = http.NoBody
	if body != "" {
		r = strings.NewReader(body)
	}
	req := httptest.NewRequest(method, path, r)
	req.Host = "127.0.0.1"
	for _, h := range headers {
		name, val, _ := strings.Cut(h, ": ")
		req.Header.Set(name, val)
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, req)
	return w
}

// checkProblem fails unless w is a complete problem document.
func checkProblem(t testing.TB, w *httptest.ResponseRecorder) problem {
	t.Helper()
	var p problem
	if ct := w.Header().Get("Content-Type"); ct != "application/problem+json" {
		t.Fatalf("status %d with Content-Type %q: %s", w.Code, ct, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(w.Body.String(), `\u003`) {
		t.Fatalf("escaped as for HTML: %s", w.Body)
	}
	if p.Status != w.Code || p.Code == "" || p.Title == "" || (p.Outcome != request.Refused && p.Outcome != request.InDoubt) {
		t.Fatalf("status %d with an incomplete problem: %+v", w.Code, p)
	}
	return p
}

func TestKeyCalls(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{})
	steps := []struct {
		method, path, body string
		status             int
		want               string // of the body, or the code of the problem
	}{
		{"GET", "/v1/keys/a", "", 404, "no_such_key"},
		{"PUT", "/v1/keys/a", `{"value":"hello"}`, 200, `{"expires_at_ms":null,"key":"a","version":1}`},
		{"GET", "/v1/keys/a", "", 200, `{"key":"a","ttl_ms":null,"type":"string","value":"hello","version":1}`},
		{"GET", "/v1/keys/a?consistency=stale&max_staleness_ms=50", "", 200, `{"key":"a","ttl_ms":null,"type":"string","value":"hello","version":1}`},
		{"PUT", "/v1/keys/a", `{"value":"x","if":"absent"}`, 412, "condition_failed"},
		{"PUT", "/v1/keys/b", `{"value":"x","if":"present"}`, 412, "condition_failed"},
		{"PUT", "/v1/keys/a", `{"value":"x","if_version":7}`, 412, "condition_failed"},
		{"PUT", "/v1/keys/a", `{"value":"x","if_version":1}`, 200, `{"expires_at_ms":null,"key":"a","version":2}`},
		{"POST", "/v1/keys/a/incr", `{"by":2}`, 422, "not_an_integer"},
		{"POST", "/v1/keys/n/incr", ``, 200, `{"value":1,"version":3}`},
		{"POST", "/v1/keys/n/incr", `{"by":-5}`, 200, `{"value":-4,"version":4}`},
		{"DELETE", "/v1/keys/n?if_version=3", ``, 412, "condition_failed"},
		{"DELETE", "/v1/keys/n?if_version=4", ``, 200, `{"deleted":true}`},
		{"DELETE", "/v1/keys/n", ``, 200, `{"deleted":false}`},
		{"PUT", "/v1/keys/a%2Fb%20%25", `{"value":"slash"}`, 200, `{"expires_at_ms":null,"key":"a/b %","version":6}`},
		{"GET", "/v1/keys/a%2Fb%20%25", "", 200, `{"key":"a/b %","ttl_ms":null,"type":"string","value":"slash","version":6}`},
		{"GET", "/v1/keys/..", "", 404, "no_such_key"},
		{"PUT", "/v1/keys/bin", `{"value_base64":"/w=="}`, 200, `{"expires_at_ms":null,"key":"bin","version":7}`},
		{"GET", "/v1/keys/bin", "", 200, `{"key":"bin","ttl_ms":null,"type":"string","value_base64":"/w==","version":7}`},
		{"GET", "/v1/keys/", "", 404, "no_such_key"},
		{"POST", "/v1/keys//incr", "", 200, `{"value":1,"version":8}`},
		{"GET", "/v1/keys/", "", 200, `{"key":"","ttl_ms":null,"type":"string","value":"1","version":8}`},
		{"DELETE", "/v1/keys/", "", 200, `{"deleted":true}`},
		{"PUT", "/v1/keys/%FF", `{"value":""}`, 200, `{"expires_at_ms":null,"key_base64":"/w==","version":10}`},
		{"POST", "/v1/commands", `["HSET","h","f","v"]`, 200, `{"result":1}`},
		{"POST", "/v1/keys/h/incr", ``, 422, "wrong_type"},
		{"DELETE", "/v1/keys/h", ``, 200, `{"deleted":true}`},
	}
	for _, s := range steps {
		w := f.call(s.method, s.path, s.body)
		got := strings.TrimSpace(w.Body.String())
		if w.Code >= 400 {
			got = checkProblem(t, w).Code
		}
		if w.Code != s.status || got != s.want {
			t.Errorf("%s %s %s\n got %d %s\nwant %d %s", s.method, s.path, s.body, w.Code, got, s.status, s.want)
		}
	}
}

func TestIndexIsReported(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{})
	f.call("PUT", "/v1/keys/a", `{"value":"x"}`)
	if got := f.call("GET", "/v1/keys/a", "").Header().Get("X-Lockstep-Index"); got != "1" {
		t.Errorf("X-Lockstep-Index is %q, want 1", got)
	}
}

// TestWritesTellTheirIndex: a read that names it sees the write.
func TestWritesTellTheirIndex(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{})
	for i, c := range []struct{ method, path, body string }{
		{"PUT", "/v1/keys/n", `{"value":"1"}`},
		{"POST", "/v1/keys/n/incr", ``},
		{"PUT", "/v1/keys/n", `{"value":"x","if":"absent"}`}, // refused in the log
		{"DELETE", "/v1/keys/n", ``},
		{"POST", "/v1/commands", `["SET","k","v"]`},
		{"POST", "/v1/locks/l", `{"ttl_ms":60000}`},
		{"POST", "/v1/locks/l", `{"ttl_ms":60000}`}, // held
		{"PUT", "/v1/locks/l", `{"ttl_ms":60000,"token":"t"}`},
		{"DELETE", "/v1/locks/l", `{"token":"t"}`},
		{"POST", "/v1/commands", `["FLUSHALL"]`},
	} {
		if got := f.call(c.method, c.path, c.body).Header().Get(indexHeader); got != strconv.Itoa(i+1) {
			t.Errorf("%s %s %s: index %q, want %d", c.method, c.path, c.body, got, i+1)
		}
	}
	if w := f.call("POST", "/v1/commands", `[["SET","k","v"],["GET","k"],["SET","k","w"]]`); w.Header().Get(indexHeader) != "13" {
		t.Errorf("several commands: %v", w.Header())
	}
	f.call("GET", "/v1/keys/k?consistency=stale&min_index=13", "")
	if got := f.node.Shard(0).MinIndex(); got != 13 {
		t.Errorf("the shard was asked for index %d", got)
	}
	f.node.Shard(0).Fail(command.ErrInDoubt)
	if got := f.call("PUT", "/v1/keys/n", `{"value":"1"}`).Header().Get(indexHeader); got != "" {
		t.Errorf("a write in doubt has index %q", got)
	}
	many := newFixture(t, routertest.Options{Shards: 4}, router.Config{SpanShards: true}, Options{})
	if got := many.call("POST", "/v1/commands", `["MSET","a","1","b","2","c","3","d","4"]`).Header().Get(indexHeader); got != "1" {
		t.Errorf("over several shards: %q", got)
	}
}

func TestRawValues(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{MaxValueBytes: 100})
	value := "\x00\xff\r\n"
	if w := f.call("PUT", "/v1/keys/a?ttl_ms=60000&if=absent", value, "Content-Type: application/octet-stream"); w.Code != 200 {
		t.Fatal(w.Code, w.Body)
	}
	w := f.call("GET", "/v1/keys/a", "", "Accept: text/html, application/octet-stream;q=0.9")
	if w.Code != 200 || w.Body.String() != value || w.Header().Get("X-Lockstep-Version") != "1" || w.Header().Get("X-Lockstep-Ttl-Ms") == "" {
		t.Fatalf("%d %q %v", w.Code, w.Body, w.Header())
	}
	if w := f.call("PUT", "/v1/keys/a?if=absent", value, "Content-Type: application/octet-stream"); w.Code != 412 {
		t.Fatal(w.Code, w.Body)
	}
	if w := f.call("PUT", "/v1/keys/a", strings.Repeat("x", 101), "Content-Type: application/octet-stream"); w.Code != 413 {
		t.Fatal(w.Code, w.Body)
	}
	if w := f.call("PUT", "/v1/keys/a", `{"value":"`+strings.Repeat("x", 101)+`"}`); w.Code != 413 {
		t.Fatal(w.Code, w.Body)
	}
}

func TestBadRequests(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{MaxValueBytes: 1 << 10})
	for _, c := range []struct {
		method, path, body, header string
		status                     int
		code                       string
	}{
		{"PUT", "/v1/keys/a", ``, "", 400, "invalid_json"},
		{"PUT", "/v1/keys/a", `{"value":`, "", 400, "invalid_json"},
		{"PUT", "/v1/keys/a", `{"value":"x"} {}`, "", 400, "invalid_json"},
		{"PUT", "/v1/keys/a", "{\"value\":\"\xff\"}", "", 400, "invalid_utf8"},
		{"PUT", "/v1/keys/a", `{"value":"\ud800"}`, "", 400, "invalid_utf8"},
		{"PUT", "/v1/keys/a", `{"value":"\udc00\ud800"}`, "", 400, "invalid_utf8"},
		{"PUT", "/v1/keys/a", `["value"]`, "", 400, "wrong_type"},
		{"PUT", "/v1/keys/a", `{"value":1}`, "", 400, "wrong_type"},
		{"PUT", "/v1/keys/a", `{"value":null}`, "", 400, "wrong_type"},
		{"PUT", "/v1/keys/a", `{"value":"x","ttl_ms":"1"}`, "", 400, "wrong_type"},
		{"PUT", "/v1/keys/a", `{"value":"x","ttl_ms":1.5}`, "", 400, "wrong_type"},
		{"PUT", "/v1/keys/a", `{"value":"x","ttl_ms":0}`, "", 400, "bad_value"},
		{"PUT", "/v1/keys/a", `{"value":"x","if_version":-1}`, "", 400, "wrong_type"},
		{"PUT", "/v1/keys/a", `{"value":"x","if":"maybe"}`, "", 400, "bad_value"},
		{"PUT", "/v1/keys/a", `{"value":"x","if":""}`, "", 400, "bad_value"},
		{"PUT", "/v1/keys/a", `{"value":"x","if":"absent","if_version":1}`, "", 400, "bad_value"},
		{"PUT", "/v1/keys/a", `{"value":"x","fence":{"lock":"l"}}`, "", 400, "bad_fence"},
		{"PUT", "/v1/keys/a", `{"value":"x","fence":{"lock":"","fence":1}}`, "", 400, "bad_fence"},
		{"PUT", "/v1/keys/a", `{"value":"x","fence":{"lock":"l","fence":-1}}`, "", 400, "wrong_type"},
		{"PUT", "/v1/keys/a", `{"value":"x","fence":7}`, "", 400, "wrong_type"},
		{"PUT", "/v1/keys/a", `{"value":"x","fence":{"lock":"l","fence":1,"more":1}}`, "", 400, "unknown_field"},
		{"DELETE", "/v1/keys/a?fence=1", ``, "", 400, "bad_fence"},
		{"DELETE", "/v1/keys/a?fence_lock=l&fence=x", ``, "", 400, "bad_fence"},
		{"POST", "/v1/locks/a", `{}`, "", 400, "missing_field"},
		{"POST", "/v1/locks/a", `{"ttl_ms":0}`, "", 400, "bad_ttl"},
		{"POST", "/v1/locks/a", `{"ttl_ms":-5}`, "", 400, "bad_ttl"},
		{"POST", "/v1/locks/a", `{"ttl_ms":604800001}`, "", 400, "bad_ttl"},
		{"POST", "/v1/locks/a", `{"ttl_ms":1e99}`, "", 400, "wrong_type"},
		{"POST", "/v1/locks/a", `{"ttl_ms":1,"wait_ms":-1}`, "", 400, "bad_wait"},
		{"POST", "/v1/locks/a", `{"ttl_ms":1,"token":"t"}`, "", 400, "unknown_field"},
		{"POST", "/v1/locks/" + strings.Repeat("n", 513), `{"ttl_ms":1}`, "", 400, "bad_lock_name"},
		{"POST", "/v1/locks/%ff", `{"ttl_ms":1}`, "", 400, "bad_lock_name"},
		{"PUT", "/v1/locks/a", `{"ttl_ms":1}`, "", 400, "missing_field"},
		{"PUT", "/v1/locks/a", `{"ttl_ms":1,"token":"t"}`, "", 409, "lock_lost"},
		{"DELETE", "/v1/locks/a", `{"token":"t"}`, "", 409, "lock_lost"},
		{"DELETE", "/v1/locks/a", ``, "", 400, "invalid_json"},
		{"GET", "/v1/locks/a?watch=2", ``, "", 400, "bad_parameter"},
		{"PUT", "/v1/keys/a", `{"Value":"x"}`, "", 400, "unknown_field"},
		{"PUT", "/v1/keys/a", `{"value":"x","value":"y"}`, "", 400, "duplicate_field"},
		{"PUT", "/v1/keys/a", `{"value":"x","value_base64":""}`, "", 400, "missing_field"},
		{"PUT", "/v1/keys/a", `{}`, "", 400, "missing_field"},
		{"PUT", "/v1/keys/a", `{"value_base64":"!"}`, "", 400, "wrong_type"},
		{"PUT", "/v1/keys/a?ttl=1", `{"value":"x"}`, "", 400, "unknown_parameter"},
		{"PUT", "/v1/keys/a", `{"value":"x"}`, "Content-Type: text/plain", 415, "unsupported_media_type"},
		{"PUT", "/v1/keys/a", `{"value":"x"}`, "Content-Type: application/json; charset=latin1", 415, "unsupported_media_type"},
		{"PUT", "/v1/keys/a", `{"value":"x","ttl_ms":9223372036854775807}`, "", 400, "bad_value"},
		{"PUT", "/v1/keys/a", `{"value":"x"}`, "Idempotency-Key: " + strings.Repeat("x", 257), 400, "bad_idempotency_key"},
		{"PUT", "/v1/keys/a", strings.Repeat(" ", 2<<20), "", 413, "too_large"},
		{"PUT", "/v1/keys/a", `{"value":"x"}`, "Sec-Fetch-Site: cross-site", 403, "cross_origin"},
		{"GET", "/v1/keys/a?%3Cb%3E=1", ``, "", 400, "unknown_parameter"},
		{"GET", "/v1/keys/a?consistency=eventual", ``, "", 400, "bad_parameter"},
		{"GET", "/v1/keys/a?consistency=", ``, "", 400, "bad_parameter"},
		{"GET", "/v1/keys/a?consistency", ``, "", 400, "bad_parameter"},
		{"GET", "/v1/locks/a?watch", ``, "", 400, "bad_parameter"},
		{"GET", "/v1/keys/a?min_index=-1", ``, "", 400, "bad_parameter"},
		{"GET", "/v1/keys/a?max_staleness_ms=1", ``, "", 400, "bad_parameter"},
		{"GET", "/v1/keys/a?consistency=stale&consistency=stale", ``, "", 400, "bad_parameter"},
		{"DELETE", "/v1/keys/a?if_version=x", ``, "", 400, "bad_parameter"},
		{"POST", "/v1/keys/a/incr", `{"by":"1"}`, "", 400, "wrong_type"},
		{"POST", "/v1/commands", `{}`, "", 400, "wrong_type"},
		{"POST", "/v1/commands", `null`, "", 400, "wrong_type"},
		{"POST", "/v1/commands", `[]`, "", 400, "empty_command"},
		{"POST", "/v1/commands", `[[]]`, "", 400, "empty_command"},
		{"POST", "/v1/commands", `[["GET","a"],"GET"]`, "", 400, "wrong_type"},
		{"POST", "/v1/commands", `["GET",["a"]]`, "", 400, "wrong_type"},
		{"POST", "/v1/commands", `["GET",null]`, "", 400, "wrong_type"},
		{"POST", "/v1/commands", `["NOPE"]`, "", 400, "command_error"},
		{"POST", "/v1/commands", `["GET","a"]`, "Content-Type: application/octet-stream", 415, "unsupported_media_type"},
		{"POST", "/v1/commands", `["SET","a","` + strings.Repeat("x", 1<<10+1) + `"]`, "", 413, "too_large"},
		{"POST", "/v1/transactions", `[]`, "", 400, "wrong_type"},
		{"POST", "/v1/transactions", `{}`, "", 400, "command_error"},
		{"POST", "/v1/transactions", `{"when":[]}`, "", 400, "unknown_field"},
		{"POST", "/v1/transactions", `{"if":null}`, "", 400, "wrong_type"},
		{"POST", "/v1/transactions", `{"if":[[]]}`, "", 400, "wrong_type"},
		{"POST", "/v1/transactions", `{"if":[{"key":"a"}]}`, "", 400, "missing_field"},
		{"POST", "/v1/transactions", `{"if":[{"version":1}]}`, "", 400, "missing_field"},
		{"POST", "/v1/transactions", `{"if":[{"key":"a","version":1,"exists":true}]}`, "", 400, "missing_field"},
		{"POST", "/v1/transactions", `{"if":[{"key":"a","exists":1}]}`, "", 400, "wrong_type"},
		{"POST", "/v1/transactions", `{"if":[{"key":"a","version":-1}]}`, "", 400, "wrong_type"},
		{"POST", "/v1/transactions", `{"if":[{"key":"a","is":1}]}`, "", 400, "unknown_field"},
		{"POST", "/v1/transactions", `{"then":["SET","a","1"]}`, "", 400, "wrong_type"},
		{"POST", "/v1/transactions", `{"then":[[]]}`, "", 400, "empty_command"},
		{"POST", "/v1/transactions", `{"then":[["PING"]]}`, "", 400, "command_error"},
		{"POST", "/v1/transactions", `{"then":[["UNLOCK","l","t"]]}`, "", 400, "command_error"},
		{"POST", "/v1/transactions", `{"then":[["SET","a","` + strings.Repeat("x", 1<<10+1) + `"]]}`, "", 413, "too_large"},
		{"POST", "/v1/shards/9/leader", `{"node":"n2"}`, "", 404, "no_such_shard"},
		{"POST", "/v1/shards/x/leader", `{"node":"n2"}`, "", 404, "no_such_shard"},
		{"POST", "/v1/shards/0/leader", `{"node":"n9"}`, "", 400, "no_such_node"},
		{"GET", "/v1/shards/0/backup", ``, "", 501, "no_backup"},
		{"GET", "/v1/shards/0/digest", ``, "", 501, "no_digest"},
		{"POST", "/v1/keys/a", `{}`, "", 405, "method_not_allowed"},
		{"PATCH", "/healthz", ``, "", 405, "method_not_allowed"},
		{"GET", "/v1/locks/", ``, "", 404, "no_such_route"},
		{"POST", "/v1/keys/", `{}`, "", 405, "method_not_allowed"},
		{"GET", "//v1/cluster", ``, "", 404, "no_such_route"},
	} {
		var headers []string
		if c.header != "" {
			headers = []string{c.header}
		}
		w := f.call(c.method, c.path, c.body, headers...)
		if w.Code < 400 {
			t.Errorf("%s %s %.60s %s: accepted: %s", c.method, c.path, c.body, c.header, w.Body)
			continue
		}
		if p := checkProblem(t, w); w.Code != c.status || p.Code != c.code || p.Outcome != request.Refused {
			t.Errorf("%s %s %.60s %s: got %d %s, want %d %s (%s)", c.method, c.path, c.body, c.header, w.Code, p.Code, c.status, c.code, p.Detail)
		}
	}
	if allow := f.call("POST", "/v1/keys/a", "").Header().Get("Allow"); allow != "DELETE, GET, HEAD, PATCH, PUT" {
		t.Errorf("Allow is %q", allow)
	}
}

// TestErrorsOfArgumentsAndOfValues: Redis has the same words for both.
func TestErrorsOfArgumentsAndOfValues(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{})
	f.call("PUT", "/v1/keys/text", `{"value":"x"}`)
	f.call("PUT", "/v1/keys/most", `{"value":"9223372036854775807"}`)
	for body, want := range map[string]string{
		`["EXPIRE","text","abc"]`:                   "400 command_error",
		`["SET","k","v","EX","abc"]`:                "400 command_error",
		`["INCRBY","most","abc"]`:                   "400 command_error",
		`["INCRBYFLOAT","most","abc"]`:              "400 command_error",
		`["LS.INCR","text","abc"]`:                  "400 command_error",
		`["DECRBY","k",-9223372036854775808]`:       "400 command_error",
		`["CLIENT","KILL","ID","abc"]`:              "400 command_error",
		`["INCR","text"]`:                           "422 not_an_integer",
		`["INCR","most"]`:                           "422 not_an_integer",
		`["INCRBYFLOAT","text",1]`:                  "422 not_an_integer",
		`["ONCE","id","INCR","text"]`:               "422 not_an_integer",
		`["FENCED","l","1","INCR","text"]`:          "422 not_an_integer",
		`["RENAME","none","other"]`:                 "404 no_such_key",
		`["SETRANGE","text",536870911,"xx"]`:        "413 too_large",
		`["GET is not an integer or out of range"]`: "400 command_error",
	} {
		for range 2 { // under an idempotency id the second is from the record
			w := f.call("POST", "/v1/commands", body)
			p := checkProblem(t, w)
			if got := fmt.Sprint(w.Code, " ", p.Code); got != want {
				t.Errorf("%s: %s, want %s (%s)", body, got, want, p.Detail)
			}
		}
	}
}

func TestFailuresOfAShard(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{})
	for _, c := range []struct {
		err     error
		method  string
		status  int
		code    string
		outcome request.Outcome
		retry   string
	}{
		{command.ErrUnavailable, "PUT", 503, "unavailable", request.Refused, "1"},
		{command.ErrOverloaded, "PUT", 503, "overloaded", request.Refused, "1"},
		{command.ErrInDoubt, "PUT", 504, "in_doubt", request.InDoubt, ""},
		{fmt.Errorf("odd"), "PUT", 504, "in_doubt", request.InDoubt, ""},
		{command.ErrUnavailable, "GET", 503, "unavailable", request.Refused, "1"},
		{command.ErrTooStale, "GET", 503, "too_stale", request.Refused, "1"},
	} {
		f.node.Shard(0).Fail(c.err)
		body := ""
		if c.method == "PUT" {
			body = `{"value":"x"}`
		}
		w := f.call(c.method, "/v1/keys/a", body)
		p := checkProblem(t, w)
		if w.Code != c.status || p.Code != c.code || p.Outcome != c.outcome || w.Header().Get("Retry-After") != c.retry {
			t.Errorf("%s with %v: %d %+v, Retry-After %q", c.method, c.err, w.Code, p, w.Header().Get("Retry-After"))
		}
	}
}

func TestCommands(t *testing.T) {
	f := newFixture(t, routertest.Options{Shards: 4, Led: func(int) string { return "n2" }}, router.Config{}, Options{})
	for _, c := range []struct {
		body, want string
		status     int
	}{
		{`["SET","k","v"]`, `{"result":"OK"}`, 200},
		{`["get","k"]`, `{"result":"v"}`, 200},
		{`["GET","none"]`, `{"result":null}`, 200},
		{`["SET","n",12]`, `{"result":"OK"}`, 200},
		{`["SET","b",{"value_base64":"/w=="}]`, `{"result":"OK"}`, 200},
		{`["GET","b"]`, `{"result":{"value_base64":"/w=="}}`, 200},
		{`[["SET","k","<v>"],["GET","k"],["INCR","k"],["NOPE"]]`, `{"results":["OK","<v>",` +
			`{"code":"not_an_integer","error":"ERR value is not an integer or out of range","outcome":"not_applied"},` +
			`{"code":"command_error","error":"ERR unknown command 'NOPE', with args beginning with: ","outcome":"not_applied"}]}`, 200},
		{`[["MULTI"],["INCR","n"],["GET","n"],["EXEC"]]`, `{"results":["OK","QUEUED","QUEUED",[13,"13"]]}`, 200},
		{`[["HELLO",3],["QUIT"],["PING"]]`, ``, 200},
		{`["CONFIG","GET","maxmemory"]`, `{"result":{"maxmemory":"0"}}`, 200},
		{`["DBSIZE"]`, `{"result":3}`, 200},
	} {
		w := f.call("POST", "/v1/commands", c.body, "Content-Type: application/json")
		if got := strings.TrimSpace(w.Body.String()); w.Code != c.status || (c.want != "" && got != c.want) {
			t.Errorf("%s\n got %d %s\nwant %d %s", c.body, w.Code, got, c.status, c.want)
		}
	}
}

func TestTransactions(t *testing.T) {
	f := newFixture(t, routertest.Options{Shards: 4, Led: func(int) string { return "n2" }}, router.Config{}, Options{})
	const path = "/v1/transactions"
	for _, c := range []struct {
		body   string
		status int
		want   string
	}{
		{`{"if":[{"key":"{t}a","exists":false}],"then":[["SET","{t}a","1"],["LS.PUT","{t}b",{"value_base64":"/w=="}]]}`, 200,
			`{"results":["OK",[2,0]],"succeeded":true}`},
		{`{"if":[{"key":"{t}a","value":"1"},{"key":"{t}b","value_base64":"/w=="},{"key":"{t}b","version":2}],"then":[["INCR","{t}a"],["GET","{t}b"]]}`, 200,
			`{"results":[2,{"value_base64":"/w=="}],"succeeded":true}`},
		{`{"if":[{"key":"{t}a","value":"2"},{"key":"{t}b","version":1}],"then":[["DEL","{t}a"]],"else":[["GET","{t}a"]]}`, 200,
			`{"results":["2"],"succeeded":false}`},
		{`{"if":[{"key":"{t}a","value":"1"}],"then":[["DEL","{t}a"]]}`, 200, `{"results":[],"succeeded":false}`},
		{`{"then":[["DEL","{t}a"],["LS.PUT","{t}b","x","IFVERSION","1"]]}`, 412, "condition_failed"},
		{`{"then":[["DEL","{t}a"],["INCR","{t}b"]]}`, 422, "not_an_integer"},
		{`{"then":[["DEL","{t}a"],["EXPIRE","{t}b","abc"]]}`, 400, "command_error"},
		{`{"then":[["DEL","{t}a"],["RENAME","{t}none","{t}x"]]}`, 404, "no_such_key"},
		{`{"if":[{"key":"a","exists":false}],"then":[["SET","b","1"]]}`, 400, "cross_slot"},
		{`{"then":[["GET","{t}a"]]}`, 200, `{"results":["2"],"succeeded":true}`},
		{`{"if":[{"key_base64":"/w==","exists":false}]}`, 200, `{"results":[],"succeeded":true}`},
	} {
		w := f.call("POST", path, c.body)
		got := strings.TrimSpace(w.Body.String())
		if w.Code >= 400 {
			got = checkProblem(t, w).Code
		}
		if w.Code != c.status || got != c.want || w.Code < 400 && w.Header().Get(indexHeader) == "" {
			t.Errorf("%s\n got %d %s %v\nwant %d %s", c.body, w.Code, w.Body, w.Header(), c.status, c.want)
		}
	}
	for range 2 {
		w := f.call("POST", path, `{"then":[["INCR","{t}n"]]}`, "Idempotency-Key: one")
		if got := strings.TrimSpace(w.Body.String()); got != `{"results":[1],"succeeded":true}` {
			t.Errorf("under an idempotency key: %s", got)
		}
	}
	before := f.node.Shard(0).Units.Load() + f.node.Shard(1).Units.Load() + f.node.Shard(2).Units.Load() + f.node.Shard(3).Units.Load()
	f.call("POST", path, `{"if":[{"key":"{t}n","exists":true}],"then":[["INCR","{t}n"],["SET","{t}m","1"],["GET","{t}n"]]}`)
	if after := f.node.Shard(0).Units.Load() + f.node.Shard(1).Units.Load() + f.node.Shard(2).Units.Load() + f.node.Shard(3).Units.Load(); after != before+1 {
		t.Errorf("a transaction made %d units", after-before)
	}
}

func TestIdempotencyKeyMakesOneOfTwo(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{})
	for range 2 {
		if got := strings.TrimSpace(f.call("POST", "/v1/keys/n/incr", ``, "Idempotency-Key: one").Body.String()); got != `{"value":1,"version":1}` {
			t.Errorf("got %s", got)
		}
	}
	for range 2 {
		got := strings.TrimSpace(f.call("POST", "/v1/commands", `[["INCR","n"],["INCR","n"],["GET","n"]]`, "Idempotency-Key: two").Body.String())
		if got != `{"results":[2,3,"3"]}` {
			t.Errorf("got %s", got)
		}
	}
	if p := checkProblem(t, f.call("POST", "/v1/keys/other/incr", ``, "Idempotency-Key: one")); p.Code != "idempotency_key_reused" || p.Status != 409 {
		t.Errorf("%+v", p)
	}
}

// TestWritesThatTakeNoIdempotencyKey are refused with one, and change nothing:
// a client that names its request relies on it to happen once.
func TestWritesThatTakeNoIdempotencyKey(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{})
	f.call("PUT", "/v1/keys/stays", `{"value":"x"}`)
	for _, body := range []string{
		`[["MULTI"]]`, `["FLUSHALL"]`, `["flushdb"]`, `["FLUSHALL","ASYNC"]`,
		`[["SET","a","1"],["FLUSHALL"]]`, `["ONCE","id","SET","a","1"]`,
	} {
		p := checkProblem(t, f.call("POST", "/v1/commands", body, "Idempotency-Key: x"))
		if p.Code != "bad_idempotency_key" || p.Status != 400 {
			t.Errorf("%s: %+v", body, p)
		}
	}
	if w := f.call("POST", "/v1/commands", `["EXISTS","stays","a"]`, "Idempotency-Key: x"); strings.TrimSpace(w.Body.String()) != `{"result":1}` {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestPassword(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{Passwords: []string{"s3cret"}}, Options{})
	basic := func(s string) string { return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	for header, status := range map[string]int{
		"":                              401,
		basic("default:wrong"):          401,
		basic("root:s3cret"):            401,
		basic("default:s3cret"):         200,
		basic(":s3cret"):                200,
		"Authorization: Bearer s3cret":  200,
		"Authorization: Bearer s3cretx": 401,
		"Authorization: Digest s3cret":  401,
	} {
		var headers []string
		if header != "" {
			headers = []string{header}
		}
		w := f.call("GET", "/v1/cluster", "", headers...)
		if w.Code != status {
			t.Errorf("%q: got %d, want %d", header, w.Code, status)
		}
		if status == 401 && w.Header().Get("Connection") != "close" {
			t.Errorf("%q: the connection stays", header)
		}
		if status == 401 && (checkProblem(t, w).Code != "unauthorized" || len(w.Header().Values("WWW-Authenticate")) != 2) {
			t.Errorf("%q: %v", header, w.Header())
		}
	}
	if w := f.call("GET", "/healthz", ""); w.Code != 200 {
		t.Errorf("/healthz: %d", w.Code)
	}
	if w := f.call("POST", "/v1/commands", `["GET","k"]`, "Authorization: Bearer s3cret"); w.Code != 200 {
		t.Errorf("a command after authentication: %d %s", w.Code, w.Body)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // nobody waits for the answers
	for range 100 {
		f.router.Login(ctx, "192.0.2.1:1234", router.KindHTTP, nil, nil) // the address of httptest's requests
	}
	if w := f.call("GET", "/v1/cluster", "", "Authorization: Bearer wrong"); w.Code != 429 || checkProblem(t, w).Code != "too_many_failed_logins" {
		t.Errorf("one guess too many: %d %s", w.Code, w.Body)
	}
	if w := f.call("GET", "/v1/cluster", ""); w.Code != 401 {
		t.Errorf("no guess at all: %d %s", w.Code, w.Body)
	}
}

func TestCluster(t *testing.T) {
	f := newFixture(t, routertest.Options{Shards: 2}, router.Config{}, Options{})
	if w := f.call("POST", "/v1/shards/1/leader", `{"node":"n2"}`); w.Code != 200 {
		t.Fatal(w.Code, w.Body)
	}
	var c struct{ Shards []shardJSON }
	if err := json.Unmarshal(f.call("GET", "/v1/cluster", "").Body.Bytes(), &c); err != nil {
		t.Fatal(err)
	}
	if len(c.Shards) != 2 || c.Shards[1].Leader != "n2" || c.Shards[0].Slots[0] != [2]uint16{0, 8191} {
		t.Errorf("%+v", c)
	}
}

// TestRequestsAreCounted by what was answered; a client cannot make labels.
func TestRequestsAreCounted(t *testing.T) {
	reg := prometheus.NewRegistry()
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{Registerer: reg, Gatherer: reg})
	f.call("PUT", "/v1/keys/a", "1", "Content-Type: application/octet-stream")
	f.call("GET", "/v1/keys/b", "")
	f.call("BREW", "/v1/keys/b", "")
	text := f.call("GET", "/metrics", "").Body.String()
	for _, want := range []string{`{method="PUT",status="200"} 1`, `{method="GET",status="404"} 1`, `{method="other",status="405"} 1`} {
		if !strings.Contains(text, "lockstep_http_requests_total"+want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}

// TestOpenAPI compares the document with the routes: both have the same.
func TestOpenAPI(t *testing.T) {
	if !bytes.Contains(openapiDocument, []byte(`"openapi": "3.1.`)) {
		t.Error("not the version that is meant")
	}
	if got := undocumented(t, (&api{metrics: http.NotFoundHandler()}).routes()); got != "" {
		t.Error(got)
	}
}

// undocumented tells of routes without documentation, and of documentation without a route.
func undocumented(t testing.TB, routes []route) string {
	t.Helper()
	var have []string
	for _, rt := range routes {
		have = append(have, rt.method+" "+rt.path)
	}
	told := document(t).Operations()
	var b strings.Builder
	for _, name := range have {
		if !slices.Contains(told, name) {
			fmt.Fprintf(&b, "%s is not in openapi.json\n", name)
		}
	}
	for _, name := range told {
		if !slices.Contains(have, name) {
			fmt.Fprintf(&b, "openapi.json has %s, the handler does not\n", name)
		}
	}
	return b.String()
}

// TestUndocumentedRoutesAreFound: a route too many and one too few are told.
func TestUndocumentedRoutesAreFound(t *testing.T) {
	routes := (&api{metrics: http.NotFoundHandler()}).routes()
	changed := append(slices.Clone(routes[1:]), route{method: "GET", path: "/v1/secret"})
	want := "GET /v1/secret is not in openapi.json\nopenapi.json has GET /v1/keys, the handler does not\n"
	if got := undocumented(t, changed); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// FuzzBodies sends any body to each call that takes one: every answer is a
// result or a whole problem document.
func FuzzBodies(f *testing.F) {
	for _, seed := range []string{
		`{"value":"x","ttl_ms":5,"if":"absent"}`, `{"value_base64":"/w=="}`, `{"by":1}`, `{"node":"n2"}`,
		`{"if":[{"key":"k","exists":false}],"then":[["SET","k","v"]],"else":[["GET","k"]]}`,
		`["SET","k","v"]`, `[["MULTI"],["GET","k"],["EXEC"]]`, `["GET",{"value_base64":""}]`, `{"value":"\ud83d\ude00"}`,
		`{"value":"\ud800"}`, `[[]]`, `[null]`, `{"":{}}`, "\xff", `[["CLIENT","REPLY","OFF"],["PING"]]`, `["HELLO",3]`,
	} {
		f.Add(seed, uint8(0))
	}
	fx := newFixture(f, routertest.Options{}, router.Config{}, Options{MaxValueBytes: 1 << 12})
	calls := []struct{ method, path, header string }{
		{"PUT", "/v1/keys/k", "Content-Type: application/json"},
		{"PUT", "/v1/keys/k", "Content-Type: application/octet-stream"},
		{"POST", "/v1/keys/k/incr", "Content-Type: application/json"},
		{"POST", "/v1/commands", "Content-Type: application/json"},
		{"POST", "/v1/commands", "Idempotency-Key: k"},
		{"POST", "/v1/transactions", "Content-Type: application/json"},
		{"POST", "/v1/shards/0/leader", "Content-Type: application/json"},
	}
	f.Fuzz(func(t *testing.T, body string, _ uint8) {
		*fx.wrong = func(err error) { t.Error(err) }
		for _, c := range calls {
			w := fx.call(c.method, c.path, body, c.header)
			if w.Code >= 400 {
				checkProblem(t, w)
			} else if !json.Valid(w.Body.Bytes()) {
				t.Fatalf("%s %s: %d with %q", c.method, c.path, w.Code, w.Body)
			}
		}
	})
}

func TestFullDiskIs507(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{})
	f.node.Shard(0).SetNoRoom(true)
	for _, header := range []string{"Content-Type: application/json", "Idempotency-Key: k"} {
		p := checkProblem(t, f.call("PUT", "/v1/keys/a", `{"value":"x"}`, header))
		if p.Status != http.StatusInsufficientStorage || p.Code != "out_of_disk" || p.Outcome != request.Refused {
			t.Errorf("%s: %+v", header, p)
		}
	}
	if w := f.call("DELETE", "/v1/keys/a", ""); w.Code != 200 {
		t.Errorf("DELETE: %d %s", w.Code, w.Body)
	}
}
