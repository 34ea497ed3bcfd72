package client

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/lockstepkv/lockstep/resp"
)

// Conn is one connection of the Redis protocol to one node. It sends every command
// once. After an error other than an error reply it is of no use any more: replies
// that come late would be taken for those of later commands, so all calls fail then,
// with CodeUnreachable. It is not safe for concurrent use.
type Conn struct {
	conn net.Conn
	r    *bufio.Reader
	addr string
	o    Options
	lost error // why the connection is of no use any more
	met  bool  // there was a reply
}

// Dial connects to a node at host:port, with TLS, password and version of the protocol
// as the options say. Errors: *Error, never in doubt. A refused password is an error
// reply (WRONGPASS).
func Dial(ctx context.Context, addr string, o Options) (*Conn, error) {
	o = o.withDefaults()
	dialer := &net.Dialer{Timeout: o.DialTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, &Error{Code: CodeUnreachable, Outcome: NotApplied, Node: addr, Err: err}
	}
	if o.TLS != nil {
		if conn, err = secure(ctx, conn, addr, o); err != nil {
			return nil, err
		}
	}
	c := &Conn{conn: conn, r: bufio.NewReaderSize(conn, 64<<10), addr: addr, o: o}
	for _, hello := range o.greeting() {
		if _, err := c.Do(ctx, hello...); err != nil {
			_ = c.Close() // the first error says what is wrong
			var e *Error
			if errors.As(err, &e) {
				e.Outcome = NotApplied // the command was none of the caller's
			}
			return nil, err
		}
	}
	return c, nil
}

// greeting is what is sent before the caller's commands.
func (o Options) greeting() [][]string {
	switch {
	case o.Version != 0 && o.Password != "":
		return [][]string{{"HELLO", strconv.Itoa(o.Version), "AUTH", "default", o.Password}}
	case o.Version != 0:
		return [][]string{{"HELLO", strconv.Itoa(o.Version)}}
	case o.Password != "":
		return [][]string{{"AUTH", o.Password}}
	}
	return nil
}

// secure does the handshake of TLS.
func secure(ctx context.Context, conn net.Conn, addr string, o Options) (net.Conn, error) {
	config := o.TLS.Clone()
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(addr)
	}
	if o.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.Timeout)
		defer cancel()
	}
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		if e := ofTLS(addr, err); e != nil {
			return nil, e
		}
		return nil, &Error{Code: CodeUnreachable, Outcome: NotApplied, Node: addr, Err: fmt.Errorf("%s: TLS: %w", addr, err)}
	}
	return secured, nil
}

// probeTimeout is how long a node that hung up is tried with TLS.
const probeTimeout = 2 * time.Second

// speaksTLS tells whether there is TLS at addr. Nothing is sent over it, so whose certificate
// that is does not matter.
func speaksTLS(addr string) bool {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: probeTimeout}, "tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return certificateRefused(err)
	}
	_ = conn.Close() // nothing was sent
	return true
}

// Close closes the connection.
func (c *Conn) Close() error { return c.conn.Close() }

// Do sends one command and returns its reply. Errors: *Error, also for an error reply,
// whose resp.Error it then wraps.
func (c *Conn) Do(ctx context.Context, args ...string) (resp.Value, error) {
	v, err := c.Exchange(ctx, args...)
	if err == nil {
		err = ofReply(c.addr, args[0], v)
	}
	if err != nil {
		return resp.Value{}, err
	}
	return v, nil
}

// Exchange is Do with error replies as values: an error means that there is no reply.
func (c *Conn) Exchange(ctx context.Context, args ...string) (v resp.Value, err error) {
	raw := make([][]byte, len(args))
	for i, a := range args {
		raw[i] = []byte(a)
	}
	if err := c.notYet(ctx); err != nil {
		return v, err
	}
	err = c.during(ctx, func() (err error) {
		if _, err = c.conn.Write(resp.AppendCommand(nil, raw)); err == nil {
			v, err = c.read()
		}
		return err
	})
	return v, err
}

// Send sends commands, encoded as resp.AppendCommand does, whose replies are then to
// be received one by one. Errors: *Error, in doubt for all of them unless the context
// had ended before.
func (c *Conn) Send(ctx context.Context, commands []byte) error {
	if err := c.notYet(ctx); err != nil {
		return err
	}
	return c.during(ctx, func() error {
		_, err := c.conn.Write(commands)
		return err
	})
}

// Receive returns the next reply; an error reply is a value. Errors: *Error, in doubt:
// there is no reply.
func (c *Conn) Receive(ctx context.Context) (v resp.Value, err error) {
	err = c.during(ctx, func() (err error) {
		v, err = c.read()
		return err
	})
	return v, err
}

func (c *Conn) read() (resp.Value, error) {
	v, err := resp.ReadValue(c.r)
	var late net.Error
	switch {
	case err == nil:
		c.met = true
	case c.met || c.o.TLS != nil || errors.As(err, &late) && late.Timeout():
	case speaksTLS(c.addr):
		return v, errTLSOnly
	}
	if err != nil && !certificateRefused(err) { // of TLS 1.3 it comes after the handshake
		err = fmt.Errorf("no reply from %s: %w", c.addr, err)
	}
	return v, err
}

// notYet is the error of a context that has ended before anything was sent.
func (c *Conn) notYet(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return &Error{Code: CodeUnreachable, Outcome: NotApplied, Node: c.addr, Err: err}
	}
	return nil
}

// during does one step on the network within the time that there is.
func (c *Conn) during(ctx context.Context, step func() error) error {
	if c.lost != nil {
		return &Error{Code: CodeUnreachable, Outcome: NotApplied, Node: c.addr, Err: fmt.Errorf("the connection to %s is lost: %w", c.addr, c.lost)}
	}
	release, err := c.setDeadline(ctx)
	if err == nil {
		err = step()
	}
	release()
	if err == nil {
		return nil
	}
	c.lost = err
	if cause := context.Cause(ctx); cause != nil {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	return noAnswer(c.addr, false, err)
}

// setDeadline lets the connection's waits end when the context does, or after the
// timeout. release must be called after the step.
func (c *Conn) setDeadline(ctx context.Context) (release func(), err error) {
	var deadline time.Time
	if c.o.Timeout > 0 {
		deadline = time.Now().Add(c.o.Timeout)
	}
	if at, ok := ctx.Deadline(); ok && (deadline.IsZero() || at.Before(deadline)) {
		deadline = at
	}
	if err := c.conn.SetDeadline(deadline); err != nil || ctx.Done() == nil {
		return func() {}, err
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = c.conn.SetDeadline(time.Unix(1, 0)) // a closed connection needs none
		close(ended)
	})
	return func() {
		if !stop() {
			<-ended // it must not end a later step
		}
	}, nil
}
