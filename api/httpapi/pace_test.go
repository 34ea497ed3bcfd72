package httpapi

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/api/request"
	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
)

// serve runs a Server on a port of its own.
func serve(t *testing.T, o ServerOptions) (*Server, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := NewServer(o)
	serveOn(t, srv, l)
	return srv, l.Addr().String()
}

func connect(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	return c
}

func poll(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("did not happen: %s", what)
		}
	}
}

// answer reads one answer, which is a problem.
func answer(t *testing.T, c net.Conn) problem {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var p problem
	if err := json.NewDecoder(res.Body).Decode(&p); err != nil || p.Status != res.StatusCode {
		t.Fatalf("%d %+v %v", res.StatusCode, p, err)
	}
	return p
}

func stalledPut(key, more string) string {
	return "PUT /v1/keys/" + key + " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: " + octetStream + "\r\nContent-Length: 100\r\n" + more + "\r\nhello"
}

// TestBodyThatStalls is answered, and its connection ends.
func TestBodyThatStalls(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{})
	srv, addr := serve(t, ServerOptions{Handler: f, StallTimeout: 50 * time.Millisecond})
	c := connect(t, addr)
	fmt.Fprint(c, stalledPut("a", ""))
	if p := answer(t, c); p.Status != 408 || p.Code != "body_stalled" || p.Outcome != request.Refused {
		t.Errorf("%+v", p)
	}
	poll(t, "the connection ends", func() bool { return srv.Connections() == 0 })
	if got := srv.Counts().StalledBodies; got != 1 {
		t.Errorf("counted %d", got)
	}
	if w := f.call("GET", "/v1/keys/a", ""); w.Code != 404 {
		t.Errorf("half a value was stored: %s", w.Body)
	}
}

// TestSlowBodyIsRead as long as it comes, though it takes longer than a stall.
func TestSlowBodyIsRead(t *testing.T) {
	const stall = 4 * time.Second
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{})
	_, addr := serve(t, ServerOptions{Handler: f, StallTimeout: stall})
	c := connect(t, addr)
	const pieces = 8
	fmt.Fprintf(c, "PUT /v1/keys/a HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", octetStream, pieces*2*bodyPace)
	tick := time.NewTicker(stall / 5)
	defer tick.Stop()
	for range pieces {
		<-tick.C
		if _, err := io.WriteString(c, strings.Repeat("x", 2*bodyPace)); err != nil {
			t.Fatal(err)
		}
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || res.StatusCode != 200 {
		t.Fatal(res, err)
	}
}

// TestStrangersBodyIsNotRead: with a password the header decides, before the body costs
// anything, and the connection ends whatever the client does.
func TestStrangersBodyIsNotRead(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{Passwords: []string{"secret"}}, Options{})
	srv, addr := serve(t, ServerOptions{Handler: f, StallTimeout: time.Hour})
	for _, path := range []string{"/v1/keys/a", "/v1/commands", "/healthz", "/nothing"} {
		for _, more := range []string{"", "Expect: 100-continue\r\n"} {
			c := connect(t, addr)
			fmt.Fprint(c, strings.Replace(stalledPut("a", more), "/v1/keys/a", path, 1))
			if p := answer(t, c); p.Status < 401 || p.Status > 405 {
				t.Errorf("%s: %+v", path, p)
			}
			if _, err := io.Copy(io.Discard, c); err != nil && !strings.Contains(err.Error(), "reset") {
				t.Errorf("%s: the connection stays: %v", path, err)
			}
		}
	}
	poll(t, "all connections end", func() bool { return srv.Connections() == 0 })
	if got := srv.Counts().StalledBodies; got != 0 {
		t.Errorf("%d bodies were read", got)
	}
}

