package respapi

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"
)

// ends waits until the server has closed c.
func ends(t *testing.T, c net.Conn, what string) {
	t.Helper()
	if _, err := io.Copy(io.Discard, c); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("%s: %v", what, err)
	}
}

// answers sends a line and expects one.
func answers(t *testing.T, c net.Conn, send, want string) {
	t.Helper()
	if _, err := io.WriteString(c, send+"\r\n"); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != want {
		t.Fatalf("%s: %q, %v", send, line, err)
	}
}

// Who does not authenticate is put out, silent or not; who has stays.
func TestStrangersEnd(t *testing.T) {
	f := &fake{password: true}
	_, addr := start(t, f, func(o *Options) { o.Tick, o.AuthTimeout = 5*time.Millisecond, 50*time.Millisecond })
	guest := enter(t, addr)
	silent, talker := dial(t, addr), dial(t, addr)
	ends(t, silent, "a silent client")
	go func() {
		for {
			if _, err := io.WriteString(talker, "PING\r\n"); err != nil {
				return
			}
		}
	}()
	ends(t, talker, "a client that talks")
	answers(t, guest, "PING", "+PONG")
}

// A client without a password to show is no stranger.
func TestNobodyIsAStrangerWithoutPassword(t *testing.T) {
	s, addr := start(t, &fake{tuning: Tuning{MaxClients: 1}}, func(o *Options) { o.Tick, o.AuthTimeout = time.Millisecond, time.Millisecond })
	c := dial(t, addr)
	answers(t, c, "PING", "+PONG")
	begun := s.ticks.Load()
	eventually(t, "time passes", func() bool { return s.ticks.Load() > begun+10 })
	answers(t, c, "PING", "+PONG")
	if got, _ := io.ReadAll(dial(t, addr)); string(got) != "-ERR max number of clients reached\r\n" {
		t.Errorf("one too many got %q", got)
	}
}

// However many silent connections there are, a client with the password gets in,
// and those that are in stay.
func TestStrangersCannotFillTheNode(t *testing.T) {
	f := &fake{password: true, tuning: Tuning{MaxClients: 8}}
	_, addr := start(t, f, nil)
	var guests []net.Conn
	for range 6 {
		c := dial(t, addr)
		answers(t, c, "AUTH x", "+OK")
		guests = append(guests, c)
	}
	for range 50 {
		dial(t, addr)
	}
	c := dial(t, addr)
	answers(t, c, "AUTH x", "+OK")
	for _, g := range append(guests, c) {
		answers(t, g, "PING", "+PONG")
	}
	eventually(t, "the others go", func() bool { return f.Clients() <= 8 })
}

// A handshake that does not go on counts as silence, also without a password.
func TestSilentHandshakeEnds(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	_, addr := start(t, &fake{}, func(o *Options) {
		o.Tick, o.AuthTimeout = 5*time.Millisecond, 200*time.Millisecond
		o.Listener = tls.NewListener(o.Listener, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	})
	var c *tls.Conn
	eventually(t, "a client is quick enough", func() bool {
		c = tls.Client(dial(t, addr), &tls.Config{InsecureSkipVerify: true})
		return c.Handshake() == nil
	})
	answers(t, c, "PING", "+PONG")
	ends(t, dial(t, addr), "a silent client")
	answers(t, c, "PING", "+PONG")
}
