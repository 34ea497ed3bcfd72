package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"github.com/lockstepkv/lockstep/client"
)

// clientTLSOptions are what a command line tool trusts and shows.
type clientTLSOptions struct{ cacert, cert, key string }

func (o *clientTLSOptions) register(fs *pflag.FlagSet) {
	fs.StringVar(&o.cacert, "cacert", "", "PEM authorities to trust with TLS (LOCKSTEP_CACERT)")
	fs.StringVar(&o.cert, "cert", "", "PEM certificate to show to nodes that want one, for --tls-ca (LOCKSTEP_CERT)")
	fs.StringVar(&o.key, "key", "", "PEM private key of --cert (LOCKSTEP_KEY)")
}

// given reports whether a flag was: what is in the environment is for all commands, TLS or
// not.
func (o clientTLSOptions) given() bool { return o != clientTLSOptions{} }

// withEnvironment fills in what no flag says.
func (o clientTLSOptions) withEnvironment(getenv func(string) string) clientTLSOptions {
	for name, to := range map[string]*string{"LOCKSTEP_CACERT": &o.cacert, "LOCKSTEP_CERT": &o.cert, "LOCKSTEP_KEY": &o.key} {
		if *to == "" {
			*to = getenv(name)
		}
	}
	return o
}

// config reads the files. What is wrong with them is one sentence.
func (o clientTLSOptions) config() (*tls.Config, error) {
	o = o.withEnvironment(os.Getenv)
	roots, err := loadRoots(o.cacert)
	if err != nil {
		return nil, err
	}
	cfg := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	switch {
	case o.cert == "" && o.key == "":
		return cfg, nil
	case o.key == "":
		return nil, errors.New("--key is missing: --cert names a certificate, and its private key is needed too (LOCKSTEP_KEY)")
	case o.cert == "":
		return nil, errors.New("--cert is missing: --key names a private key, and its certificate is needed too (LOCKSTEP_CERT)")
	}
	pair, err := loadPair(o.cert, o.key, time.Now())
	if err != nil {
		return nil, err
	}
	// Shown whatever authorities the node lists: its refusal says more than no certificate.
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair, nil }
	return cfg, nil
}

func loadPair(certFile, keyFile string, now time.Time) (*tls.Certificate, error) {
	cert, _, err := readSecret(certFile)
	if err != nil {
		return nil, fmt.Errorf("--cert: %w", err)
	}
	key, mode, err := readSecret(keyFile)
	if err != nil {
		return nil, fmt.Errorf("--key: %w", err)
	}
	if why := exposed(keyFile, mode); why != "" {
		warnOnce(os.Stderr, why)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("--cert %s and --key %s are no pair: %w", certFile, keyFile, err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return nil, fmt.Errorf("--cert: %s: %w", certFile, err)
	}
	if now.After(leaf.NotAfter) {
		return nil, fmt.Errorf("--cert: %s expired at %s", certFile, leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return &pair, nil
}

var warned sync.Map // what was warned of

// warnOnce warns, however many connections come upon the same.
func warnOnce(w io.Writer, why string) {
	if _, again := warned.LoadOrStore(why, true); !again {
		fmt.Fprintln(w, "lockstep: warning:", why)
	}
}

// mistake is err as a sentence that says what to do, if it is about certificates or about
// TLS that one side does not speak; else nil. Nothing of a request was read then.
func (o clientTLSOptions) mistake(err error) error {
	var e *client.Error
	if !errors.As(err, &e) {
		return nil
	}
	var unverified *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	errors.As(err, &unverified)
	switch {
	case e.Code == client.CodeCertificateRefused:
		return withCode(exitFailed, fmt.Errorf("%w (--cert and --key, or LOCKSTEP_CERT and LOCKSTEP_KEY)", err))
	case e.Code == client.CodeNoTLS:
		return withCode(exitUsage, fmt.Errorf("%s does not speak TLS: leave out --tls, or name an --endpoint that begins with http://", e.Node))
	case e.Code == client.CodeTLSOnly:
		return withCode(exitUsage, fmt.Errorf("%s speaks TLS only: add --tls", e.Node))
	case e.Code != client.CodeUntrusted || unverified == nil:
		return nil
	case !errors.As(err, &unknown):
		return withCode(exitFailed, fmt.Errorf("%s shows a certificate that is not good: %w", e.Node, unverified.Err))
	}
	if cacert := o.withEnvironment(os.Getenv).cacert; cacert != "" {
		return withCode(exitUsage, fmt.Errorf("--cacert: %s has not the authority that signed the certificate of %s", cacert, e.Node))
	}
	return withCode(exitUsage, fmt.Errorf("--cacert is missing: this machine does not trust the authority that signed the certificate of %s (LOCKSTEP_CACERT)", e.Node))
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
