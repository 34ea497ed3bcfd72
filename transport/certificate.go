package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
)

// A certificate of the cluster's authority is not enough: it must be that of the
// node that its bearer claims to be. It is if it names the node's host or its id,
// or one of Options.TLSNames.

// ErrWrongCertificate means that a peer's certificate is of another node, or not
// for this use.
var ErrWrongCertificate = errors.New("not a certificate of that node")

// CertificateNames are the names of which a node's certificate must have one.
func CertificateNames(id, addr string, allowed []string) []string {
	names := []string{id}
	if host, _, err := net.SplitHostPort(addr); err == nil && host != "" && host != id {
		names = append([]string{host}, id)
	}
	return append(names, allowed...)
}

// VerifyCertificate checks the chain that a node shows: the authority, the use of
// the key, and the name.
func VerifyCertificate(chain []*x509.Certificate, roots *x509.CertPool, use x509.ExtKeyUsage, names []string) error {
	if len(chain) == 0 {
		return fmt.Errorf("%w: there is none", ErrWrongCertificate)
	}
	opt := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{use}}
	for _, c := range chain[1:] {
		opt.Intermediates.AddCert(c)
	}
	if _, err := chain[0].Verify(opt); err != nil {
		return fmt.Errorf("%w: %w", ErrWrongCertificate, err)
	}
	return verifyName(chain[0], names)
}

func verifyName(c *x509.Certificate, names []string) error {
	if slices.ContainsFunc(names, func(name string) bool { return c.VerifyHostname(name) == nil }) {
		return nil
	}
	return fmt.Errorf("%w: it has none of the names %s", ErrWrongCertificate, strings.Join(names, ", "))
}

// serverTLS is for one connection that a peer dialed. Its name is checked once it
// has said who it is.
func (t *Transport) serverTLS() *tls.Config {
	cfg := t.tls().Clone()
	cfg.ClientAuth = tls.RequireAndVerifyClientCert // for client use of the key, too
	if cfg.ClientCAs == nil {
		cfg.ClientCAs = cfg.RootCAs
	}
	cfg.MinVersion = tls.VersionTLS13
	return cfg
}

// clientTLS is for one connection to a peer.
func (t *Transport) clientTLS(p *peer) (*tls.Config, error) {
	cfg := t.tls().Clone()
	cfg.MinVersion = tls.VersionTLS13
	host, _, err := net.SplitHostPort(p.address())
	if err != nil {
		return nil, err
	}
	if cfg.ServerName == "" {
		cfg.ServerName = host
	}
	// The library knows one name only; this checks all that it would, and others.
	roots := cfg.RootCAs
	cfg.InsecureSkipVerify = true
	cfg.VerifyConnection = func(s tls.ConnectionState) error {
		return VerifyCertificate(s.PeerCertificates, roots, x509.ExtKeyUsageServerAuth, t.namesOf(p))
	}
	return cfg, nil
}

func (t *Transport) namesOf(p *peer) []string { return CertificateNames(p.id, p.address(), t.tlsNames) }

// checkCertificate: whoever dialed shows the certificate of the node that it
// claims to be. Without TLS there is nothing to check.
func (t *Transport) checkCertificate(nc net.Conn, p *peer) error {
	secured, ok := nc.(*tls.Conn)
	if !ok {
		return nil
	}
	chain := secured.ConnectionState().PeerCertificates
	if len(chain) == 0 {
		return fmt.Errorf("%w: there is none", ErrWrongCertificate)
	}
	return verifyName(chain[0], t.namesOf(p))
}
