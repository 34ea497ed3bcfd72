package client

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/lockstepkv/lockstep/client/clienttest"
	"github.com/lockstepkv/lockstep/resp"
)

func dial(t *testing.T, addr string, o Options) *Conn {
	t.Helper()
	c, err := Dial(context.Background(), addr, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestReplies(t *testing.T) {
	addr, _ := clienttest.Replies(t, "$1\r\nv\r\n", "-WRONGTYPE no\r\n", "-INDOUBT may have happened\r\n", "-OOM no\r\n", "-ERR x\r\n")
	c, ctx := dial(t, addr, Options{Timeout: time.Minute}), context.Background()
	if v, err := c.Do(ctx, "GET", "k"); err != nil || string(v.Str) != "v" {
		t.Fatalf("%+v, %v", v, err)
	}
	_, err := c.Do(ctx, "INCR", "k")
	wantError(t, err, "WRONGTYPE", NotApplied)
	var reply resp.Error
	if !errors.As(err, &reply) || reply != "WRONGTYPE no" || err.Error() != "INCR: WRONGTYPE no" {
		t.Errorf("%v", err)
	}
	_, err = c.Do(ctx, "INCR", "k")
	wantError(t, err, "INDOUBT", InDoubt)
	_, err = c.Do(ctx, "INCR", "k")
	wantError(t, err, "OOM", NotApplied)
	if v, err := c.Exchange(ctx, "INCR", "k"); err != nil || !v.IsError() {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestGreetings(t *testing.T) {
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{}, "PING"},
		{Options{Password: "p"}, "AUTH p"},
		{Options{Version: 3}, "HELLO 3"},
		{Options{Version: 2, Password: "p"}, "HELLO 2 AUTH default p"},
	} {
		addr, got := clienttest.Replies(t, "+OK\r\n", "+OK\r\n")
		if _, err := dial(t, addr, c.o).Do(context.Background(), "PING"); err != nil {
			t.Fatal(err)
		}
		if first := strings.Join(<-got, " "); first != c.want {
			t.Errorf("%q, want %q", first, c.want)
		}
	}
	// That the greeting got no answer, or one that is in doubt, puts nothing in doubt.
	for reply, code := range map[string]string{"-WRONGPASS no\r\n": "WRONGPASS", "-INDOUBT no\r\n": "INDOUBT", "": CodeNoAnswer} {
		addr, _ := clienttest.Replies(t, reply)
		_, err := Dial(context.Background(), addr, Options{Password: "p"})
		wantError(t, err, code, NotApplied)
	}
	_, err := Dial(context.Background(), clienttest.ClosedAddr(t), Options{})
	wantError(t, err, CodeUnreachable, NotApplied)
}

// After a reply that did not come nothing more is sent: the late reply would be taken
// for that of the next command.
func TestLostConnectionStaysLost(t *testing.T) {
	addr, got := clienttest.Replies(t)                           // never answers
	c := dial(t, addr, Options{Timeout: 500 * time.Millisecond}) // enough to send in
	_, err := c.Do(context.Background(), "SET", "a", "1")
	wantError(t, err, CodeNoAnswer, InDoubt)
	<-got
	_, err = c.Do(context.Background(), "SET", "b", "1")
	wantError(t, err, CodeUnreachable, NotApplied)
	if len(got) != 0 {
		t.Errorf("%q was sent", <-got)
	}
	for _, half := range []string{"", "$5\r\nab", "+O", "?\r\n"} {
		addr, _ := clienttest.Replies(t, half)
		c := dial(t, addr, Options{Timeout: 500 * time.Millisecond})
		_, err := c.Do(context.Background(), "SET", "a", "1")
		wantError(t, err, CodeNoAnswer, InDoubt)
	}
}

func TestContextEndsAnExchange(t *testing.T) {
	addr, got := clienttest.Replies(t, "+OK\r\n")
	c := dial(t, addr, Options{})
	ctx, cancel := context.WithCancel(context.Background())
	if _, err := c.Do(ctx, "PING"); err != nil {
		t.Fatal(err)
	}
	<-got
	go func() {
		<-got // the command has arrived
		cancel()
	}()
	_, err := c.Do(ctx, "SET", "a", "1")
	wantError(t, err, CodeNoAnswer, InDoubt)
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	// One that has ended before is not in doubt, and costs no connection.
	addr, _ = clienttest.Replies(t, "+OK\r\n")
	c = dial(t, addr, Options{})
	_, err = c.Do(ctx, "SET", "a", "1")
	wantError(t, err, CodeUnreachable, NotApplied)
	if _, err := c.Do(context.Background(), "PING"); err != nil {
		t.Error(err)
	}
}

func TestPipeline(t *testing.T) {
	addr, _ := clienttest.Replies(t, ":1\r\n", "-ERR no\r\n", ":3\r\n")
	c, ctx := dial(t, addr, Options{}), context.Background()
	var b []byte
	for range 3 {
		b = resp.AppendCommand(b, [][]byte{[]byte("INCR"), []byte("k")})
	}
	if err := c.Send(ctx, b); err != nil {
		t.Fatal(err)
	}
	for i, kind := range []resp.Kind{resp.KindInt, resp.KindError, resp.KindInt} {
		if v, err := c.Receive(ctx); err != nil || v.Kind != kind {
			t.Errorf("reply %d: %+v, %v", i, v, err)
		}
	}
}

// TestTLS: a certificate that nobody trusts is a connection that was not made.
func TestTLS(t *testing.T) {
	server := httptest.NewTLSServer(nil) // for its certificate
	defer server.Close()
	l, err := tls.Listen("tcp", "127.0.0.1:0", server.TLS)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if _, err := resp.ReadValue(bufio.NewReader(conn)); err == nil {
					_, _ = conn.Write([]byte("+PONG\r\n"))
				}
			}()
		}
	}()
	trusted := server.Client().Transport.(*http.Transport).TLSClientConfig
	if v, err := dial(t, l.Addr().String(), Options{TLS: trusted, Timeout: time.Minute}).Do(context.Background(), "PING"); err != nil || string(v.Str) != "PONG" {
		t.Errorf("%+v, %v", v, err)
	}
	_, err = Dial(context.Background(), l.Addr().String(), Options{TLS: &tls.Config{}})
	wantError(t, err, CodeUntrusted, NotApplied)
	plain := httptest.NewServer(nil)
	defer plain.Close()
	_, err = Dial(context.Background(), plain.Listener.Addr().String(), Options{TLS: trusted, Timeout: time.Minute})
	wantError(t, err, CodeNoTLS, NotApplied)
}

