package transport

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"testing"
	"time"
)

// A certificate of the cluster's authority is good for the node that it names, at
// both ends, and for the use that it is for.
func TestCertificateIsOneNodes(t *testing.T) {
	ca := newAuthority(t)
	named := func(names ...string) *x509.Certificate { return &x509.Certificate{DNSNames: names} }
	forUse := func(use x509.ExtKeyUsage, name string) *x509.Certificate {
		return &x509.Certificate{DNSNames: []string{name}, ExtKeyUsage: []x509.ExtKeyUsage{use}}
	}
	for _, tc := range []struct {
		name           string
		dialer, target *x509.Certificate
		allowed        []string
		refused        string // in the logs; empty: it works
	}{
		{"ids", named("n1"), named("n2"), nil, ""},
		{"an id among others", named("x", "n1"), named("n2", "y"), nil, ""},
		{"the host", &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}, named("n2"), nil, ""},
		{"a name that is allowed", named("lockstep.internal"), named("lockstep.internal"), []string{"other", "lockstep.internal"}, ""},
		{"the dialer is somebody else", named("n2"), named("n2"), nil, "it has none of the names 127.0.0.1, n1"},
		{"the target is somebody else", named("n1"), named("n1"), nil, "it has none of the names 127.0.0.1, n2"},
		{"no name at all", named(), named("n2"), []string{"a"}, "it has none of the names 127.0.0.1, n1, a"},
		{"another name", named("lockstep.internal"), named("n2"), []string{"a"}, "it has none of the names"},
		{"a server's as client", forUse(x509.ExtKeyUsageServerAuth, "n1"), named("n2"), nil, "incompatible key usage"},
		{"a client's as server", named("n1"), forUse(x509.ExtKeyUsageClientAuth, "n2"), nil, "incompatible key usage"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newCluster(t, 2)
			with := func(template *x509.Certificate) func(*Options) {
				cfg := ca.configOf(t, template)
				return func(o *Options) { o.TLS, o.TLSNames = fixed(cfg), tc.allowed }
			}
			// The target dials nobody, so that one direction is judged.
			c.start("n2", with(tc.target), func(o *Options) { o.Dial = noDial }).Handle(mEcho, echo)
			n1 := c.start("n1", with(tc.dialer))
			if tc.refused == "" {
				eventually(t, "a call gets through", func() bool {
					_, err := n1.Call(within(t, time.Minute), "n2", mEcho, nil)
					return err == nil
				})
				return
			}
			eventually(t, "the refusal is logged", func() bool { return strings.Contains(c.logs.String(), tc.refused) })
			if _, err := n1.Call(within(t, 500*time.Millisecond), "n2", mEcho, nil); !errors.Is(err, ErrNotSent) {
				t.Fatalf("call: %v", err)
			}
		})
	}
}

func noDial(context.Context, string) (net.Conn, error) { return nil, errors.New("not in this test") }