// TestAnswerThatNobodyReads ends with its connection.
func TestAnswerThatNobodyReads(t *testing.T) {
	ended := make(chan error, 1)
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, err := w.Write(make([]byte, 256<<20))
		ended <- err
	})
	srv, addr := serve(t, ServerOptions{Handler: h, StallTimeout: 100 * time.Millisecond})
	c := connect(t, addr)
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
	if err := <-ended; err == nil {
		t.Error("256 MiB were written to a client that reads nothing")
	}
	poll(t, "the connection ends", func() bool { return srv.Connections() == 0 })
	if got := srv.Counts().StalledAnswers; got != 1 {
		t.Errorf("counted %d", got)
	}
}

// TestFullServerSaysSo, and takes connections again when others have ended.
func TestFullServerSaysSo(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		entered <- struct{}{}
		<-release
		w.WriteHeader(http.StatusNoContent)
	})
	srv, addr := serve(t, ServerOptions{Handler: h, MaxConns: 2, patience: time.Minute})
	const get = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
	var busy []net.Conn
	for range 2 {
		c := connect(t, addr)
		fmt.Fprint(c, get)
		<-entered
		busy = append(busy, c)
	}
	c := connect(t, addr)
	fmt.Fprint(c, get)
	if p := answer(t, c); p.Status != 503 || p.Code != "too_many_connections" || p.Outcome != request.Refused {
		t.Errorf("%+v", p)
	}
	if got := srv.Counts().Refused; got != 1 || srv.Connections() != 2 {
		t.Errorf("%d refused, %d open", got, srv.Connections())
	}
	close(release)
	for _, c := range busy {
		if res, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || res.StatusCode != 204 {
			t.Error(res, err)
		}
		c.Close()
	}
	poll(t, "places become free", func() bool { return srv.Connections() == 0 })
	c = connect(t, addr)
	fmt.Fprint(c, get)
	<-entered
	if res, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || res.StatusCode != 204 {
		t.Error(res, err)
	}
}

// TestConnectionsWithoutRequestMakeRoom: silent ones, first, and those between two
// requests. One with a request stays.
func TestConnectionsWithoutRequestMakeRoom(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			entered <- struct{}{}
			<-release
		}
		w.WriteHeader(http.StatusNoContent)
	})
	srv, addr := serve(t, ServerOptions{Handler: h, MaxConns: 3})
	do := func(c net.Conn, path string) {
		t.Helper()
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", path)
		if res, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || res.StatusCode != 204 {
			t.Fatal(path, res, err)
		}
	}
	busy, idle := connect(t, addr), connect(t, addr)
	fmt.Fprint(busy, "GET /wait HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
	<-entered
	do(idle, "/")
	for range 20 { // each ends the silent one before it
		connect(t, addr)
	}
	poll(t, "silent connections make room", func() bool { return srv.Counts().Displaced == 19 })
	do(idle, "/")
	rests := func(n int) { // the server knows of an answer's end after the client does
		t.Helper()
		poll(t, "the answered connections rest", func() bool { return srv.resting() == n })
	}
	rests(1)
	do(connect(t, addr), "/")
	rests(2)
	do(connect(t, addr), "/") // the idle one was idle for longest
	if _, err := idle.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the idle connection is still there", err)
	}
	close(release)
	if res, err := http.ReadResponse(bufio.NewReader(busy), nil); err != nil || res.StatusCode != 204 {
		t.Error(res, err)
	}
	if srv.Counts().Refused != 0 || srv.Connections() > 3 {
		t.Errorf("%+v, %d open", srv.Counts(), srv.Connections())
	}
}

// drip sends a little now and then.
func drip(c net.Conn, stop <-chan struct{}) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			if _, err := io.WriteString(c, "x"); err != nil {
				return
			}
		}
	}
}

