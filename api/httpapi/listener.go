package httpapi

import (
	"bytes"
	"cmp"
	linked "container/list"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockstepkv/lockstep/api/clientmem"
	"github.com/lockstepkv/lockstep/internal/linger"
)

// ServerOptions are the terms of a Server. Zero fields other than Handler have defaults.
type ServerOptions struct {
	Handler http.Handler
	// MaxConns is how many connections may be open; 0: any number.
	MaxConns int
	// HeaderTimeout is how long the header of a request may take, TLS included. Default
	// 10 s.
	HeaderTimeout time.Duration
	// StallTimeout ends a request of whose body less than 16 KiB come in that time, and an
	// answer of which less than 64 KiB are read. Default 30 s.
	StallTimeout   time.Duration
	MaxHeaderBytes int // default 128 KiB
	Logger         *slog.Logger
	Memory         *clientmem.Budget // counts the connections; nil: nobody does

	patience time.Duration // at least so long has a client that is refused; for tests on a busy machine
}

// connBytes is about what a connection takes besides its request: its goroutine's stack, the socket,
// the buffers of net/http.
const connBytes = 20 << 10

const (
	idleTimeout = 5 * time.Minute
	// refusalPatience is how long a client that is refused may take to send what nobody
	// wants, so that it can read why.
	refusalPatience = 250 * time.Millisecond
	maxRefusals     = 8 // being written at a time, and as many to those who have made room
)

// Server serves HTTP. What is no HTTP request, such as a path with %zz in it, is answered
// with a problem document too: net/http refuses these before any handler sees them, in
// plain text. No client holds a connection for ever by doing nothing, and none holds one
// that others need while it has no request.
type Server struct {
	http    *http.Server
	max     int
	stall   time.Duration
	least   time.Duration // see ServerOptions.patience
	memory  *clientmem.Budget
	refusal chan struct{} // bounds the refusals being written

	stopping atomic.Bool

	heads atomic.Int64 // bytes of large headers that have not come to a handler yet

	refused, displaced, stalledBodies, stalledAnswers, discarded atomic.Int64

	mu      sync.Mutex
	conns   map[*conn]struct{} // guarded by mu; those that count
	leaving int                // guarded by mu; displaced ones that are still answered
	// fresh and idle are the connections without a request, the oldest first: those that
	// have had none yet, and those between two.
	fresh, idle linked.List // guarded by mu
}

// NewServer returns a Server that does not listen yet.
func NewServer(o ServerOptions) *Server {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{max: o.MaxConns, stall: cmp.Or(o.StallTimeout, 30*time.Second), least: o.patience, memory: cmp.Or(o.Memory, clientmem.New(0)), refusal: make(chan struct{}, maxRefusals), conns: make(map[*conn]struct{})}
	s.http = &http.Server{
		Handler: s.paced(o.Handler), ReadHeaderTimeout: cmp.Or(o.HeaderTimeout, 10*time.Second), IdleTimeout: idleTimeout,
		MaxHeaderBytes: cmp.Or(o.MaxHeaderBytes, 128<<10), ErrorLog: slog.NewLogLogger(o.Logger.Handler(), slog.LevelWarn),
		ConnState: func(c net.Conn, state http.ConnState) {
			if c, ok := c.(*conn); ok && state == http.StateIdle {
				c.forgetHead()
				c.handled.Store(false)
				s.rest(c, &s.idle)
			}
		},
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
	}
	return s
}

// Serve accepts connections until Shutdown or Close.
func (s *Server) Serve(l net.Listener) error { return s.http.Serve(&listener{l, s}) }

// Shutdown stops accepting, and waits for the requests that there are.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stopping.Store(true)
	return s.http.Shutdown(ctx)
}

// Close ends all connections.
func (s *Server) Close() error {
	s.stopping.Store(true)
	return s.http.Close()
}

// Connections returns the number of open connections.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// ServerCounts are totals since the start.
type ServerCounts struct {
	Refused   int64 // connections that found no room, for themselves or for a large header
	Displaced int64 // connections that made room, without a request or with one of which nothing came
	// Requests whose body did not come, and answers that nobody read.
	StalledBodies, StalledAnswers int64
	Discarded                     int64 // bytes of refused requests that were thrown away
}

