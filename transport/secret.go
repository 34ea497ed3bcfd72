package transport

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"slices"
)

// Nodes with a cluster secret prove to each other that they know it, before anything
// is told or taken:
//
//	dialer   -> preamble with a nonce
//	acceptor -> verdict "challenge" with its own nonce
//	dialer   -> proof
//	acceptor -> verdict "welcome" with its proof
//
// A proof is an HMAC-SHA256 over the prover's role, the whole preamble (the stream's
// kind and number, cluster, both nodes, the dialer's nonce) and the acceptor's nonce. So
// none can be used again, for another stream, between other nodes or in the other
// direction. What follows is not encrypted; that takes TLS.
//
// While a secret is replaced, nodes have two. The dialer shows one, and dials again with
// the other when that is refused. The acceptor proves the one that it was shown.
const (
	nonceBytes = 32
	proofBytes = sha256.Size

	// MinSecretBytes is the least size of one of Options.Secrets.
	MinSecretBytes = 32
)

// Roles in a proof.
const (
	roleDialer   = "lockstep peer dialer"
	roleAcceptor = "lockstep peer acceptor"
)

func newNonce() string {
	b := make([]byte, nonceBytes)
	_, _ = rand.Read(b) // never fails
	return string(b)
}

// shown are the secrets to show to a peer, in order: first the one that it accepted last.
// Without secrets that is nil alone.
func (t *Transport) shown(p *peer) [][]byte {
	if t.secrets == nil {
		return [][]byte{nil}
	}
	list := t.secrets()
	if last := p.secret.Load(); last != nil {
		i := slices.IndexFunc(list, func(s []byte) bool { return bytes.Equal(s, *last) })
		if i > 0 {
			return slices.Concat(list[i:], list[:i])
		}
	}
	return list
}

// prove returns a role's proof.
func prove(secret []byte, role string, p preamble, nonce string) []byte {
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s\x00", role)
	mac.Write(appendPreamble(nil, p))
	mac.Write([]byte(nonce))
	return mac.Sum(nil)
}

// challenge is the acceptor's part up to the welcome. It returns the proof that goes
// into that.
func (t *Transport) challenge(nc net.Conn, pre preamble) (proof []byte, err error) {
	switch {
	case t.secrets == nil && pre.nonce == "":
		return nil, nil
	case t.secrets == nil:
		return nil, fmt.Errorf("%w: this node has none", ErrSecret)
	case len(pre.nonce) != nonceBytes:
		return nil, fmt.Errorf("%w: the dialer has none", ErrSecret)
	}
	nonce := newNonce()
	if _, err := nc.Write(appendVerdict(nil, verdictChallenge, nonce)); err != nil {
		return nil, err
	}
	var got [proofBytes]byte
	if _, err := io.ReadFull(nc, got[:]); err != nil {
		return nil, err
	}
	for _, secret := range t.secrets() {
		if hmac.Equal(got[:], prove(secret, roleDialer, pre, nonce)) {
			return prove(secret, roleAcceptor, pre, nonce), nil
		}
	}
	return nil, fmt.Errorf("%w: the dialer's proof is wrong", ErrSecret)
}

// respond is the dialer's part from the first verdict on. It shows that it knows secret, if
// that is not nil.
func respond(nc net.Conn, pre preamble, secret []byte) error {
	code, nonce, err := readVerdict(nc)
	if err != nil {
		return err
	}
	if secret == nil {
		if code == verdictChallenge {
			return fmt.Errorf("%w: this node has none", ErrSecret)
		}
		return nil
	}
	if code != verdictChallenge || len(nonce) != nonceBytes {
		return fmt.Errorf("%w: the peer asks for no proof", ErrSecret)
	}
	if _, err := nc.Write(prove(secret, roleDialer, pre, nonce)); err != nil {
		return err
	}
	code, proof, err := readVerdict(nc)
	if err != nil {
		return err
	}
	if code != verdictWelcome || !hmac.Equal([]byte(proof), prove(secret, roleAcceptor, pre, nonce)) {
		return fmt.Errorf("%w: the peer's proof is wrong", ErrSecret)
	}
	return nil
}
