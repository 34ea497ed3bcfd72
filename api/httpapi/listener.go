package httpapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
)

// Serve serves srv on l as srv.Serve does, but answers what is no HTTP request, such
// as a path with %zz in it, with a problem document too. net/http refuses these before
// any handler sees them, in plain text.
func Serve(srv *http.Server, l net.Listener) error {
	next := srv.Handler
	srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(*conn); ok {
			c.handled.Store(true)
		}
		next.ServeHTTP(w, r)
	})
	srv.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, c)
	}
	srv.ConnState = func(c net.Conn, state http.ConnState) {
		if c, ok := c.(*conn); ok && state == http.StateIdle {
			c.handled.Store(false)
		}
	}
	return srv.Serve(listener{l})
}

type connKey struct{}

type listener struct{ net.Listener }

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c}, nil
}

// conn is a client's connection.
type conn struct {
	net.Conn
	// handled: what is written comes from a handler. It may look like anything.
	handled atomic.Bool
}

// refusal is what net/http writes, in one call, between the status line and the text.
const refusal = "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"

func (c *conn) Write(b []byte) (int, error) {
	if c.handled.Load() || !bytes.HasPrefix(b, []byte("HTTP/1.1 ")) {
		return c.Conn.Write(b)
	}
	line, text, found := strings.Cut(string(b[len("HTTP/1.1 "):]), refusal)
	status, err := strconv.Atoi(line[:min(3, len(line))])
	if !found || err != nil || strings.Contains(line, "\r\n") {
		return c.Conn.Write(b)
	}
	if err := writeRefusal(c.Conn, status, text); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Read tells a client that speaks HTTP to a port with TLS what is wrong.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	var record tls.RecordHeaderError
	if errors.As(err, &record) && record.Conn != nil && looksLikeHTTP(record.RecordHeader[:]) {
		_ = writeRefusal(record.Conn, http.StatusBadRequest, "this port speaks HTTPS") // the connection ends anyway
	}
	return n, err
}

func looksLikeHTTP(start []byte) bool {
	for _, method := range []string{"GET /", "HEAD ", "POST ", "PUT /", "DELET", "OPTIO"} {
		if string(start) == method {
			return true
		}
	}
	return false
}

func writeRefusal(w io.Writer, status int, text string) error {
	p := problem{Status: status, Code: "malformed_request", Detail: text}
	switch status {
	case http.StatusRequestHeaderFieldsTooLarge:
		p.Code, p.Detail = "header_too_large", "the header of the request is too large"
	case http.StatusNotImplemented:
		p.Code = "unsupported_transfer_encoding"
	case http.StatusHTTPVersionNotSupported:
		p.Code = "unsupported_http_version"
	}
	if p.Detail == "400 Bad Request" {
		p.Detail = "this is no HTTP request: look at the request line, the percent-encoding of the path, and the header"
	}
	var body bytes.Buffer
	encode(&body, p.complete())
	_, err := fmt.Fprintf(w, "HTTP/1.1 %d %s\r\nContent-Type: application/problem+json\r\nX-Content-Type-Options: nosniff\r\n"+
		"Cache-Control: no-store\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", status, http.StatusText(status), body.Len(), body.Bytes())
	return err
}

// ConnBytes is about what a connection takes besides its request: its goroutine's stack, the socket,
// the buffers of net/http.
const ConnBytes = 20 << 10
