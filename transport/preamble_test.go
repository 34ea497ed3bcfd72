package transport

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lockstepkv/lockstep/internal/heapuse"
)

func TestPreambleRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.StringN(0, 60, maxIDBytes)
		want := preamble{
			kind:   rapid.SampledFrom([]connKind{kindRaft, kindRPC}).Draw(t, "kind"),
			number: rapid.Uint32().Draw(t, "number"),
			nonce:  id.Draw(t, "nonce"), cluster: id.Draw(t, "cluster"), from: id.Draw(t, "from"), to: id.Draw(t, "to"),
		}
		r := bytes.NewReader(append(appendPreamble(nil, want), "rest"...))
		got, err := readPreamble(r)
		if err != nil || got != want || r.Len() != 4 {
			t.Fatalf("%+v became %+v, %v, %d bytes left", want, got, err, r.Len())
		}
	})
}

func FuzzPreamble(f *testing.F) {
	f.Add(appendPreamble(nil, preamble{kind: kindRPC, number: 1, cluster: "c", from: "n1", to: "n2"}))
	f.Add([]byte("LSTP\x02\x00\x00"))
	f.Add([]byte("GET / HTTP/1.1\r\n"))
	f.Add([]byte{0x16, 3, 1, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var p preamble
		var err error
		if used := heapuse.Exceeds(len(b), 8, func() { p, err = readPreamble(bytes.NewReader(b)) }); used > 0 {
			t.Fatalf("%d bytes allocated for %d", used, len(b))
		}
		if err != nil {
			return
		}
		if again := appendPreamble(nil, p); !bytes.Equal(again, b[:len(again)]) {
			t.Fatalf("%x decodes to %+v, which encodes to %x", b, p, again)
		}
	})
}

func FuzzVerdict(f *testing.F) {
	f.Add(appendVerdict(nil, verdictWelcome, ""))
	f.Add(appendVerdict(nil, verdictCluster, "no"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var err error
		if used := heapuse.Exceeds(len(b), 8, func() { _, _, err = readVerdict(bytes.NewReader(b)) }); used > 0 {
			t.Fatalf("%d bytes allocated for %d", used, len(b))
		}
		if err == nil && (len(b) < 8 || b[5] != verdictWelcome && b[5] != verdictChallenge) {
			t.Fatalf("%x is a welcome", b)
		}
	})
}

// Who belongs to the cluster and is wrong all the same is refused by name, in the
// caller's error and in both logs.
func TestMembersAreRefusedByName(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(o *Options) // of the dialer, n1
		want   error
		words  []string
	}{
		{"cluster", func(o *Options) { o.ClusterID = "staging" }, ErrWrongCluster, []string{"staging", "test", "n2"}},
		{"node", func(o *Options) { o.Peers = map[string]string{"n1": "", "n3": o.Peers["n2"]} }, ErrWrongNode, []string{"n2", "n3"}},
		{"stranger", func(o *Options) {
			o.NodeID, o.Peers = "n8", map[string]string{"n2": o.Peers["n2"]}
		}, ErrUnknownPeer, []string{"n8"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newCluster(t, 2)
			c.start("n2", withSecret(testSecret))
			to := "n2"
			if tc.name == "node" {
				to = "n3"
			}
			n1 := c.start("n1", withSecret(testSecret), tc.change)
			var err error
			eventually(t, "the refusal reaches the caller", func() bool {
				_, err = n1.Call(context.Background(), to, mEcho, nil)
				return errors.Is(err, tc.want) && errors.Is(err, ErrNotSent)
			})
			eventually(t, "both ends log it", func() bool {
				return strings.Contains(c.logs.String(), "no connection to node") && strings.Contains(c.logs.String(), "connection refused")
			})
			for _, w := range tc.words {
				if !strings.Contains(err.Error(), w) || !strings.Contains(c.logs.String(), w) {
					t.Errorf("no %q in %q or the log:\n%s", w, err, c.logs.String())
				}
			}
		})
	}
}

// fakePeer answers every connection with reply.
func fakePeer(t *testing.T, reply []byte) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = readPreamble(nc)
			_, _ = nc.Write(reply)
			nc.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return l.Addr().String()
}

