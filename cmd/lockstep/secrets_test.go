package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/internal/config"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPasswordFileIsReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	write(t, file, "first\n")
	var log strings.Builder
	s, err := openSecrets(config.Security{PasswordFile: file}, nil, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	var told [][]string
	s.newPasswords = func(list []string) { told = append(told, list) }
	expect := func(when string, want ...string) {
		t.Helper()
		if got := *s.passwords.Load(); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", when, got, want)
		}
	}
	expect("at start", "first")
	s.reload(false)
	if len(told) != 0 {
		t.Errorf("told of passwords that did not change: %q", told)
	}
	write(t, file, "second\nfirst\n")
	s.reload(false)
	expect("two at a time", "second", "first")
	if len(told) != 1 || !slices.Equal(told[0], []string{"second", "first"}) {
		t.Errorf("told of %q", told)
	}
	for _, wrong := range []string{"", "\n\n", "a\nb\nc\n", " a\n", "a\tb\n", strings.Repeat("x", 513)} {
		write(t, file, wrong)
		log.Reset()
		s.reload(false)
		s.reload(false)
		expect("after "+wrong, "second", "first")
		if n := strings.Count(log.String(), "the old stays in use"); n != 1 {
			t.Errorf("%q was told %d times:\n%s", wrong, n, &log)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	s.reload(true)
	expect("without a file", "second", "first")
	write(t, file, "third\r\n")
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	log.Reset()
	s.reload(false)
	expect("at the end", "third")
	if !strings.Contains(log.String(), "every user of this machine can read") {
		t.Errorf("no word about the mode:\n%s", &log)
	}
	if strings.Contains(log.String(), "third") {
		t.Error("the password is in the log")
	}
}

func TestSecretsAtStart(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	write(t, empty, "")
	for path, want := range map[string]string{empty: "holds no password", filepath.Join(dir, "none"): "no such file"} {
		_, err := openSecrets(config.Security{PasswordFile: path}, nil, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--requirepass-file") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := load(t, strings.Fields("--requirepass x --requirepass-file y")...); err == nil || !strings.Contains(err.Error(), "given both") {
		t.Errorf("two sources: %v", err)
	}
	if cfg, err := load(t, strings.Fields("--http 0.0.0.0:8001 --requirepass-file y")...); err != nil || !cfg.Security.HasPassword() {
		t.Errorf("a file counts as a password: %v", err)
	}
}

// A certificate is replaced while the listener runs. One without its key, as in
// the moment between two files, or one that has expired leaves the old in use.
func TestCertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	files := config.TLSFiles{Cert: filepath.Join(dir, "cert"), Key: filepath.Join(dir, "key")}
	ends := time.Now().Add(time.Hour)
	selfSigned(t, files, 1, ends)
	s, err := openSecrets(config.Security{ClientTLS: files}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := tlsListener(raw, &s.clients)
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(io.Discard, c); c.Close() }()
		}
	}()
	expect := func(when string, serial int64) {
		t.Helper()
		c, err := tls.Dial("tcp", raw.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		defer c.Close()
		if got := c.ConnectionState().PeerCertificates[0].SerialNumber.Int64(); got != serial {
			t.Errorf("%s: certificate %d, want %d", when, got, serial)
		}
	}
	expect("at start", 1)
	selfSigned(t, files, 2, ends)
	s.reload(false)
	expect("replaced", 2)
	selfSigned(t, config.TLSFiles{Cert: files.Cert, Key: filepath.Join(dir, "other")}, 3, ends)
	s.reload(false)
	expect("without its key", 2)
	selfSigned(t, files, 4, time.Now().Add(-time.Minute))
	s.reload(true)
	expect("expired", 2)
	selfSigned(t, files, 5, ends)
	s.reload(true)
	expect("at the end", 5)
}

// What the other nodes would refuse is refused here, where somebody sees it.
func TestOwnPeerCertificateIsChecked(t *testing.T) {
	dir := t.TempDir()
	files := config.TLSFiles{Cert: filepath.Join(dir, "cert"), Key: filepath.Join(dir, "key"), CA: filepath.Join(dir, "cert")}
	ends := time.Now().Add(time.Hour)
	both := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, c := range []struct {
		names []string
		use   []x509.ExtKeyUsage
		want  string
	}{
		{[]string{"n1"}, both, ""},
		{[]string{"n1"}, nil, ""}, // for any use
		{[]string{"peers.internal"}, both, ""},
		{[]string{"n2"}, both, "it has none of the names 10.0.0.1, n1, peers.internal"},
		{[]string{"n1"}, both[:1], "use as client"},
		{[]string{"n1"}, both[1:], "use as server"},
	} {
		signed(t, files, &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: ends, DNSNames: c.names, ExtKeyUsage: c.use})
		cfg, err := load(t, "--peer", "10.0.0.1:9001", "--tls-peer-allowed-names", "peers.internal",
			"--tls-peer-cert", files.Cert, "--tls-peer-key", files.Key, "--tls-peer-ca", files.CA)
		if err != nil {
			t.Fatal(err)
		}
		s, err := openSecrets(cfg.Security, cfg.CertificateNames(), slog.New(slog.DiscardHandler))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
		if err == nil && s.peerConfig()() == nil {
			t.Errorf("%+v: no configuration", c)
		}
	}
}

