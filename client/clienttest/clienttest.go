// Package clienttest has servers that do what a client must cope with; it is for tests.
package clienttest

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/lockstepkv/lockstep/resp"
)

// ClosedAddr is an address where nobody listens: a port that is not given out by chance.
func ClosedAddr(testing.TB) string { return "127.0.0.1:1" }

// Replies is a server of the Redis protocol for one connection: it gives one reply after
// the other, and then reads until the client hangs up. An empty reply is none: it hangs up
// itself. It tells what it was sent.
func Replies(t testing.TB, replies ...string) (addr string, got <-chan []string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	sent := make(chan []string, 100)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		r := bufio.NewReader(conn)
		for i := 0; ; i++ {
			v, err := resp.ReadValue(r)
			if err != nil {
				return
			}
			var words []string
			for _, e := range v.Elems {
				words = append(words, string(e.Str))
			}
			sent <- words
			if i < len(replies) {
				if replies[i] == "" {
					return // hangs up
				}
				_, _ = conn.Write([]byte(replies[i]))
			}
		}
	}()
	return l.Addr().String(), sent
}

// AnswersOnce is a node that answers one request, takes a second one on the same
// connection, and dies before it answers: it cannot be reached again.
func AnswersOnce(t testing.TB) string {
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
	return l.Addr().String()
}
