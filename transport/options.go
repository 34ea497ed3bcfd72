package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/lockstepkv/lockstep/internal/clock"
)

// Options is what a node's transport is made of. It is not changed by New.
type Options struct {
	NodeID    string // 1 to 255 bytes
	ClusterID string // 1 to 255 bytes
	// Listener takes the peers' connections. The transport closes it.
	Listener net.Listener
	// Dial connects to a peer's address; nil is TCP. What it returns need not be a
	// socket: a simulation has its own network.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
	// Peers maps every node of the cluster, this one too, to its address.
	Peers map[string]string
	// TLS turns on mutual TLS. It is asked with each connection, so that
	// certificates can be replaced. It needs Certificates, RootCAs to check the
	// peers that are dialed and ClientCAs for those that dial (RootCAs when
	// nil). A peer's certificate must name the host in the peer's address, its id,
	// or one of TLSNames.
	TLS func() *tls.Config
	// Secrets are known to all nodes of the cluster, which prove that to each other; each
	// of at least MinSecretBytes. It is asked with each connection, so that they can be
	// replaced: a peer may show any of them, and is shown the first that it accepts. Nil:
	// there are none.
	Secrets func() [][]byte
	// TLSNames are accepted in the certificate of any peer.
	TLSNames []string
	// Logger is where refusals and lost peers are told. Default slog.Default().
	Logger *slog.Logger
	// Fault lets tests and the fault-injection harness cut connections. Nil
	// costs nothing.
	Fault *Faults
	// RaftTimeout is how long an append may stay unanswered, and a snapshot
	// stream without progress. Default 10 s.
	RaftTimeout time.Duration
	// Clock is told to the peers in probes. Default clock.System().
	Clock clock.Clock
}

// withDefaults checks o and fills in what was left out.
func (o Options) withDefaults() (Options, error) {
	for name, id := range map[string]string{"node id": o.NodeID, "cluster id": o.ClusterID} {
		if len(id) == 0 || len(id) > maxIDBytes {
			return o, fmt.Errorf("transport: the %s %q must have 1 to %d bytes", name, id, maxIDBytes)
		}
	}
	if o.Listener == nil {
		return o, errors.New("transport: no listener")
	}
	for id := range o.Peers {
		if len(id) == 0 || len(id) > maxIDBytes {
			return o, fmt.Errorf("transport: the peer id %q must have 1 to %d bytes", id, maxIDBytes)
		}
	}
	if o.TLS != nil {
		if cfg := o.TLS(); len(cfg.Certificates) == 0 && cfg.GetCertificate == nil {
			return o, errors.New("transport: TLS without a certificate")
		}
	}
	if o.Secrets != nil {
		if len(o.Secrets()) == 0 {
			return o, errors.New("transport: no secret")
		}
		for _, secret := range o.Secrets() {
			if len(secret) < MinSecretBytes {
				return o, fmt.Errorf("transport: the secret has %d bytes, it must have at least %d", len(secret), MinSecretBytes)
			}
		}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.RaftTimeout <= 0 {
		o.RaftTimeout = 10 * time.Second
	}
	if o.Dial == nil {
		dialer := net.Dialer{Timeout: dialTimeout}
		o.Dial = func(ctx context.Context, addr string) (net.Conn, error) { return dialer.DialContext(ctx, "tcp", addr) }
	}
	if o.Clock == nil {
		o.Clock = clock.System()
	}
	return o, nil
}
