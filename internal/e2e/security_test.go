package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Without the password nothing is answered, with it everything, over both
// protocols and through any node.
func TestPassword(t *testing.T) {
	const password = "correct horse"
	c := StartCluster(t, Options{Password: password})
	n := c.Nodes[0]
	w := n.Dial()
	for _, test := range []struct{ command, want string }{
		{"GET k", "-NOAUTH Authentication required."},
		{"LS.GET k", "-NOAUTH Authentication required."},
		{"CONFIG GET requirepass", "-NOAUTH Authentication required."},
		{"AUTH wrong", "-WRONGPASS invalid username-password pair or user is disabled."},
		{"AUTH nobody wrong", "-WRONGPASS invalid username-password pair or user is disabled."},
		{"SET k v", "-NOAUTH Authentication required."},
	} {
		if got := w.Do(strings.Fields(test.command)...); got != test.want {
			t.Errorf("%s: %q, want %q", test.command, got, test.want)
		}
	}
	if got := w.Do("AUTH", password); got != "+OK" {
		t.Errorf("AUTH: %q", got)
	}
	if got := w.Do("SET", "k", "v"); got != "+OK" {
		t.Errorf("SET after AUTH: %q", got)
	}
	if got := n.Dial().Do("AUTH", "default", password); got != "+OK" {
		t.Errorf("AUTH default: %q", got)
	}
	if got := n.Dial().Do("HELLO", "2", "AUTH", "default", password); strings.HasPrefix(got, "-") {
		t.Errorf("HELLO AUTH: %q", got)
	}
	if got, err := c.Nodes[1].Redis(1).Get(context.Background(), "k").Result(); err != nil || got != "v" {
		t.Errorf("go-redis with a password: %q, %v", got, err)
	}
	for _, test := range []struct {
		name, header string
		status       int
	}{
		{"nothing", "", 401},
		{"wrong bearer", "Bearer wrong", 401},
		{"bearer", "Bearer " + password, 200},
		{"wrong basic", basic("default", "wrong"), 401},
		{"wrong user", basic("nobody", password), 401},
		{"basic", basic("default", password), 200},
		{"basic without a user", basic("", password), 200},
		{"nonsense", "Digest x", 401},
	} {
		for _, path := range []string{"/v1/keys/k", "/v1/cluster"} {
			if status := statusOf(t, "http://"+c.Nodes[2].HTTP+path, test.header); status != test.status {
				t.Errorf("GET %s with %s: %d, want %d", path, test.name, status, test.status)
			}
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if status := statusOf(t, "http://"+n.HTTP+path, ""); status != 200 {
			t.Errorf("GET %s without a password: %d", path, status)
		}
	}
	if strings.Contains(n.Log(), password) {
		t.Error("the password is in the log")
	}
}

func basic(user, password string) string {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(user, password)
	return r.Header.Get("Authorization")
}

func statusOf(t *testing.T, url, authorization string) int {
	t.Helper()
	req, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// Clients speak TLS to the nodes, nodes speak mutual TLS to each other, and a node
// with a certificate of another authority is kept out.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	clients, peers, strangers := newAuthority(t, dir, "clients"), newAuthority(t, dir, "peers"), newAuthority(t, dir, "strangers")
	server := clients.issue("server")
	client := clients.issue("client")
	config := clients.config(client)
	c := NewCluster(t, Options{
		TLS:   config,
		Flags: []string{"--tls-cert", server.cert, "--tls-key", server.key, "--tls-ca", clients.file},
		NodeArgs: func(id string) []string {
			own := peers.issue(id)
			return []string{"--tls-peer-cert", own.cert, "--tls-peer-key", own.key, "--tls-peer-ca", peers.file}
		},
	})
	c.StartAll()
	c.WaitWhole()
	stranger := c.Nodes[2]
	stranger.Kill()
	foreign := strangers.issue("n3")
	stranger.Start("--tls-peer-cert", foreign.cert, "--tls-peer-key", foreign.key, "--tls-peer-ca", strangers.file)
	Eventually(t, patience, func() error { return c.Nodes[0].Ready() })
	Eventually(t, patience, func() error {
		if !strings.Contains(stranger.Log(), "certificate") {
			return fmt.Errorf("the stranger was not told why")
		}
		return nil
	})
	if err := stranger.Ready(); err == nil {
		t.Error("a node with a certificate of another authority serves")
	}
	for line := range strings.SplitSeq(stranger.Log(), "\n") {
		if strings.Contains(line, "certificate") {
			t.Logf("the stranger's log: %s", line)
			break
		}
	}
	stranger.Kill()
	if err := (HTTPClient{c.Nodes[0]}).Set("k", "v"); err != nil {
		t.Error(err)
	}

	// The same node with the right certificate joins.
	stranger.Start()
	c.WaitWhole()
	r := redis.NewClient(&redis.Options{Addr: stranger.RESP, TLSConfig: config})
	defer r.Close()
	if got, err := r.Get(context.Background(), "k").Result(); err != nil || got != "v" {
		t.Errorf("GET over TLS: %q, %v", got, err)
	}
	tlsIsDemanded(t, c, clients)
}

func tlsIsDemanded(t *testing.T, c *Cluster, clients *authority) {
	n := c.Nodes[0]
	if reply, err := n.Dial().tryPing(); err == nil {
		t.Errorf("a client without TLS was answered: %q", reply)
	}
	anonymous := redis.NewClient(&redis.Options{Addr: n.RESP, MaxRetries: -1, TLSConfig: &tls.Config{RootCAs: clients.pool()}})
	defer anonymous.Close()
	if err := anonymous.Ping(context.Background()).Err(); err == nil {
		t.Error("a client without a certificate was answered though --tls-ca is given")
	}
	httpClient := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: clients.pool()}}, Timeout: 10 * time.Second}
	if resp, err := httpClient.Get("https://" + n.HTTP + "/v1/cluster"); err == nil {
		resp.Body.Close()
		t.Errorf("HTTP without a certificate: %d", resp.StatusCode)
	}
	// A client that knows no TLS at the peer port.
	conn, err := net.DialTimeout("tcp", n.Peer, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = conn.Write(randomBytes(512))
	if err := n.Ready(); err != nil {
		t.Error(err)
	}
}