// Counts returns the totals.
func (s *Server) Counts() ServerCounts {
	return ServerCounts{
		Refused: s.refused.Load(), Displaced: s.displaced.Load(),
		StalledBodies: s.stalledBodies.Load(), StalledAnswers: s.stalledAnswers.Load(),
		Discarded: s.discarded.Load(),
	}
}

type connKey struct{}

type listener struct {
	net.Listener
	s *Server
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := l.s.admit(nc); c != nil {
			return c, nil
		}
		l.s.refused.Add(1)
		l.s.refuse(nc)
	}
}

// admit finds room for a connection: a free place, that of the connection that has been
// without a request for longest, or that of the request whose body has stood still for
// longest. Nil: there is none.
func (s *Server) admit(nc net.Conn) *conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.max > 0 && len(s.conns) >= s.max && !s.displace() {
		return nil
	}
	s.memory.AddFixed(connBytes)
	c := &conn{Conn: nc, s: s}
	s.conns[c] = struct{}{}
	c.place, c.in = s.fresh.PushBack(c), &s.fresh
	return c
}

// displace ends a connection that does nothing. s.mu is held.
func (s *Server) displace() bool {
	for _, l := range []*linked.List{&s.fresh, &s.idle} {
		if e := l.Front(); e != nil {
			c := e.Value.(*conn)
			s.leave(c)
			s.forget(c)
			s.displaced.Add(1)
			c.end()
			return true
		}
	}
	if s.leaving == maxRefusals || !pushStillest(maps.Keys(s.conns), func(c *conn) {
		s.forget(c)
		s.leaving++
		c.leaving = true
	}) {
		return false
	}
	s.displaced.Add(1)
	return true
}

// begin takes c out of those that may be displaced. False: it was.
func (s *Server) begin(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leave(c)
	return !c.gone
}

// rest counts c among those that may be displaced.
func (s *Server) rest(c *conn, among *linked.List) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leave(c)
	if c.gone {
		c.end() // its place belongs to another
		return
	}
	c.place, c.in = among.PushBack(c), among
}

// leave takes c off its list. s.mu is held.
func (s *Server) leave(c *conn) {
	if c.place != nil {
		c.in.Remove(c.place)
		c.place = nil
	}
}

// forget gives c's place to others. s.mu is held.
func (s *Server) forget(c *conn) {
	if !c.gone {
		c.gone = true
		delete(s.conns, c)
		s.memory.AddFixed(-connBytes)
	}
}

// refuse says that there is no room, to as many at a time as cost nothing. Over TLS that
// would take a handshake, so there the connection just ends.
func (s *Server) refuse(nc net.Conn) {
	if _, secured := nc.(*tls.Conn); secured {
		_ = nc.(*tls.Conn).NetConn().Close()
		return
	}
	select {
	case s.refusal <- struct{}{}:
	default:
		_ = nc.Close()
		return
	}
	go func() {
		defer func() { <-s.refusal }()
		defer nc.Close()
		_ = nc.SetDeadline(time.Now().Add(max(refusalPatience, s.least)))
		// Some clients take what comes before their request for no answer to it.
		_, _ = nc.Read(make([]byte, 1))
		_ = nc.SetDeadline(time.Now().Add(max(refusalPatience, s.least)))
		if writeRefusal(nc, problem{Status: http.StatusServiceUnavailable, Code: "too_many_connections",
			Detail: "this listener has as many connections as it takes (--http-max-connections)"}) != nil {
			return
		}
		bounds := linger.Stranger()
		bounds.Total = refusalPatience
		s.discarded.Add(linger.End(nc, bounds.Least(s.least), s.stopping.Load))
	}()
}

// conn is a client's connection.
type conn struct {
	net.Conn
	s *Server
	// handled: what is written comes from a handler. It may look like anything.
	handled atomic.Bool

	trusted atomic.Bool // a request had the password, if there is one
	bowed   bool

	head atomic.Int64 // bytes that have come for the next request, while no handler has it

	readMu  sync.Mutex
	reading time.Time // guarded by readMu; since when little of the body has come; zero: no handler waits for it
	pushed  bool      // guarded by readMu; the body has no more time

	leaving bool            // guarded by s.mu; it is counted in s.leaving
	place   *linked.Element // guarded by s.mu; in the list in, nil while there is a request
	in      *linked.List    // guarded by s.mu
	gone    bool            // guarded by s.mu; it does not count any more
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.s.mu.Lock()
	c.s.leave(c)
	c.s.forget(c)
	if c.leaving {
		c.leaving = false
		c.s.leaving--
	}
	c.s.mu.Unlock()
	c.forgetHead()
	return c.Conn.Close()
}

