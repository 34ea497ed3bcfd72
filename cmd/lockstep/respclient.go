package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
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
	fs.StringVar(&o.passFile, "password-file", "", "file whose first line is the password (LOCKSTEP_PASSWORD_FILE)")
	fs.BoolVar(&o.tls, "tls", false, "connect with TLS, as --cacert, --cert and --key say")
	o.pki.register(fs)
	fs.DurationVar(&o.timeout, "timeout", 10*time.Second, "how long to wait for a connection or a reply")
}

// respConn is one connection of a client. It is not safe for concurrent use.
type respConn struct {
	conn    net.Conn
	r       *bufio.Reader
	timeout time.Duration
	pki     clientTLSOptions
}

// login is what the options say, their files read.
type login struct {
	tls      *tls.Config // nil without TLS
	password string
}

// login reads the files. What is wrong with them is bad usage, whatever the network does.
func (o respOptions) login() (l login, err error) {
	if o.pki.given() && !o.tls {
		return l, withCode(exitUsage, errors.New("--cacert, --cert and --key are for TLS: add --tls"))
	}
	if o.tls {
		if l.tls, err = o.pki.config(); err != nil {
			return l, withCode(exitUsage, err)
		}
	}
	if l.password, err = passwordOf(o.password, o.passFile, os.Getenv, os.Stderr); err != nil {
		return l, withCode(exitUsage, err)
	}
	return l, nil
}

func dialRESP(ctx context.Context, o respOptions, addr string) (*respConn, error) {
	if err := checkAddr(addr); err != nil {
		return nil, withCode(exitUsage, fmt.Errorf("--resp: %w", err))
	}
	l, err := o.login()
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: o.timeout}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, withCode(exitUnavailable, err)
	}
	if l.tls != nil {
		if conn, err = o.secure(ctx, conn, addr, l.tls); err != nil {
			return nil, err
		}
	}
	c := &respConn{conn: conn, r: bufio.NewReaderSize(conn, 64<<10), timeout: o.timeout, pki: o.pki}
	if l.password != "" {
		if _, err := c.command("AUTH", l.password); err != nil {
			_ = c.close() // the first error says what is wrong
			return nil, err
		}
	}
	return c, nil
}

// secure does the handshake of TLS.
func (o respOptions) secure(ctx context.Context, conn net.Conn, addr string, config *tls.Config) (net.Conn, error) {
	config.ServerName, _, _ = net.SplitHostPort(addr)
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		if wrong := o.pki.mistake(addr, err); wrong != nil {
			return nil, wrong
		}
		return nil, withCode(exitUnavailable, fmt.Errorf("%s: TLS: %w", addr, err))
	}
	return secured, nil
}

func (c *respConn) close() error { return c.conn.Close() }

// command sends one command; an error reply is an error.
func (c *respConn) command(args ...string) (resp.Value, error) {
	raw := make([][]byte, len(args))
	for i, a := range args {
		raw[i] = []byte(a)
	}
	if err := c.send(resp.AppendCommand(nil, raw)); err != nil {
		return resp.Value{}, err
	}
	v, err := c.receive()
	if err != nil {
		return resp.Value{}, err
	}
	if err := v.AsError(); err != nil {
		return resp.Value{}, fmt.Errorf("%s: %w", args[0], err)
	}
	return v, nil
}

func (c *respConn) send(b []byte) error {
	if err := c.conn.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return withCode(exitUnavailable, err)
	}
	if _, err := c.conn.Write(b); err != nil {
		return withCode(exitUnavailable, err)
	}
	return nil
}

func (c *respConn) receive() (resp.Value, error) {
	v, err := resp.ReadValue(c.r)
	if err != nil {
		if wrong := c.pki.mistake(c.conn.RemoteAddr().String(), err); wrong != nil { // of TLS 1.3 after the handshake
			return v, wrong
		}
		return v, withCode(exitUnavailable, fmt.Errorf("no reply from %s: %w", c.conn.RemoteAddr(), err))
	}
	return v, nil
}

// slotMap says which node serves a key.
type slotMap struct {
	addrs []string
	owner []uint16 // slot -> index into addrs; nil: any address serves every key
}

// nodeOf is the index of the address for key; fallback where every node will do.
func (m *slotMap) nodeOf(key []byte, fallback int) int {
	if m.owner == nil {
		return fallback % len(m.addrs)
	}
	return int(m.owner[store.Slot(key)])
}

// loadSlotMap asks the first node of o that answers.
func loadSlotMap(ctx context.Context, o respOptions) (*slotMap, error) {
	var failures []error
	for _, addr := range o.addrs {
		conn, err := dialRESP(ctx, o, addr)
		if isCoded(err) && exitCode(err) == exitUsage {
			return nil, err // the same at every address, or at least wrong at this one
		}
		if err != nil {
			failures = append(failures, err)
			continue
		}
		m, err := askSlotMap(conn, o.addrs)
		_ = conn.close()
		if err == nil {
			return m, nil
		}
		failures = append(failures, fmt.Errorf("%s: %w", addr, err))
	}
	err := errors.Join(failures...)
	if exitCode(err) == exitUsage && !isCoded(err) {
		return nil, withCode(exitFailed, err)
	}
	return nil, err
}

func isCoded(err error) bool {
	var coded *codedError
	return errors.As(err, &coded)
}

func askSlotMap(conn *respConn, addrs []string) (*slotMap, error) {
	info, err := conn.command("INFO", "cluster")
	if err != nil {
		return nil, err
	}
	if !strings.Contains(string(info.Str), "cluster_enabled:1") {
		return &slotMap{addrs: addrs}, nil
	}
	slots, err := conn.command("CLUSTER", "SLOTS")
	if err != nil {
		return nil, err
	}
	return parseSlots(slots)
}

// parseSlots reads the reply of CLUSTER SLOTS: [first, last, [host, port, ...], ...]...
func parseSlots(v resp.Value) (*slotMap, error) {
	m := &slotMap{owner: make([]uint16, store.SlotCount)}
	covered := 0
	for _, e := range v.Elems {
		if len(e.Elems) < 3 || len(e.Elems[2].Elems) < 2 {
			return nil, errors.New("CLUSTER SLOTS: unexpected reply")
		}
		first, last := e.Elems[0].Int, e.Elems[1].Int
		if first < 0 || last < first || last >= store.SlotCount {
			return nil, fmt.Errorf("CLUSTER SLOTS: slots %d to %d", first, last)
		}
		addr := net.JoinHostPort(string(e.Elems[2].Elems[0].Str), fmt.Sprint(e.Elems[2].Elems[1].Int))
		node := slices.Index(m.addrs, addr)
		if node < 0 {
			node = len(m.addrs)
			m.addrs = append(m.addrs, addr)
		}
		for slot := first; slot <= last; slot++ {
			m.owner[slot] = uint16(node)
			covered++
		}
	}
	if covered != store.SlotCount {
		return nil, withCode(exitUnavailable, fmt.Errorf("%d of %d slots have no leader", store.SlotCount-covered, store.SlotCount))
	}
	return m, nil
}
