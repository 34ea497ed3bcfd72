package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"github.com/lockstepkv/lockstep/transport"
)

// maxPeerSecrets are the new one, and the old one until every node has the new.
const maxPeerSecrets = 2

// parsePeerSecrets reads what a file of cluster secrets holds: a secret on a line, the one
// to show first. Empty lines do not count. Bytes that are no text are one secret.
func parsePeerSecrets(text []byte) (list [][]byte, err error) {
	lines := [][]byte{text}
	if isText(text) {
		lines = bytes.FieldsFunc(text, func(c rune) bool { return c == '\n' || c == '\r' })
	}
	for _, secret := range lines {
		if len(secret) < transport.MinSecretBytes {
			return nil, fmt.Errorf("holds a secret of %d bytes, fewer than %d; make one with: head -c 32 /dev/urandom | base64", len(secret), transport.MinSecretBytes)
		}
		list = append(list, secret)
	}
	switch {
	case len(list) == 0:
		return nil, errors.New("holds no secret; make one with: head -c 32 /dev/urandom | base64")
	case len(list) > maxPeerSecrets:
		return nil, fmt.Errorf("holds %d secrets, one a line; at most %d are valid at a time", len(list), maxPeerSecrets)
	}
	return list, nil
}

func isText(b []byte) bool {
	return bytes.IndexFunc(b, func(c rune) bool { return (c < ' ' && c != '\n' && c != '\r' && c != '\t') || c > '~' }) < 0
}

// usePeerSecrets takes the contents of the file into use. One that every user of the
// machine can read is refused: who knows the secret is a node.
func (s *secrets) usePeerSecrets(path string, text []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o007 != 0 {
		return fmt.Errorf("it can be read or changed by every user of this machine (mode %04o); chmod 600 it", mode)
	}
	list, err := parsePeerSecrets(text)
	if err != nil {
		return fmt.Errorf("it %w", err)
	}
	s.peerSecrets.Store(&list)
	return nil
}

// peerSecretList is asked with every connection between nodes; nil without a secret.
func (s *secrets) peerSecretList() func() [][]byte {
	if s.peerSecrets.Load() == nil {
		return nil
	}
	return func() [][]byte { return *s.peerSecrets.Load() }
}
