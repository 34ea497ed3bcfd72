package httpapi

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/api/request"
	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
)

// served is the API on a port of its own.
func served(t *testing.T, f fixture) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := NewServer(ServerOptions{Handler: f, MaxHeaderBytes: 4 << 10})
	serveOn(t, srv, l)
	return l.Addr().String()
}

// serveOn runs a server until the test ends.
func serveOn(t *testing.T, srv *Server, l net.Listener) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	t.Cleanup(func() {
		_ = srv.Close()
		<-done
	})
}

// exchange sends text as it is, and returns the last of n answers.
func exchange(t *testing.T, addr, text string, n int) (*http.Response, []byte) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(c)
	for {
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("%.40q: %v", text, err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		if n--; n == 0 {
			return res, body
		}
	}
}

// TestWhatIsNoRequestGetsAProblem: net/http answers these by itself.
func TestWhatIsNoRequestGetsAProblem(t *testing.T) {
	addr := served(t, newFixture(t, routertest.Options{}, router.Config{}, Options{}))
	const host = "Host: 127.0.0.1\r\n"
	for _, c := range []struct {
		text   string
		n      int
		status int
		code   string
	}{
		{"GET /v1/keys/%zz HTTP/1.1\r\n" + host + "\r\n", 1, 400, "malformed_request"},
		{"GET /v1/keys/%4 HTTP/1.1\r\n" + host + "\r\n", 1, 400, "malformed_request"},
		{"nonsense\r\n\r\n", 1, 400, "malformed_request"},
		{"GET /healthz HTTP/1.1\r\n\r\n", 1, 400, "malformed_request"},
		{"GET /healthz HTTP/1.1\r\n" + host + "\r\nGET /%zz HTTP/1.1\r\n" + host + "\r\n", 2, 400, "malformed_request"},
		{"GET /healthz HTTP/1.1\r\n" + host + "X: " + strings.Repeat("x", 20<<10) + "\r\n\r\n", 1, 431, "header_too_large"},
		{"GET /healthz HTTP/3.0\r\n" + host + "\r\n", 1, 505, "unsupported_http_version"},
		{"PUT /v1/keys/a HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip\r\n\r\n", 1, 501, "unsupported_transfer_encoding"},
		{"PUT /v1/keys/a HTTP/1.1\r\n" + host + "Content-Length: x\r\n\r\n", 1, 400, "malformed_request"},
		{"GET /healthz HTTP/1.1\r\n" + host + "A b: c\r\n\r\n", 1, 400, "malformed_request"},
		{"GET /v1/keys/a HTTP/1.1\r\n" + host + "Expect: more\r\n\r\n", 1, 417, "unknown_expectation"},
		{"GET /v1/keys/a HTTP/1.0\r\n" + host + "Expect: more\r\n\r\n", 1, 417, "unknown_expectation"},
		{"GET /healthz HTTP/1.1\r\n" + host + "\r\nGET /v1/keys/a HTTP/1.1\r\n" + host + "Expect: more\r\n\r\n", 2, 417, "unknown_expectation"},
	} {
		res, body := exchange(t, addr, c.text, c.n)
		var p problem
		if err := json.Unmarshal(body, &p); err != nil || res.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%.40q: %d %v %q", c.text, res.StatusCode, res.Header, body)
			continue
		}
		if res.StatusCode != c.status || p.Status != c.status || p.Code != c.code || p.Outcome != request.Refused || p.Detail == "" {
			t.Errorf("%.40q: %d %+v", c.text, res.StatusCode, p)
		}
	}
}

// TestARefusedHeadHasNoBody: its client would take one for the next answer.
func TestARefusedHeadHasNoBody(t *testing.T) {
	addr := served(t, newFixture(t, routertest.Options{}, router.Config{}, Options{}))
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, "HEAD /v1/keys/a HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: more\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if text := string(answer); err != nil || !strings.HasPrefix(text, "HTTP/1.1 417 ") || !strings.Contains(text, "problem+json") || !strings.HasSuffix(text, "\r\n\r\n") {
		t.Errorf("%v %q", err, text)
	}
}

// TestValuesThatLookLikeRefusals come as they were stored, wherever the server cuts
// them into writes.
func TestValuesThatLookLikeRefusals(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{})
	addr := served(t, f)
	value := strings.Repeat("HTTP/1.1 400 Bad Request"+refusal+"400 Bad Request", 400)
	for offset := range 64 {
		want := strings.Repeat("x", offset) + value
		if w := f.call("PUT", "/v1/keys/a", want, "Content-Type: "+octetStream); w.Code != 200 {
			t.Fatal(w.Code, w.Body)
		}
		_, got := exchange(t, addr, "GET /v1/keys/a HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: "+octetStream+"\r\n\r\n", 1)
		if string(got) != want {
			t.Fatalf("with %d bytes before it, the value has %d bytes, want %d", offset, len(got), len(want))
		}
	}
}
