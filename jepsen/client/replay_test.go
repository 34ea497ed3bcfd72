package client

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/history"
)

// hangsUp is a node that answers one request, takes a second one on the same
// connection, and dies before it answers: it cannot be reached again.
func hangsUp(t *testing.T) Endpoint {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		defer l.Close() // before the connection breaks
		r := bufio.NewReader(conn)
		for answered := range 2 {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, req.Body)
			if answered == 0 {
				_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"))
			}
		}
	}()
	return Endpoint{HTTP: l.Addr().String(), Timeout: 2 * time.Second}
}

// A write that a node took before its connection broke is in doubt. Were it sent
// again, the refusal of the copy would make it a failed one.
func TestWritesAreNotSentTwice(t *testing.T) {
	for _, c := range []struct {
		name  string
		write func(*HTTP) Reply
	}{
		{"put under an id", func(h *HTTP) Reply { return h.Once(context.Background(), "id", "SET", "k", "v") }},
		{"command under an id", func(h *HTTP) Reply { return h.Once(context.Background(), "id", "APPEND", "k", "v") }},
		{"without an id", func(h *HTTP) Reply { return h.Do(context.Background(), "SET", "k", "v") }},
		{"without a body", func(h *HTTP) Reply {
			_, r := h.call(context.Background(), "DELETE", "/v1/keys/k", "id", nil, &struct{}{})
			return r
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := NewHTTP(hangsUp(t))
			defer client.Close()
			if r := client.Do(context.Background(), "SET", "k", "first"); r.Outcome != history.OK {
				t.Fatalf("the first request: %v", r.Err)
			}
			check(t, c.write(client), history.InDoubt, false)
		})
	}
}
