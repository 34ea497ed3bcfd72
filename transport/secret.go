package transport

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
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
const (
	nonceBytes = 32
	proofBytes = sha256.Size

	// MinSecretBytes is the least size of Options.Secret.
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

// prove returns a role's proof; nil without a secret.
func (t *Transport) prove(role string, p preamble, nonce string) []byte {
	if t.secret == nil {
		return nil
	}
	mac := hmac.New(sha256.New, t.secret)
	fmt.Fprintf(mac, "%s\x00", role)
	mac.Write(appendPreamble(nil, p))
	mac.Write([]byte(nonce))
	return mac.Sum(nil)
}

// challenge is the acceptor's part up to the welcome. It returns the proof that goes
// into that.
func (t *Transport) challenge(nc net.Conn, pre preamble) (proof []byte, err error) {
	switch {
	case t.secret == nil && pre.nonce == "":
		return nil, nil
	case t.secret == nil:
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
	if !hmac.Equal(got[:], t.prove(roleDialer, pre, nonce)) {
		return nil, fmt.Errorf("%w: the dialer's proof is wrong", ErrSecret)
	}
	return t.prove(roleAcceptor, pre, nonce), nil
}

// respond is the dialer's part from the first verdict on.
func (t *Transport) respond(nc net.Conn, pre preamble) error {
	code, nonce, err := readVerdict(nc)
	if err != nil {
		return err
	}
	if t.secret == nil {
		if code == verdictChallenge {
			return fmt.Errorf("%w: this node has none", ErrSecret)
		}
		return nil
	}
	if code != verdictChallenge || len(nonce) != nonceBytes {
		return fmt.Errorf("%w: the peer asks for no proof", ErrSecret)
	}
	if _, err := nc.Write(t.prove(roleDialer, pre, nonce)); err != nil {
		return err
	}
	code, proof, err := readVerdict(nc)
	if err != nil {
		return err
	}
	if code != verdictWelcome || !hmac.Equal([]byte(proof), t.prove(roleAcceptor, pre, nonce)) {
		return fmt.Errorf("%w: the peer's proof is wrong", ErrSecret)
	}
	return nil
}