func TestParseSlots(t *testing.T) {
	node := func(port int64) resp.Value {
		return resp.Array(resp.BulkString("127.0.0.1"), resp.Int(port), resp.BulkString("id"))
	}
	s, err := parseSlots("n", resp.Array(
		resp.Array(resp.Int(0), resp.Int(99), node(7001)),
		resp.Array(resp.Int(100), resp.Int(16382), node(7002), node(7001)),
		resp.Array(resp.Int(16383), resp.Int(16383), node(7001)),
	))
	if err != nil || len(s.Addrs) != 2 || s.owner[99] != 0 || s.owner[100] != 1 || s.owner[16383] != 0 || !s.Sharded() {
		t.Fatalf("%v %+v", err, s)
	}
	if got := s.NodeOf([]byte("foo"), 0); got != 1 { // slot 12182
		t.Errorf("foo is on %d", got)
	}
	_, err = parseSlots("n", resp.Array(resp.Array(resp.Int(0), resp.Int(99), node(7001))))
	wantError(t, err, CodeNoLeader, NotApplied)
	for _, bad := range []resp.Value{
		resp.Array(resp.Int(1)),
		resp.Array(resp.Array(resp.Int(5), resp.Int(4), node(1))),
		resp.Array(resp.Array(resp.Int(0), resp.Int(16384), node(1))),
	} {
		_, err := parseSlots("n", bad)
		wantError(t, err, CodeBadAnswer, NotApplied)
	}
}

func TestLoadSlots(t *testing.T) {
	closed := clienttest.ClosedAddr(t)
	addr, _ := clienttest.Replies(t, "$17\r\ncluster_enabled:0\r\n")
	s, err := LoadSlots(context.Background(), []string{closed, addr}, Options{Timeout: time.Minute})
	if err != nil || s.Sharded() || !slices.Equal(s.Addrs, []string{closed, addr}) || s.NodeOf([]byte("k"), 3) != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	_, err = LoadSlots(context.Background(), []string{closed}, Options{})
	wantError(t, err, CodeUnreachable, NotApplied)
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