// TestStalledBodiesMakeRoom: however many bodies stand still, or come by drops, others are
// answered, and so are they.
func TestStalledBodiesMakeRoom(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{})
	srv, addr := serve(t, ServerOptions{Handler: f, MaxConns: 4, StallTimeout: time.Hour})
	var stalled []net.Conn
	stop := make(chan struct{})
	defer close(stop)
	for i := range 4 {
		c := connect(t, addr)
		fmt.Fprint(c, strings.Replace(stalledPut(fmt.Sprint(i), ""), "100", "100000", 1))
		stalled = append(stalled, c)
		if i%2 > 0 {
			go drip(c, stop)
		}
	}
	poll(t, "all bodies are awaited", func() bool { return srv.awaited() == 4 })
	poll(t, "another client is answered", func() bool {
		c := connect(t, addr)
		defer c.Close()
		fmt.Fprint(c, "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		return err == nil && res.StatusCode == 200
	})
	poll(t, "all of them make room", func() bool {
		c := connect(t, addr)
		fmt.Fprint(c, stalledPut("more", ""))
		stalled = append(stalled, c)
		return srv.Counts().StalledBodies >= 4
	})
	codes := make(chan string, len(stalled))
	for _, c := range stalled {
		go func() {
			if res, err := http.ReadResponse(bufio.NewReader(c), nil); err == nil {
				var p problem
				_ = json.NewDecoder(res.Body).Decode(&p)
				codes <- p.Code
			}
		}()
	}
	for <-codes != "body_stalled" { // others found no room
	}
	for _, c := range stalled {
		c.Close()
	}
	poll(t, "all end", func() bool { return srv.Connections() == 0 && srv.leavingNow() == 0 })
}

// resting counts the connections that have had an answer and no further request.
func (s *Server) resting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.idle.Len()
}

// awaited counts the handlers that wait for a body.
func (s *Server) awaited() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.readMu.Lock()
		if !c.reading.IsZero() {
			n++
		}
		c.readMu.Unlock()
	}
	return n
}

func (s *Server) leavingNow() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leaving
}

// TestLargeHeadersAreBounded: what has no handler yet takes a bounded amount of memory,
// however many send it, and all of it is given back.
func TestLargeHeadersAreBounded(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{})
	srv, addr := serve(t, ServerOptions{Handler: f})
	head := "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + strings.Repeat("x", 120<<10)
	var begun []net.Conn
	most := maxHeads/(120<<10-freeHead) + 1
	for range most + 20 {
		c := connect(t, addr)
		fmt.Fprint(c, head)
		begun = append(begun, c)
	}
	refused := make(chan problem, len(begun))
	for _, c := range begun {
		go func() {
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				return // it may be reset before it has read
			}
			var p problem
			_ = json.NewDecoder(res.Body).Decode(&p)
			refused <- p
		}()
	}
	if p := <-refused; p.Status != 503 || p.Code != "overloaded" || p.Outcome != request.Refused {
		t.Errorf("%+v", p)
	}
	small := connect(t, addr)
	fmt.Fprint(small, "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
	if res, err := http.ReadResponse(bufio.NewReader(small), nil); err != nil || res.StatusCode != 200 {
		t.Error("beside them:", res, err)
	}
	for _, c := range begun {
		c.Close()
	}
	poll(t, "memory is given back", func() bool { return srv.heads.Load() == 0 })
	large := connect(t, addr)
	for range 3 {
		fmt.Fprint(large, head+"\r\n\r\n")
		if res, err := http.ReadResponse(bufio.NewReader(large), nil); err != nil || res.StatusCode != 200 {
			t.Fatal("a large header alone:", res, err)
		}
	}
	if got := srv.heads.Load(); got != 0 {
		t.Errorf("%d bytes are still counted", got)
	}
}

// TestFullServerEndsTLSAtOnce: a handshake would cost more than there is to say.
func TestFullServerEndsTLSAtOnce(t *testing.T) {
	srv := NewServer(ServerOptions{Handler: http.NotFoundHandler(), MaxConns: 1})
	client, server := net.Pipe()
	srv.refuse(tls.Server(server, new(tls.Config)))
	_ = client.SetDeadline(time.Now().Add(time.Minute))
	if _, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Error(err)
	}
}