// end closes the socket without waiting for anybody.
func (c *conn) end() {
	if secured, ok := c.Conn.(*tls.Conn); ok {
		_ = secured.NetConn().Close()
		return
	}
	_ = c.Conn.Close()
}

// CloseWrite is called by net/http, to let a client read the last answer. It waits half a
// second then, but reads nothing.
func (c *conn) CloseWrite() error {
	c.linger()
	return nil
}

// refusal is what net/http writes, in one call, between the status line and the text.
const refusal = "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"

func (c *conn) Write(b []byte) (int, error) {
	if c.handled.Load() || !bytes.HasPrefix(b, []byte("HTTP/1.")) {
		return c.write(b)
	}
	if bytes.HasPrefix(b[len("HTTP/1."):], []byte("1 417 ")) || bytes.HasPrefix(b[len("HTTP/1."):], []byte("0 417 ")) {
		return len(b), c.refuseExpectation(b)
	}
	if !bytes.HasPrefix(b, []byte("HTTP/1.1 ")) {
		return c.write(b)
	}
	line, text, found := strings.Cut(string(b[len("HTTP/1.1 "):]), refusal)
	status, err := strconv.Atoi(line[:min(3, len(line))])
	if !found || err != nil || strings.Contains(line, "\r\n") {
		return c.write(b)
	}
	if err := writeRefusal(c.Conn, malformed(status, text)); err != nil {
		return 0, err
	}
	c.linger()
	return len(b), nil
}

// linger ends the connection so that the client can read the last answer, though it still
// sends. It belongs to the goroutine that serves the connection.
func (c *conn) linger() {
	if c.bowed {
		return
	}
	c.bowed = true
	bounds := linger.Stranger()
	if c.trusted.Load() {
		bounds = linger.Client()
	}
	c.s.discarded.Add(linger.End(c.Conn, bounds.Least(c.s.least), c.s.stopping.Load))
}

// refuseExpectation answers instead of answer, in which net/http refuses an Expect without
// a word. What it writes to a HEAD request has no length, and must have no body.
func (c *conn) refuseExpectation(answer []byte) error {
	var b bytes.Buffer
	_ = writeRefusal(&b, problem{Status: http.StatusExpectationFailed, Code: "unknown_expectation", Detail: "Expect: only 100-continue is known"})
	text := b.Bytes()
	if !bytes.Contains(answer, []byte("\r\nContent-Length:")) {
		text = text[:bytes.Index(text, []byte("\r\n\r\n"))+4]
	}
	if _, err := c.Conn.Write(text); err != nil {
		return err
	}
	c.linger()
	return nil
}

// Read tells a client that speaks HTTP to a port with TLS what is wrong.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && !c.handled.Load() && !c.takeHead(int64(n)) {
		c.s.refused.Add(1)
		_ = writeRefusal(c, problem{Status: http.StatusServiceUnavailable, Code: "overloaded", Detail: "too many large headers at once"})
		return 0, io.EOF
	}
	var record tls.RecordHeaderError
	if errors.As(err, &record) && record.Conn != nil && looksLikeHTTP(record.RecordHeader[:]) {
		_ = writeRefusal(record.Conn, malformed(http.StatusBadRequest, "this port speaks HTTPS")) // the connection ends anyway
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

// malformed is what net/http refuses with a status and a text.
func malformed(status int, text string) problem {
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
	return p
}

// writeRefusal answers for net/http; the connection ends after it.
func writeRefusal(w io.Writer, p problem) error {
	var retry string
	if p.Status == http.StatusServiceUnavailable {
		retry = "Retry-After: 1\r\n"
	}
	var body bytes.Buffer
	encode(&body, p.complete())
	_, err := fmt.Fprintf(w, "HTTP/1.1 %d %s\r\nContent-Type: application/problem+json\r\nX-Content-Type-Options: nosniff\r\n"+
		"Cache-Control: no-store\r\n%sContent-Length: %d\r\nConnection: close\r\n\r\n%s", p.Status, http.StatusText(p.Status), retry, body.Len(), body.Bytes())
	return err
}
