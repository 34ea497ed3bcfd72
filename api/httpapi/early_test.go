package httpapi

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
)

// A client that sends all of a large request before it reads learns why it is refused:
// its connection is not reset meanwhile.
func TestRefusedEarlyIsReadLate(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := NewServer(ServerOptions{Handler: newFixture(t, routertest.Options{}, router.Config{}, Options{MaxValueBytes: 1 << 20}), patience: time.Minute})
	serveOn(t, srv, l)
	sent := int64(0)
	for _, c := range []struct {
		head   string
		size   int64
		status int
	}{
		{"PUT /v1/keys/k HTTP/1.1\r\nContent-Type: application/octet-stream\r\n", 96 << 20, 413},
		{"PUT /v1/keys/k HTTP/1.1\r\nContent-Type: text/html\r\n", 96 << 20, 415},
		{"POST /v1/nowhere HTTP/1.1\r\n", 32 << 20, 404},
		{"PUT /v1/keys/k HTTP/1.1\r\nExpect: more\r\n", 32 << 20, 417},
		{"PUT /v1/keys/k HTTP/1.1\r\nTransfer-Encoding: gzip\r\n", 32 << 20, 501},
		{"PUT /v1/keys/%zz HTTP/1.1\r\n", 32 << 20, 400},
	} {
		nc, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if err := nc.SetDeadline(time.Now().Add(60 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(nc, "%sHost: localhost\r\nContent-Length: %d\r\n\r\n", c.head, c.size); err != nil {
			t.Fatal(err)
		}
		sent += c.size
		if n, err := io.CopyN(nc, zeros{}, c.size); err != nil {
			t.Errorf("%.40q: %v after %d bytes", c.head, err, n)
		}
		res, err := http.ReadResponse(bufio.NewReader(nc), nil)
		if err != nil || res.StatusCode != c.status {
			t.Errorf("%.40q: %v %v", c.head, res, err)
			continue
		}
		if body, err := io.ReadAll(res.Body); err != nil || len(body) == 0 {
			t.Errorf("%.40q: %q %v", c.head, body, err)
		}
	}
	// A connection is counted when it has ended.
	poll(t, "what was thrown away is counted", func() bool { return srv.Counts().Discarded > 0 })
	if got := srv.Counts().Discarded; got > sent {
		t.Errorf("%d bytes were thrown away of %d", got, sent)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
