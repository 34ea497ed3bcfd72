package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

const (
	defaultEndpoint = "http://127.0.0.1:8001"

	// maxAnswerBytes holds a JSON answer with the largest value, base64 and escapes.
	maxAnswerBytes = 4 << 30
)

// clientOptions say how to reach a cluster over HTTP.
type clientOptions struct {
	endpoints []string
	password  string
	passFile  string
	tls       clientTLSOptions
	timeout   time.Duration
}

func (o *clientOptions) register(fs *pflag.FlagSet) {
	fs.StringSliceVar(&o.endpoints, "endpoint", nil, "HTTP address of a node, or several to try in turn (LOCKSTEP_ENDPOINT, "+defaultEndpoint+")")
	fs.StringVar(&o.password, "password", "", "password of the cluster (better in LOCKSTEP_PASSWORD or a file)")
	fs.StringVar(&o.passFile, "password-file", "", "file whose first line is the password (LOCKSTEP_PASSWORD_FILE)")
	o.tls.register(fs)
	fs.DurationVar(&o.timeout, "timeout", 10*time.Second, "how long to wait for an answer")
}

// apiClient speaks the HTTP API of interfaces.md to the first node that answers.
type apiClient struct {
	endpoints []*url.URL
	password  string
	tls       clientTLSOptions
	http      *http.Client
}

// newAPIClient resolves defaults and the environment.
func newAPIClient(o clientOptions) (*apiClient, error) {
	endpoints := o.endpoints
	if len(endpoints) == 0 && os.Getenv("LOCKSTEP_ENDPOINT") != "" {
		endpoints = strings.Split(os.Getenv("LOCKSTEP_ENDPOINT"), ",")
	}
	if len(endpoints) == 0 {
		endpoints = []string{defaultEndpoint}
	}
	password, err := passwordOf(o.password, o.passFile, os.Getenv, os.Stderr)
	if err != nil {
		return nil, withCode(exitUsage, err)
	}
	c := &apiClient{password: password, tls: o.tls, http: &http.Client{Timeout: o.timeout}}
	for _, e := range endpoints {
		u, err := parseEndpoint(e)
		if err != nil {
			return nil, withCode(exitUsage, err)
		}
		c.endpoints = append(c.endpoints, u)
	}
	if o.tls.given() && !slices.ContainsFunc(c.endpoints, func(u *url.URL) bool { return u.Scheme == "https" }) {
		return nil, withCode(exitUsage, errors.New("--cacert, --cert and --key are for TLS: name an --endpoint that begins with https://"))
	}
	config, err := o.tls.config()
	if err != nil {
		return nil, withCode(exitUsage, err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil // a cache is not behind a web proxy
	transport.TLSClientConfig = config
	c.http.Transport = transport
	return c, nil
}

func parseEndpoint(s string) (*url.URL, error) {
	s = strings.TrimSpace(s)
	if !strings.Contains(s, "://") {
		s = "http://" + s
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("--endpoint: %q is not an address such as %s", s, defaultEndpoint)
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	return u, nil
}

func loadRoots(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--cacert: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("--cacert: %s holds no certificate", path)
	}
	return pool, nil
}

// apiRequest is one call. Path is already escaped.
type apiRequest struct {
	method  string
	path    string
	query   url.Values
	header  http.Header
	body    []byte
	mutates bool
}

// do sends r to one endpoint after the other until one answers, and returns its
// open answer of status 2xx. A request that changes something goes to the next
// endpoint only when the connection was refused, so that it cannot happen twice.
func (c *apiClient) do(ctx context.Context, r apiRequest) (*http.Response, error) {
	var failures []error
	for _, endpoint := range c.endpoints {
		res, err := c.send(ctx, endpoint, r)
		if err == nil {
			return checkAnswer(res, r)
		}
		if wrong := c.tls.mistake(endpoint.Host, err); wrong != nil {
			return nil, wrong
		}
		failures = append(failures, err)
		if neverSent := isDialError(err); r.mutates && !neverSent {
			return nil, withCode(exitInDoubt, fmt.Errorf("in doubt: %w; the change may or may not have happened", err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, withCode(exitUnavailable, fmt.Errorf("no node answers: %w", errors.Join(failures...)))
}

func (c *apiClient) send(ctx context.Context, endpoint *url.URL, r apiRequest) (*http.Response, error) {
	target := endpoint.String() + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	if c.password != "" {
		req.Header.Set("Authorization", "Bearer "+c.password)
	}
	return c.http.Do(req)
}

func isDialError(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// getJSON calls and decodes the answer into out; it returns the raw body too.
func (c *apiClient) getJSON(ctx context.Context, r apiRequest, out any) ([]byte, error) {
	res, err := c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswerBytes))
	if err != nil {
		return nil, withCode(lostAnswerCode(r), fmt.Errorf("read the answer: %w", err))
	}
	if err := json.Unmarshal(body, out); err != nil {
		return nil, fmt.Errorf("%s does not answer as lockstep does: %w", res.Request.URL.Host, err)
	}
	return body, nil
}

func lostAnswerCode(r apiRequest) int {
	if r.mutates {
		return exitInDoubt
	}
	return exitUnavailable
}

// problem is the body of an error, RFC 9457.
type problem struct {
	Title   string `json:"title"`
	Detail  string `json:"detail"`
	Code    string `json:"code"`
	Outcome string `json:"outcome"`
}

// checkAnswer turns an answer that is not 2xx into an error with its exit code.
func checkAnswer(res *http.Response, r apiRequest) (*http.Response, error) {
	if res.StatusCode >= 200 && res.StatusCode < 300 {
		return res, nil
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	var p problem
	_ = json.Unmarshal(body, &p) // what is not a problem document has only its status to say
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	if text == "" {
		text = strings.TrimSpace(string(body))
	}
	if p.Code != "" {
		text = fmt.Sprintf("%s (%s)", text, p.Code)
	}
	err := fmt.Errorf("%s: %s", res.Status, text)
	return nil, withCode(statusExitCode(res.StatusCode, p.Outcome, r.mutates), err)
}

// statusExitCode is the error->exit map of the HTTP statuses of interfaces.md.
func statusExitCode(status int, outcome string, mutates bool) int {
	switch {
	case outcome == "in_doubt":
		return exitInDoubt
	case status == http.StatusNotFound:
		return exitNotFound
	case status == http.StatusConflict, status == http.StatusPreconditionFailed:
		return exitCondition
	case status == http.StatusServiceUnavailable, status == http.StatusTooManyRequests:
		return exitUnavailable
	case status >= 500 && outcome == "" && mutates:
		return exitInDoubt // some other program answered, or the server failed
	default:
		return exitFailed
	}
}
