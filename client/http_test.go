package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/client/clienttest"
)

func newHTTP(t *testing.T, o Options, endpoints ...string) *HTTP {
	t.Helper()
	c, err := NewHTTP(endpoints, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func put(path string) Request {
	return Request{Method: "PUT", Path: path, Body: []byte(`{"value":"v"}`)}
}

func get(path string) Request { return Request{Method: "GET", Path: path} }

// wantError checks the kind of an error, in its whole.
func wantError(t *testing.T, err error, code string, outcome Outcome) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is no Error; want %s, %s", err, code, outcome)
	}
	if e.Code != code || e.Outcome != outcome || IsInDoubt(err) != (outcome == InDoubt) || Code(err) != code {
		t.Errorf("%v: %s, %s; want %s, %s", err, e.Code, e.Outcome, code, outcome)
	}
}

func TestAnswersThatAreNoSuccess(t *testing.T) {
	for _, c := range []struct {
		name     string
		request  Request
		status   int
		body     string
		code     string
		outcome  Outcome
		wantText string
	}{
		{"refused", put("/v1/keys/k"), 412, `{"code":"condition_failed","outcome":"not_applied","detail":"it is there"}`,
			"condition_failed", NotApplied, "412 Precondition Failed: it is there (condition_failed)"},
		{"in doubt", put("/v1/keys/k"), 504, `{"code":"in_doubt","outcome":"in_doubt","title":"who knows"}`, "in_doubt", InDoubt, "504 Gateway Timeout: who knows (in_doubt)"},
		{"a write through a broken proxy", put("/"), 502, "<html>", CodeBadAnswer, InDoubt, "502 Bad Gateway: <html>"},
		{"a read through a broken proxy", get("/"), 502, "<html>", CodeBadAnswer, NotApplied, "502 Bad Gateway: <html>"},
		{"a write through a proxy without servers", put("/"), 503, "", CodeBadAnswer, NotApplied, "503 Service Unavailable: "},
		{"no Lockstep", put("/"), 404, "nothing here\n", CodeBadAnswer, NotApplied, "404 Not Found: nothing here"},
		{"not ready", get("/"), 503, `{"code":"unavailable","outcome":"not_applied"}`, "unavailable", NotApplied, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			asked := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				asked++
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			defer server.Close()
			_, err := newHTTP(t, Options{}, server.URL, server.URL).Do(context.Background(), c.request)
			wantError(t, err, c.code, c.outcome)
			if c.wantText != "" && err.Error() != c.wantText {
				t.Errorf("%q, want %q", err, c.wantText)
			}
			var e *Error
			if errors.As(err, &e); e.Status != c.status || asked != 1 {
				t.Errorf("status %d, asked %d times", e.Status, asked)
			}
		})
	}
}

// hangsUp takes requests and closes the connection instead of answering.
func hangsUp(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(s.Close)
	return s
}