func selfSigned(t *testing.T, f config.TLSFiles, serial int64, ends time.Time) {
	t.Helper()
	signed(t, f, &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: ends})
}

func signed(t *testing.T, f config.TLSFiles, template *x509.Certificate) {
	t.Helper()
	template.NotBefore = time.Now().Add(-time.Hour)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, f.Cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, f.Key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
}

func TestPasswordOfATool(t *testing.T) {
	dir := t.TempDir()
	file, open := filepath.Join(dir, "file"), filepath.Join(dir, "open")
	write(t, file, "in file\nold\n")
	write(t, open, "in open file\n")
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		flag, file, env, envFile string
		want                     string
		warned                   bool
	}{
		{"flag", "", "env", file, "flag", false},
		{"", file, "env", open, "in file", false},
		{"", "", "env", file, "env", false},
		{"", "", "", open, "in open file", true},
		{"", "", "", "", "", false},
		{"flag", file, "", "", "", false},
		{"", filepath.Join(dir, "none"), "", "", "", false},
	} {
		env := map[string]string{"LOCKSTEP_PASSWORD": c.env, "LOCKSTEP_PASSWORD_FILE": c.envFile}
		var warnings strings.Builder
		got, err := passwordOf(c.flag, c.file, func(name string) string { return env[name] }, &warnings)
		wrong := c.want == "" && c.file != ""
		if got != c.want || (err != nil) != wrong || (warnings.Len() > 0) != c.warned {
			t.Errorf("%+v: %q, %v, %q", c, got, err, &warnings)
		}
	}
}

// Nodes and tools take the same file for the same password.
func TestPasswordAfterAnEmptyLine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("\n\r\nzwei\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := passwordOf("", file, func(string) string { return "" }, io.Discard)
	s, openErr := openSecrets(config.Security{PasswordFile: file}, nil, slog.New(slog.DiscardHandler))
	if err := errors.Join(err, openErr); err != nil {
		t.Fatal(err)
	}
	if nodes := *s.passwords.Load(); got != "zwei" || len(nodes) != 1 || nodes[0] != got {
		t.Errorf("tools take %q, nodes %q", got, nodes)
	}
}

func TestExposed(t *testing.T) {
	for mode, bad := range map[fs.FileMode]bool{0o600: false, 0o640: false, 0o400: false, 0o644: true, 0o604: true, 0o602: true, 0o666: true, fs.ModeNamedPipe | 0o644: false} {
		if why := exposed("f", mode); (why != "") != bad {
			t.Errorf("%v: %q", mode, why)
		}
	}
}

func TestPeerSecretFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, size int, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, make([]byte, size), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	open := func(path string) error {
		s, err := openSecrets(config.Security{PeerSecret: path}, nil, slog.New(slog.DiscardHandler))
		if (err == nil) != (s.peerSecretList() != nil) {
			t.Errorf("%s: %v, and there are secrets", path, err)
		}
		return err
	}
	if err := open(write("good", 32, 0o600)); err != nil {
		t.Error(err)
	}
	for path, want := range map[string]string{
		write("short", 31, 0o600):             "fewer than 32",
		write("open", 32, 0o644):              "can be read or changed by every user",
		write("huge", maxSecretFile+1, 0o600): "larger than",
		filepath.Join(dir, "none"):            "no such file",
	} {
		if err := open(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

// A secret is a line of text, or all bytes of what is no text.
func TestPeerSecretsOfAFile(t *testing.T) {
	a, b := strings.Repeat("a", 32), strings.Repeat("b", 44)
	binary := "\x00\n" + a + "\n\xff"
	for text, want := range map[string][]string{
		a: {a}, a + "\n": {a}, a + "\r\n" + b + "\r\n": {a, b}, "\n" + b + "\n\n" + a: {b, a}, binary: {binary},
	} {
		got, err := parsePeerSecrets([]byte(text))
		if err != nil || len(got) != len(want) {
			t.Errorf("%q: %q, %v", text, got, err)
			continue
		}
		for i := range want {
			if string(got[i]) != want[i] {
				t.Errorf("%q: %q, want %q", text, got, want)
			}
		}
	}
	for text, want := range map[string]string{
		"": "holds no secret", "\n\n": "holds no secret", a[1:]: "fewer than 32", a + "\nshort\n": "a secret of 5 bytes",
		a + "\n" + b + "\n" + a + "\n": "holds 3 secrets", "\xff": "fewer than 32",
	} {
		if _, err := parsePeerSecrets([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// load reads flags as `lockstep serve` does.
func load(t testing.TB, args ...string) (config.Config, error) {
	t.Helper()
	s := config.New()
	if err := s.Flags.Parse(args); err != nil {
		return config.Config{}, err
	}
	return s.Load("", nil)
}
