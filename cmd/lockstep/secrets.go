package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockstepkv/lockstep/internal/config"
)

// secretsInterval is how often files of secrets are looked at.
const secretsInterval = 2 * time.Second

// secrets are the passwords, certificates and cluster secrets in use. Those from files are read
// again when the files change. What is new is checked before it is used; when
// something is wrong with it, the old goes on being used.
type secrets struct {
	log       *slog.Logger
	materials []*material

	passwords    atomic.Pointer[[]string]
	clients      atomic.Pointer[tls.Config] // nil: no TLS
	peers        atomic.Pointer[tls.Config]
	peerSecrets  atomic.Pointer[[][]byte] // nil: none
	newPasswords func([]string)           // told of others; nil until there is somebody to tell
	reloads      *prometheus.CounterVec
	expires      *prometheus.GaugeVec
}

// material is what several files make together.
type material struct {
	name  string
	files []secretFile
	// use checks the files' contents, and takes them into use if they are right.
	use  func(text [][]byte) error
	seen [sha256.Size]byte // of the contents that were tried last
}

type secretFile struct {
	flag, path string
	private    bool // others must not read it
}

// openSecrets reads all secrets for the first time: here a mistake is an error.
// names are those of which this node's certificate must have one.
func openSecrets(cfg config.Security, names []string, logger *slog.Logger) (*secrets, error) {
	s := &secrets{
		log: logger,
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "lockstep_secret_reloads_total",
			Help: "Passwords, certificates and cluster secrets read again, by outcome."}, []string{"what", "outcome"}),
		expires: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "lockstep_certificate_expires_seconds",
			Help: "When the certificate in use ends, in Unix time."}, []string{"what"}),
	}
	var list []string
	if cfg.Password != "" {
		list = []string{cfg.Password}
	}
	s.passwords.Store(&list)
	if cfg.PasswordFile != "" {
		s.materials = append(s.materials, &material{name: "passwords", use: s.usePasswords,
			files: []secretFile{{"requirepass-file", cfg.PasswordFile, true}}})
	}
	if cfg.PeerSecret != "" {
		s.materials = append(s.materials, &material{name: "peer secret", files: []secretFile{{"peer-secret-file", cfg.PeerSecret, false}},
			use: func(text [][]byte) error { return s.usePeerSecrets(cfg.PeerSecret, text[0]) }})
	}
	if cfg.ClientTLS.Enabled() {
		s.materials = append(s.materials, s.certificate("client certificate", "tls", cfg.ClientTLS, clientTLS, &s.clients))
	}
	if cfg.PeerTLS.Enabled() {
		s.materials = append(s.materials, s.certificate("peer certificate", "tls-peer", cfg.PeerTLS,
			func(f pemFiles, now time.Time) (*tls.Config, error) { return peerTLS(f, now, names) }, &s.peers))
	}
	var errs []error
	for _, m := range s.materials {
		errs = append(errs, s.read(m))
	}
	return s, errors.Join(errs...)
}

func (s *secrets) usePasswords(text [][]byte) error {
	list, err := parsePasswords(text[0])
	if err != nil {
		return fmt.Errorf("it %w", err)
	}
	s.passwords.Store(&list)
	if s.newPasswords != nil {
		s.newPasswords(list)
	}
	return nil
}

func (s *secrets) certificate(name, prefix string, f config.TLSFiles, build func(pemFiles, time.Time) (*tls.Config, error), to *atomic.Pointer[tls.Config]) *material {
	m := &material{name: name, files: []secretFile{{prefix + "-cert", f.Cert, false}, {prefix + "-key", f.Key, true}}}
	if f.CA != "" {
		m.files = append(m.files, secretFile{prefix + "-ca", f.CA, false})
	}
	m.use = func(text [][]byte) error {
		pem := pemFiles{cert: text[0], key: text[1]}
		if len(text) > 2 {
			pem.ca = text[2]
		}
		cfg, err := build(pem, time.Now())
		if err != nil {
			return err
		}
		to.Store(cfg)
		s.expires.WithLabelValues(name).Set(float64(cfg.Certificates[0].Leaf.NotAfter.Unix()))
		return nil
	}
	return m
}

// contents reads all files of m. What it warns of is told when they are new.
func (m *material) contents() (text [][]byte, warnings []string, sum [sha256.Size]byte, err error) {
	h := sha256.New()
	for _, f := range m.files {
		t, mode, readErr := readSecret(f.path)
		if readErr != nil {
			err = errors.Join(err, fmt.Errorf("--%s: %w", f.flag, readErr))
			fmt.Fprintf(h, "error %v\n", readErr)
			continue
		}
		if why := exposed(f.path, mode); f.private && why != "" {
			warnings = append(warnings, "--"+f.flag+": "+why)
		}
		fmt.Fprintf(h, "%d %o\n", len(t), mode)
		h.Write(t)
		text = append(text, t)
	}
	return text, warnings, [sha256.Size]byte(h.Sum(nil)), err
}

// read takes m's files into use.
func (s *secrets) read(m *material) error {
	text, warnings, sum, err := m.contents()
	m.seen = sum
	for _, w := range warnings {
		s.log.Warn(w)
	}
	if err != nil {
		return err
	}
	if err := m.use(text); err != nil {
		return fmt.Errorf("--%s %s: %w", m.files[0].flag, m.files[0].path, err)
	}
	return nil
}

// reload reads again what has changed, or everything. What was found wrong once
// is told once, unless somebody asks.
func (s *secrets) reload(everything bool) {
	for _, m := range s.materials {
		if _, _, sum, _ := m.contents(); sum == m.seen && !everything {
			continue
		}
		if err := s.read(m); err != nil {
			s.reloads.WithLabelValues(m.name, "refused").Inc()
			s.log.Error("what is new cannot be used, the old stays in use", "what", m.name, "error", err)
			continue
		}
		s.reloads.WithLabelValues(m.name, "used").Inc()
		s.log.Info("read again and in use", "what", m.name)
	}
}

// watch follows the files until ctx ends. A signal has everything read at once.
func (s *secrets) watch(ctx context.Context, hup <-chan os.Signal) {
	tick := time.NewTicker(secretsInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.reload(false)
		case <-hup:
			if len(s.materials) == 0 {
				s.log.Info("SIGHUP: this node has no passwords, certificates or secrets from files to read again")
			} else {
				s.log.Info("SIGHUP: reading passwords, certificates and secrets again")
			}
			s.reload(true)
		}
	}
}

// peerConfig is asked with every connection between nodes; nil without TLS.
func (s *secrets) peerConfig() func() *tls.Config {
	if s.peers.Load() == nil {
		return nil
	}
	return s.peers.Load
}
