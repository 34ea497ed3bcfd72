package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/lockstepkv/lockstep/client"
	"github.com/lockstepkv/lockstep/internal/config"
)

const defaultEndpoint = "http://127.0.0.1:8001"

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
	fs.StringVar(&o.passFile, "password-file", "", "file whose first line that is not empty is the password (LOCKSTEP_PASSWORD_FILE)")
	o.tls.register(fs)
	fs.Var(config.Duration(&o.timeout, 10*time.Second), "timeout", "how long to wait for an answer")
}

// apiClient is the client over HTTP whose errors have exit codes.
type apiClient struct {
	*client.HTTP
	tls clientTLSOptions
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
	config, err := o.tls.config()
	if err != nil {
		return nil, withCode(exitUsage, err)
	}
	c, err := client.NewHTTP(endpoints, client.Options{Password: password, TLS: config, Timeout: o.timeout})
	if err != nil {
		return nil, withCode(exitUsage, fmt.Errorf("--endpoint: %w", err))
	}
	secure := func(endpoint string) bool { return strings.HasPrefix(endpoint, "https://") }
	if o.tls.given() && !slices.ContainsFunc(c.Endpoints(), secure) {
		return nil, withCode(exitUsage, errors.New("--cacert, --cert and --key are for TLS: name an --endpoint that begins with https://"))
	}
	return &apiClient{c, o.tls}, nil
}

// getJSON calls and decodes the answer into out; it returns the raw body too.
func (c *apiClient) getJSON(ctx context.Context, r client.Request, out any) ([]byte, error) {
	body, err := c.JSON(ctx, r, out)
	return body, c.coded(err)
}

// stream calls and returns the open body of the answer.
func (c *apiClient) stream(ctx context.Context, r client.Request) (io.ReadCloser, error) {
	body, err := c.Stream(ctx, r)
	return body, c.coded(err)
}

// coded gives an error of the client its exit code.
func (c *apiClient) coded(err error) error {
	if wrong := c.tls.mistake(err); wrong != nil {
		return wrong
	}
	var e *client.Error
	if !errors.As(err, &e) {
		return err
	}
	return withCode(httpExitCode(e), err)
}

// httpExitCode is the error->exit map of the HTTP statuses of docs/http-api.md.
func httpExitCode(e *client.Error) int {
	switch {
	case e.Outcome == client.InDoubt:
		return exitInDoubt
	case e.Status == http.StatusNotFound:
		return exitNotFound
	case e.Status == http.StatusConflict, e.Status == http.StatusPreconditionFailed:
		return exitCondition
	case e.Status == http.StatusServiceUnavailable, e.Status == http.StatusTooManyRequests,
		e.Code == client.CodeUnreachable, e.Code == client.CodeNoAnswer:
		return exitUnavailable
	default:
		return exitFailed
	}
}