func TestOtherVersionsAndProtocolsAreRefusedByName(t *testing.T) {
	future := appendVerdict(nil, verdictVersion, "node n2: it speaks 1, this node 9")
	future[4] = 9
	for _, tc := range []struct {
		name  string
		reply []byte
		want  error
	}{
		{"later version", future, ErrWrongVersion},
		{"later version welcomes", append([]byte("LSTP\x09\x00"), 0, 0), ErrWrongVersion},
		{"web server", []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), ErrNotLockstep},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newCluster(t, 2)
			c.peers["n2"] = fakePeer(t, tc.reply)
			n1 := c.start("n1")
			eventually(t, "the refusal reaches the caller", func() bool {
				_, err := n1.Call(context.Background(), "n2", mEcho, nil)
				return errors.Is(err, tc.want)
			})
		})
	}
	t.Run("later version dials", func(t *testing.T) {
		c := newCluster(t, 2)
		c.start("n2")
		nc, err := net.Dial("tcp", c.peers["n2"])
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		hello := appendPreamble(nil, preamble{kind: kindRPC, cluster: "test", from: "n1", to: "n2"})
		hello[4] = 9
		if _, err := nc.Write(hello); err != nil {
			t.Fatal(err)
		}
		_, _, err = readVerdict(nc)
		if !errors.Is(err, ErrWrongVersion) || !strings.Contains(err.Error(), "9") {
			t.Fatal(err)
		}
	})
}

// authority is a certificate authority made for a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	a := &authority{pool: x509.NewCertPool()}
	template := &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	_, a.cert, a.key = a.sign(t, template)
	a.pool.AddCert(a.cert)
	return a
}

func (a *authority) sign(t testing.TB, template *x509.Certificate) ([]byte, *x509.Certificate, *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.Subject = pkix.Name{CommonName: "test"}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return der, cert, key
}

// config is a node's TLS settings.
func (a *authority) config(t testing.TB) *tls.Config {
	return a.configOf(t, &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
}

// configOf is a node's settings with a certificate as in template.
func (a *authority) configOf(t testing.TB, template *x509.Certificate) *tls.Config {
	if template.ExtKeyUsage == nil {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	der, _, key := a.sign(t, template)
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		RootCAs:      a.pool,
	}
}

func TestMutualTLS(t *testing.T) {
	ca := newAuthority(t)
	c, members := raftCluster(t, func(o *Options) { o.TLS = fixed(ca.config(t)) })
	for _, n := range c.nodes {
		n.Handle(mEcho, echo)
	}
	for _, size := range []int{10, copyBytes, 3 << 20} {
		got, err := c.nodes["n1"].Call(within(t, time.Minute), "n2", mEcho, make([]byte, size))
		if err != nil || len(got) != size {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
	_, leader := waitLeader(t, members)
	for range 20 {
		if err := leader.Apply(make([]byte, 100<<10), time.Minute).Error(); err != nil {
			t.Fatal(err)
		}
	}
}

// fixed is a configuration that never changes.
func fixed(c *tls.Config) func() *tls.Config {
	if c == nil {
		return nil
	}
	return func() *tls.Config { return c }
}

func TestTLSRefusesOutsiders(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	for _, tc := range []struct {
		name           string
		dialer, target *tls.Config
		words          string // in the acceptor's or the dialer's log
	}{
		{"unknown authority", stranger.config(t), ca.config(t), "x509"},
		{"no certificate", nil, ca.config(t), "TLS"},
		{"TLS towards a node without", ca.config(t), nil, "peer TLS switched off"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newCluster(t, 2)
			c.start("n2", func(o *Options) { o.TLS = fixed(tc.target) }).Handle(mEcho, echo)
			n1 := c.start("n1", func(o *Options) { o.TLS = fixed(tc.dialer) })
			eventually(t, "the refusal is logged", func() bool {
				return strings.Contains(c.logs.String(), "connection refused") && strings.Contains(c.logs.String(), tc.words)
			})
			if _, err := n1.Call(within(t, time.Second), "n2", mEcho, nil); !errors.Is(err, ErrNotSent) {
				t.Fatalf("call: %v", err)
			}
		})
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, o := range []Options{
		{},
		{NodeID: "n1"},
		{NodeID: "n1", ClusterID: "c"},
		{NodeID: strings.Repeat("x", 256), ClusterID: "c"},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}
