package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// HTTP speaks the HTTP JSON interface to the nodes of a cluster. It is safe for
// concurrent use and keeps connections open between requests.
type HTTP struct {
	endpoints []*url.URL
	o         Options
	client    *http.Client
}

// NewHTTP returns a client for nodes at endpoints, in the order in which they are
// tried: "http://host:port", "https://host:port" or "host:port". It connects to none
// yet. The error says which endpoint is no address.
func NewHTTP(endpoints []string, o Options) (*HTTP, error) {
	o = o.withDefaults()
	c := &HTTP{o: o}
	for _, s := range endpoints {
		u, err := parseEndpoint(s)
		if err != nil {
			return nil, err
		}
		c.endpoints = append(c.endpoints, u)
	}
	if len(c.endpoints) == 0 {
		return nil, errors.New("no endpoint is given")
	}
	dialer := &net.Dialer{Timeout: o.DialTimeout, KeepAlive: 30 * time.Second}
	c.client = &http.Client{Timeout: o.Timeout, Transport: &http.Transport{
		// No proxy: a cache is not behind one.
		DialContext:           dialer.DialContext,
		TLSClientConfig:       o.TLS,
		ForceAttemptHTTP2:     true,
		MaxConnsPerHost:       o.MaxConns,
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
	}}
	return c, nil
}

