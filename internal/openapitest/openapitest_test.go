package openapitest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

const sample = `{"openapi": "3.1.0", "info": {"title": "t", "version": "1"},
"components": {"schemas": {"Problem": {"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]}}},
"paths": {
 "/a": {"get": {"responses": {"200": {"description": "d", "headers": {"ETag": {"schema": {"type": "string"}}}, "content": {"application/json":
  {"schema": {"type": "object", "properties": {"n": {"type": ["integer", "null"]}}, "required": ["n"], "additionalProperties": false}}}}}}},
 "/l/{name}": {"parameters": [{"name": "name", "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}}],
  "delete": {"responses": {"204": {"description": "d"}}}}}}`

// Whatever is not as documented is told, from either side.
func TestWhatIsNotDocumentedIsTold(t *testing.T) {
	for _, c := range []struct {
		call   string
		status int
		header string
		body   string
		want   string // of what is told; empty: nothing
	}{
		{"GET /a", 200, "", `{"n":1}`, ""},
		{"GET /a", 200, "Etag", `{"n":null}`, ""},
		{"HEAD /a", 200, "", ``, ""},
		{"GET /a", 200, "", `{"n":"1"}`, "doesn't match schema"},
		{"GET /a", 200, "", `{"n":1,"m":2}`, "doesn't match schema"},
		{"GET /a", 200, "", `{}`, "doesn't match schema"},
		{"GET /a", 200, "", `{`, "decode"},
		{"GET /a", 200, "X-Lockstep-Secret", `{"n":1}`, "header X-Lockstep-Secret is not documented"},
		{"GET /a", 404, "", `{"code":"x"}`, "status 404 is not documented"},
		{"DELETE /l/x%2Fy", 204, "", ``, ""},
		{"DELETE /l/", 404, "", `{"code":"x"}`, ""},
		{"DELETE /l/", 404, "", `{}`, "code"},
		{"GET /b", 200, "", `{}`, "is not documented"},
	} {
		d, err := New([]byte(sample))
		if err != nil {
			t.Fatal(err)
		}
		var told [2][]string
		handler := d.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if c.header != "" {
				w.Header().Set(c.header, "v")
			}
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		}), func(err error) { told[0] = append(told[0], err.Error()) })
		transport := d.Transport(inProcess{handler}, func(err error) { told[1] = append(told[1], err.Error()) })
		method, path, _ := strings.Cut(c.call, " ")
		res, err := transport.RoundTrip(httptest.NewRequest(method, path, nil))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(res.Body); err != nil {
			t.Fatal(err)
		}
		for side, got := range told {
			if (len(got) == 0) != (c.want == "") || c.want != "" && !strings.Contains(got[0], c.want) {
				t.Errorf("%s %d %s, side %d: told %q, want %q", c.call, c.status, c.body, side, got, c.want)
			}
		}
		if want := []string{"DELETE /l/{name}", "GET /a"}; !slices.Equal(d.Operations(), want) {
			t.Errorf("operations %q", d.Operations())
		}
		if left := d.Unseen("2"); c.call == "GET /a" && c.status == 200 && !slices.Equal(left, []string{"DELETE /l/{name}"}) {
			t.Errorf("%s: unseen %q", c.call, left)
		}
	}
}

// inProcess is a transport without a network.
type inProcess struct{ http.Handler }

func (p inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	p.ServeHTTP(w, req)
	return w.Result(), nil
}
