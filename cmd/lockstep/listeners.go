package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"

	"github.com/lockstepkv/lockstep/internal/accept"
	"github.com/lockstepkv/lockstep/internal/config"
)

// listeners are a node's ports.
type listeners struct {
	httpListener, respListener, peerListener net.Listener

	probeListener net.Listener                // nil: none
	accepting     map[string]*accept.Listener // by what lockstep_connections calls them
}

// listen opens all ports before anything else: a port in use is the most common
// mistake, and must not leave a trace in the data directory. clients is the certificate
// for clients, if they are to use TLS.
func (s *listeners) listen(c config.Config, clients *atomic.Pointer[tls.Config], logger *slog.Logger) error {
	s.accepting = map[string]*accept.Listener{}
	for _, l := range []struct {
		flag, name, addr string
		to               *net.Listener
	}{
		{"--http", "http", c.Listen.HTTP, &s.httpListener},
		{"--resp", "resp", c.Listen.RESP, &s.respListener},
		{"--peer", "peer", c.Listen.Peer, &s.peerListener},
		{"--metrics-http", "metrics", c.Metrics, &s.probeListener},
	} {
		if l.addr == "" {
			continue
		}
		plain, err := net.Listen("tcp", l.addr)
		if err != nil {
			return fmt.Errorf("%s: %w", l.flag, err)
		}
		s.accepting[l.name] = accept.New(plain, l.name, logger)
		*l.to = s.accepting[l.name]
	}
	if c.Security.ClientTLS.Enabled() {
		s.httpListener = tlsListener(s.httpListener, clients)
		s.respListener = tlsListener(s.respListener, clients)
	}
	return nil
}

// close ends those that are open.
func (s *listeners) close() {
	for _, l := range []net.Listener{s.httpListener, s.respListener, s.peerListener, s.probeListener} {
		if l != nil {
			l.Close()
		}
	}
}
