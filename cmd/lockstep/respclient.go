package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"github.com/lockstepkv/lockstep/client"
	"github.com/lockstepkv/lockstep/internal/config"
	"github.com/lockstepkv/lockstep/resp"
)

// respOptions say how to reach a cluster over the Redis protocol.
type respOptions struct {
	addrs    []string
	password string
	passFile string
	tls      bool
	pki      clientTLSOptions
	timeout  time.Duration
}

func (o *respOptions) register(fs *pflag.FlagSet) {
	fs.StringSliceVar(&o.addrs, "resp", []string{"127.0.0.1:7001"}, "Redis protocol address of a node, or several")
	fs.StringVar(&o.password, "password", "", "password of the cluster (better in LOCKSTEP_PASSWORD or a file)")
	fs.StringVar(&o.passFile, "password-file", "", "file whose first line that is not empty is the password (LOCKSTEP_PASSWORD_FILE)")
	fs.BoolVar(&o.tls, "tls", false, "connect with TLS, as --cacert, --cert and --key say")
	o.pki.register(fs)
	fs.Var(config.Duration(&o.timeout, 10*time.Second), "timeout", "how long to wait for a connection or a reply")
}

// resolve reads the files that the options name, as they are now.
func (o respOptions) resolve() (client.Options, error) {
	r := client.Options{DialTimeout: o.timeout, Timeout: o.timeout}
	if o.pki.given() && !o.tls {
		return r, withCode(exitUsage, errors.New("--cacert, --cert and --key are for TLS: add --tls"))
	}
	var err error
	if o.tls {
		if r.TLS, err = o.pki.config(); err != nil {
			return r, withCode(exitUsage, err)
		}
	}
	if r.Password, err = passwordOf(o.password, o.passFile, os.Getenv, os.Stderr); err != nil {
		return r, withCode(exitUsage, err)
	}
	return r, nil
}

// respConn is a connection whose errors have exit codes.
type respConn struct {
	conn *client.Conn
	pki  clientTLSOptions
}

func dialRESP(ctx context.Context, o respOptions, addr string) (*respConn, error) {
	if err := config.CheckAddr(addr); err != nil {
		return nil, withCode(exitUsage, fmt.Errorf("--resp: %w", err))
	}
	options, err := o.resolve()
	if err != nil {
		return nil, err
	}
	conn, err := client.Dial(ctx, addr, options)
	if err != nil {
		return nil, o.pki.coded(err)
	}
	return &respConn{conn, o.pki}, nil
}

func (c *respConn) close() error { return c.conn.Close() }

// command sends one command; an error reply is an error.
func (c *respConn) command(ctx context.Context, args ...string) (resp.Value, error) {
	v, err := c.conn.Do(ctx, args...)
	return v, c.pki.coded(err)
}

// send and receive end with the timeout and not with a context: of what was sent it
// shall be known what happened.
func (c *respConn) send(b []byte) error {
	return c.pki.coded(c.conn.Send(context.Background(), b))
}

func (c *respConn) receive() (resp.Value, error) {
	v, err := c.conn.Receive(context.Background())
	return v, c.pki.coded(err)
}

func (c *respConn) slots(ctx context.Context, addrs []string) (*client.Slots, error) {
	slots, err := c.conn.Slots(ctx, addrs)
	return slots, c.pki.coded(err)
}

// loadSlots asks the first node of o that answers.
func loadSlots(ctx context.Context, o respOptions) (*client.Slots, error) {
	for _, addr := range o.addrs {
		if err := config.CheckAddr(addr); err != nil {
			return nil, withCode(exitUsage, fmt.Errorf("--resp: %w", err))
		}
	}
	options, err := o.resolve()
	if err != nil {
		return nil, err
	}
	slots, err := client.LoadSlots(ctx, o.addrs, options)
	return slots, o.pki.coded(err)
}

// coded gives an error over the Redis protocol its exit code. What was sent by bench and
// restore may be sent again, so a lost reply is a cluster that is not available.
func (o clientTLSOptions) coded(err error) error {
	if err == nil {
		return nil
	}
	if wrong := o.mistake(err); wrong != nil {
		return wrong
	}
	switch code := client.Code(err); {
	case slices.Contains([]string{client.CodeUnreachable, client.CodeNoAnswer, client.CodeNoLeader}, code), isNotYet(code):
		return withCode(exitUnavailable, err)
	case code == codeInDoubt:
		return withCode(exitInDoubt, err)
	}
	return withCode(exitFailed, err)
}

// codeInDoubt is that of a reply to a command that may have been applied.
const codeInDoubt = "INDOUBT"

// isNotYet: the code of an error reply to a command that was not applied and may be taken a
// little later, perhaps by another node.
func isNotYet(code string) bool {
	return slices.Contains([]string{"MOVED", "TRYAGAIN", "CLUSTERDOWN", "LOADING", "READONLY"}, code)
}
