package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
)

// clientTLS returns the configuration of the ports for clients, nil without TLS.
// With a CA, clients must show a certificate that it signed.
func clientTLS(f TLSFiles) (*tls.Config, error) {
	cfg, pool, err := loadTLS(f)
	if cfg == nil || err != nil {
		return nil, err
	}
	if pool != nil {
		cfg.ClientCAs, cfg.ClientAuth = pool, tls.RequireAndVerifyClientCert
	}
	return cfg, nil
}

// peerTLS returns the configuration of the port for other nodes, nil without
// TLS. Both sides show and check certificates.
func peerTLS(f TLSFiles) (*tls.Config, error) {
	cfg, pool, err := loadTLS(f)
	if cfg == nil || err != nil {
		return nil, err
	}
	if pool == nil {
		return nil, fmt.Errorf("--tls-peer-ca is needed: nodes check each other's certificates")
	}
	cfg.RootCAs, cfg.ClientCAs, cfg.ClientAuth = pool, pool, tls.RequireAndVerifyClientCert
	return cfg, nil
}

func loadTLS(f TLSFiles) (*tls.Config, *x509.CertPool, error) {
	if !f.Enabled() {
		return nil, nil, nil
	}
	cert, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, nil, fmt.Errorf("TLS certificate: %w", err)
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if f.CA == "" {
		return cfg, nil, nil
	}
	pem, err := os.ReadFile(f.CA)
	if err != nil {
		return nil, nil, fmt.Errorf("TLS certificate authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, nil, fmt.Errorf("TLS certificate authority: no certificate in %s", f.CA)
	}
	return cfg, pool, nil
}

func tlsListener(l net.Listener, cfg *tls.Config) net.Listener { return tls.NewListener(l, cfg) }