// A write goes to the next node only when it cannot have reached this one.
func TestEndpointsAreTriedInTurn(t *testing.T) {
	good := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"path":%q}`, r.URL.EscapedPath()+"?"+r.URL.RawQuery)
	}))
	defer good.Close()
	closed, lost := "http://"+clienttest.ClosedAddr(t), hangsUp(t).URL
	repeatable := put("/k")
	repeatable.Repeatable = true
	for _, c := range []struct {
		name      string
		request   Request
		endpoints []string
		code      string // empty: success
		outcome   Outcome
	}{
		{"a write, not sent", put("/k"), []string{closed, good.URL}, "", ""},
		{"a write, lost", put("/k"), []string{lost, good.URL}, CodeNoAnswer, InDoubt},
		{"a write that may be repeated, lost", repeatable, []string{lost, good.URL}, "", ""},
		{"a write that may be repeated, lost everywhere", repeatable, []string{lost, closed}, CodeUnreachable, NotApplied},
		{"a read, lost", get("/k"), []string{lost, closed, good.URL}, "", ""},
		{"a read, lost everywhere", get("/k"), []string{lost, closed}, CodeUnreachable, NotApplied},
		{"no request", Request{Method: "P U T", Path: "/k"}, []string{good.URL}, CodeUnreachable, NotApplied},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer, err := newHTTP(t, Options{Timeout: time.Minute}, c.endpoints...).Do(context.Background(), c.request)
			if c.code != "" {
				wantError(t, err, c.code, c.outcome)
				return
			}
			if err != nil || string(answer.Body) != `{"path":"/k?"}` {
				t.Errorf("%v, %+v", err, answer)
			}
		})
	}
}

// What is wrong about TLS is wrong at every node, and nothing of a write was read.
func TestWrongTLS(t *testing.T) {
	secure, plain := httptest.NewUnstartedServer(http.NotFoundHandler()), httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that fail
	secure.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	secure.StartTLS()
	defer secure.Close()
	trusting := &tls.Config{RootCAs: x509.NewCertPool()}
	trusting.RootCAs.AddCert(secure.Certificate())
	for _, c := range []struct {
		endpoint string
		config   *tls.Config
		code     string
	}{
		{secure.URL, nil, CodeUntrusted},
		{secure.URL, trusting, CodeCertificateRefused},
		{"https" + strings.TrimPrefix(plain.URL, "http"), trusting, CodeNoTLS},
	} {
		_, err := newHTTP(t, Options{TLS: c.config}, c.endpoint, plain.URL).Do(context.Background(), put("/"))
		wantError(t, err, c.code, NotApplied)
	}
}

func TestExchangeIsOneAttemptAtOneNode(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	defer server.Close()
	c := newHTTP(t, Options{}, hangsUp(t).URL, server.URL, "http://"+clienttest.ClosedAddr(t))
	_, err := c.Exchange(context.Background(), put("/"))
	wantError(t, err, CodeNoAnswer, InDoubt)
	answer, err := c.At(1).Exchange(context.Background(), put("/"))
	if err != nil || answer.Status != http.StatusTeapot {
		t.Errorf("%+v, %v", answer, err)
	}
	_, err = c.At(2).Exchange(context.Background(), put("/"))
	wantError(t, err, CodeUnreachable, NotApplied)
}

func TestWhatIsSent(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s|%s|%s|%s|%s", r.Method, r.URL.RequestURI(), r.Header.Get("Content-Type"), r.Header.Get("Authorization"), r.Header.Get("Idempotency-Key"), body)
	}))
	defer server.Close()
	c := newHTTP(t, Options{Password: "secret"}, strings.TrimPrefix(server.URL, "http://")+"/")
	r := put("/v1/keys/a%2Fb")
	r.Once, r.Query = "id 1", map[string][]string{"x": {"a b"}}
	for want, r := range map[string]Request{
		`PUT /v1/keys/a%2Fb?x=a+b|application/json|Bearer secret|id 1|{"value":"v"}`: r,
		`GET /v1/keys/k||Bearer secret||`:                                            get("/v1/keys/k"),
		`POST /raw|application/octet-stream|Bearer secret||abc`: {Method: "POST", Path: "/raw", Body: []byte("abc"),
			Header: http.Header{"Content-Type": {"application/octet-stream"}}},
	} {
		answer, err := c.Do(context.Background(), r)
		if err != nil || string(answer.Body) != want {
			t.Errorf("%v\n%s\n%s", err, answer.Body, want)
		}
	}
}

func TestAnswersAreBounded(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `"1234567"`) }))
	defer server.Close()
	var out string
	if _, err := newHTTP(t, Options{MaxAnswerBytes: 9}, server.URL).JSON(context.Background(), get("/"), &out); err != nil || out != "1234567" {
		t.Errorf("%q, %v", out, err)
	}
	c := newHTTP(t, Options{MaxAnswerBytes: 8}, server.URL)
	_, err := c.Do(context.Background(), get("/"))
	wantError(t, err, CodeAnswerTooLarge, NotApplied)
	_, err = c.Do(context.Background(), put("/"))
	wantError(t, err, CodeAnswerTooLarge, InDoubt)
	body, err := c.Stream(context.Background(), get("/"))
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if text, err := io.ReadAll(body); err != nil || len(text) != 9 {
		t.Errorf("%q, %v", text, err)
	}
}

func TestAnswerThatIsNoJSON(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }))
	defer server.Close()
	_, err := newHTTP(t, Options{}, server.URL).JSON(context.Background(), get("/"), &struct{}{})
	wantError(t, err, CodeBadAnswer, NotApplied)
	if !strings.Contains(err.Error(), "does not answer as lockstep does") {
		t.Error(err)
	}
}

func TestContextEndsARequest(t *testing.T) {
	come := make(chan struct{}, 8)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server does not notice that the client is gone
		come <- struct{}{}
		<-r.Context().Done()
	}))
	defer server.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		<-come
		cancel()
	}()
	c := newHTTP(t, Options{}, server.URL, server.URL)
	_, err := c.Do(ctx, put("/"))
	wantError(t, err, CodeNoAnswer, InDoubt)
	_, err = newHTTP(t, Options{Timeout: 50 * time.Millisecond}, server.URL).Do(context.Background(), get("/"))
	wantError(t, err, CodeUnreachable, NotApplied)
}

func TestEndpointsThatAreNone(t *testing.T) {
	for _, s := range []string{"", "ftp://x:1", "http://", "http://[::1"} {
		if _, err := NewHTTP([]string{"127.0.0.1:8001", s}, Options{}); err == nil || !strings.Contains(err.Error(), "is not an address such as") {
			t.Errorf("%q: %v", s, err)
		}
	}
	if _, err := NewHTTP(nil, Options{}); err == nil {
		t.Error("no endpoint")
	}
	if got := newHTTP(t, Options{}, "a:1", "https://b:2/").Endpoints(); strings.Join(got, " ") != "http://a:1 https://b:2" {
		t.Errorf("%q", got)
	}
}

// A write that a node took before its connection broke is in doubt. Were it sent
// again, as net/http would with an idempotency key, the refusal of the copy would make
// it a failed one.
func TestWritesAreNotSentTwice(t *testing.T) {
	under := put("/v1/keys/k")
	under.Once = "id"
	for _, r := range []Request{under, put("/v1/keys/k"), {Method: "DELETE", Path: "/v1/keys/k", Once: "id"}} {
		c := newHTTP(t, Options{Timeout: time.Minute, MaxConns: 1}, clienttest.AnswersOnce(t))
		if _, err := c.Do(context.Background(), put("/first")); err != nil {
			t.Fatal(err)
		}
		_, err := c.Do(context.Background(), r)
		wantError(t, err, CodeNoAnswer, InDoubt)
	}
}