func (w *Wire) tryPing() (string, error) {
	w.SendRaw(Request("PING"))
	reply, err := w.TryReply(patience)
	if err == nil && reply != "+PONG" {
		err = fmt.Errorf("not a reply")
	}
	return reply, err
}

// authority signs certificates for 127.0.0.1.
type authority struct {
	t         *testing.T
	dir, name string
	file      string
	cert      *x509.Certificate
	key       *ecdsa.PrivateKey
	issued    int64
}

// keyPair names PEM files.
type keyPair struct{ cert, key string }

func newAuthority(t *testing.T, dir, name string) *authority {
	t.Helper()
	a := &authority{t: t, dir: dir, name: name, file: filepath.Join(dir, name+"-ca.pem")}
	template := certificateTemplate(name+" authority", 1)
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	a.key = newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	writePEM(t, a.file, "CERTIFICATE", der)
	return a
}

func (a *authority) issue(name string) keyPair {
	a.t.Helper()
	a.issued++
	template := certificateTemplate(name, 1+a.issued)
	template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	key := newKey(a.t)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	pair := keyPair{filepath.Join(a.dir, a.name+"-"+name+".pem"), filepath.Join(a.dir, a.name+"-"+name+".key")}
	writePEM(a.t, pair.cert, "CERTIFICATE", der)
	writePEM(a.t, pair.key, "PRIVATE KEY", keyDER)
	return pair
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// config trusts the authority and shows a certificate.
func (a *authority) config(shown keyPair) *tls.Config {
	a.t.Helper()
	certificate, err := tls.LoadX509KeyPair(shown.cert, shown.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return &tls.Config{RootCAs: a.pool(), Certificates: []tls.Certificate{certificate}}
}

func certificateTemplate(name string, serial int64) *x509.Certificate {
	return &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
