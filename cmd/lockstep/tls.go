package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/lockstepkv/lockstep/transport"
)

// pemFiles are the contents of config.TLSFiles.
type pemFiles struct{ cert, key, ca []byte }

// clientTLS returns the configuration of the ports for clients. With a CA,
// clients must show a certificate that it signed.
func clientTLS(f pemFiles, now time.Time) (*tls.Config, error) {
	cfg, pool, err := buildTLS(f, now)
	if err != nil {
		return nil, err
	}
	if pool != nil {
		cfg.ClientCAs, cfg.ClientAuth = pool, tls.RequireAndVerifyClientCert
	}
	return cfg, nil
}

// peerTLS returns the configuration of the port for other nodes. Both sides show
// and check certificates. This node's own must pass what the others check: that it
// is of an authority, for this node, and for both ends of a connection.
func peerTLS(f pemFiles, now time.Time, names []string) (*tls.Config, error) {
	cfg, pool, err := buildTLS(f, now)
	if err != nil {
		return nil, err
	}
	if pool == nil {
		return nil, errors.New("--tls-peer-ca is needed: nodes check each other's certificates")
	}
	chain, err := parseChain(cfg.Certificates[0].Certificate)
	if err != nil {
		return nil, err
	}
	for use, word := range map[x509.ExtKeyUsage]string{x509.ExtKeyUsageServerAuth: "server", x509.ExtKeyUsageClientAuth: "client"} {
		if err := transport.VerifyCertificate(chain, pool, use, names); err != nil {
			return nil, fmt.Errorf("the other nodes would refuse this certificate (use as %s): %w", word, err)
		}
	}
	cfg.RootCAs, cfg.ClientCAs, cfg.ClientAuth = pool, pool, tls.RequireAndVerifyClientCert
	return cfg, nil
}

func parseChain(raw [][]byte) (chain []*x509.Certificate, err error) {
	for _, der := range raw {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("TLS certificate: %w", err)
		}
		chain = append(chain, c)
	}
	return chain, nil
}

// buildTLS checks all that can be checked before a client does.
func buildTLS(f pemFiles, now time.Time) (*tls.Config, *x509.CertPool, error) {
	cert, err := tls.X509KeyPair(f.cert, f.key)
	if err != nil {
		return nil, nil, fmt.Errorf("TLS certificate: %w", err)
	}
	if cert.Leaf == nil {
		if cert.Leaf, err = x509.ParseCertificate(cert.Certificate[0]); err != nil {
			return nil, nil, fmt.Errorf("TLS certificate: %w", err)
		}
	}
	if end := cert.Leaf.NotAfter; now.After(end) {
		return nil, nil, fmt.Errorf("TLS certificate: it expired at %s", end.UTC().Format(time.RFC3339))
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if f.ca == nil {
		return cfg, nil, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(f.ca) {
		return nil, nil, errors.New("TLS certificate authority: no certificate in its file")
	}
	return cfg, pool, nil
}

// tlsListener asks for the configuration with every connection, so that
// certificates can be replaced.
func tlsListener(l net.Listener, current *atomic.Pointer[tls.Config]) net.Listener {
	return tls.NewListener(l, &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return current.Load(), nil },
	})
}