func parseEndpoint(s string) (*url.URL, error) {
	s = strings.TrimSpace(s)
	if !strings.Contains(s, "://") {
		s = "http://" + s
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("%q is not an address such as http://127.0.0.1:8001", s)
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	return u, nil
}

// Endpoints returns the addresses of the nodes, with their schemes.
func (c *HTTP) Endpoints() []string {
	var list []string
	for _, u := range c.endpoints {
		list = append(list, u.String())
	}
	return list
}

// At returns a client of one node alone, endpoint i, that shares c's connections.
func (c *HTTP) At(i int) *HTTP {
	return &HTTP{endpoints: c.endpoints[i : i+1], o: c.o, client: c.client}
}

// Close closes the connections that no request is using.
func (c *HTTP) Close() { c.client.CloseIdleConnections() }

// Request is one call of the HTTP interface.
type Request struct {
	Method string
	// Path is escaped already: a '/' in a key is %2F. Query is not.
	Path  string
	Query url.Values
	// Header adds to what the client sets itself. Body is JSON unless Header has
	// another Content-Type.
	Header http.Header
	Body   []byte
	// Once is an idempotency key: requests with the same one, however often they are
	// sent, happen once. Empty for none.
	Once string
	// Repeatable says that it does no harm when the request happens twice. GET and HEAD
	// always are.
	Repeatable bool
}

func (r Request) harmless() bool {
	return r.Repeatable || r.Method == http.MethodGet || r.Method == http.MethodHead
}

// Answer is what a node answered.
type Answer struct {
	Node   string // host:port
	Status int
	Header http.Header
	Body   []byte
}

// Do sends r to one endpoint after the other until a node answers, as the package says
// under "What is repeated". Errors: always *Error, also for an answer of another status
// than 2xx.
func (c *HTTP) Do(ctx context.Context, r Request) (*Answer, error) {
	res, node, err := c.first(ctx, r)
	if err != nil {
		return nil, err
	}
	return c.readWhole(res, node, r)
}

// JSON is Do with the answer's body decoded into out. It returns the body as it came
// too. Errors: *Error.
func (c *HTTP) JSON(ctx context.Context, r Request, out any) ([]byte, error) {
	answer, err := c.Do(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(answer.Body, out); err != nil {
		e := noAnswer(answer.Node, r.harmless(), fmt.Errorf("%s does not answer as lockstep does: %w", answer.Node, err))
		e.Code, e.Status = CodeBadAnswer, answer.Status
		return nil, e
	}
	return answer.Body, nil
}

// Stream is Do for large answers: the body of the success is the caller's to read and
// to close, without a bound. Errors: *Error.
func (c *HTTP) Stream(ctx context.Context, r Request) (io.ReadCloser, error) {
	res, _, err := c.first(ctx, r)
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

// Exchange sends r to the first endpoint, once, and returns the answer whatever its
// status. Errors: *Error, where there is no whole answer.
func (c *HTTP) Exchange(ctx context.Context, r Request) (*Answer, error) {
	node := c.endpoints[0].Host
	res, err := c.send(ctx, c.endpoints[0], r)
	if err != nil {
		return nil, noAnswer(node, r.harmless(), err)
	}
	return c.readWhole(res, node, r)
}

// first returns the open answer, of status 2xx, of the first node that answers.
func (c *HTTP) first(ctx context.Context, r Request) (res *http.Response, node string, err error) {
	var failures []error
	for _, endpoint := range c.endpoints {
		res, err := c.send(ctx, endpoint, r)
		if err == nil {
			return c.checked(res, endpoint.Host, r)
		}
		e := noAnswer(endpoint.Host, r.harmless(), err)
		switch {
		case e.Code != CodeUnreachable && e.Code != CodeNoAnswer: // TLS
			return nil, "", e
		case e.Outcome == InDoubt:
			e.Err = fmt.Errorf("in doubt: %w; the change may or may not have happened", err)
			return nil, "", e
		}
		failures = append(failures, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, "", &Error{Code: CodeUnreachable, Outcome: NotApplied, Err: fmt.Errorf("no node answers: %w", errors.Join(failures...))}
}

// maxProblemBytes bounds the text of an error.
const maxProblemBytes = 64 << 10

func (c *HTTP) checked(res *http.Response, node string, r Request) (*http.Response, string, error) {
	if res.StatusCode >= 200 && res.StatusCode < 300 {
		return res, node, nil
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(res.Body, maxProblemBytes)) // the status counts
	answer := &Answer{Node: node, Status: res.StatusCode, Header: res.Header, Body: body}
	return nil, node, answer.Err(r)
}

func (c *HTTP) readWhole(res *http.Response, node string, r Request) (*Answer, error) {
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, c.o.MaxAnswerBytes+1))
	if err != nil {
		return nil, noAnswer(node, r.harmless(), fmt.Errorf("read the answer: %w", err))
	}
	if int64(len(body)) > c.o.MaxAnswerBytes {
		e := noAnswer(node, r.harmless(), fmt.Errorf("the answer has more than %d bytes", c.o.MaxAnswerBytes))
		e.Code = CodeAnswerTooLarge
		return nil, e
	}
	return &Answer{Node: node, Status: res.StatusCode, Header: res.Header, Body: body}, nil
}

// send is one attempt at one node.
func (c *HTTP) send(ctx context.Context, endpoint *url.URL, r Request) (*http.Response, error) {
	target := endpoint.String() + r.Path
	if len(r.Query) > 0 {
		target += "?" + r.Query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, target, bytes.NewReader(r.Body))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotSent, err)
	}
	if len(r.Body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, values := range r.Header {
		req.Header[name] = values
	}
	if r.Once != "" {
		req.Header.Set("Idempotency-Key", r.Once)
	}
	if c.o.Password != "" {
		req.Header.Set("Authorization", "Bearer "+c.o.Password)
	}
	if !r.harmless() {
		neverReplay(req)
	}
	return c.client.Do(req)
}

// neverReplay keeps net/http from sending a request again on a connection that
// broke: the answer to the copy would be taken for that of the first one, which
// may have been applied. It does so with any request that it takes for
// idempotent, as those with an Idempotency-Key, when it can get at the body once
// more or when there is none.
func neverReplay(req *http.Request) {
	req.GetBody = nil
	if req.Body == nil || req.Body == http.NoBody {
		// Still no bytes, but a body as far as net/http can tell.
		req.Body, req.ContentLength = io.NopCloser(strings.NewReader("")), -1
	}
}
