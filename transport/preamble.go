package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Whoever dials sends a preamble, and the acceptor answers with a verdict.
//
//	preamble = magic:4 version:1 size:u16 body
//	body     = kind:1 number:u32 str8(nonce) str8(cluster) str8(from) str8(to)
//	verdict  = magic:4 version:1 code:1 str16(text)
//
// The nonce is empty when the dialer has no cluster secret; see secret.go for what
// comes between preamble and verdict when there is one.
//
//	strN     = length:N bits octets
//
// Both begin alike in every version, so that versions can refuse each other
// by name. Numbers are big endian.
const (
	preambleMagic   = "LSTP"
	preambleVersion = 2
	maxIDBytes      = 255
	maxBodyBytes    = 5 + 4*(1+maxIDBytes)
	maxVerdictText  = 4096
)

// connKind is what a connection carries.
type connKind uint8

const (
	kindRaft connKind = 1 // number is the Raft group
	kindRPC  connKind = 2 // number is the linkClass
)

type preamble struct {
	kind              connKind
	number            uint32
	nonce             string
	cluster, from, to string
}

// Verdict codes. Values are part of the format.
const (
	verdictWelcome uint8 = iota
	verdictVersion
	verdictCluster
	verdictNode
	verdictStranger
	verdictGroup
	verdictRefused   // nothing is told to a stranger
	verdictSecret    // the proof is missing or wrong
	verdictChallenge // the text is the acceptor's nonce
	verdictCertificate
)

var verdictErrors = map[uint8]error{
	verdictVersion:  ErrWrongVersion,
	verdictCluster:  ErrWrongCluster,
	verdictNode:     ErrWrongNode,
	verdictStranger: ErrUnknownPeer,
	verdictGroup:    ErrUnknownGroup,
	verdictRefused:  ErrRefused,
	verdictSecret:   ErrSecret,

	verdictCertificate: ErrWrongCertificate,
}

func verdictOf(err error) uint8 {
	for code, e := range verdictErrors {
		if errors.Is(err, e) {
			return code
		}
	}
	return verdictVersion
}

// refusal is what a dialer is told. Those who have shown that they belong to the cluster
// learn everything. A stranger learns the version of the format and whether a secret is
// asked for; one who names the cluster's id, which nodes only tell each other, learns
// which part of the rest is wrong, but no right one.
func refusal(err error, node string, trusted bool) []byte {
	code := verdictOf(err)
	switch {
	case trusted:
		return appendVerdict(nil, code, "node "+node+": "+err.Error())
	case code == verdictVersion:
		return appendVerdict(nil, code, err.Error())
	case code == verdictCluster:
		code = verdictRefused
	}
	return appendVerdict(nil, code, "")
}

func appendPreamble(dst []byte, p preamble) []byte {
	dst = append(append(dst, preambleMagic...), preambleVersion)
	size := 5 + 4 + len(p.nonce) + len(p.cluster) + len(p.from) + len(p.to)
	dst = binary.BigEndian.AppendUint16(dst, uint16(size))
	dst = append(dst, byte(p.kind))
	dst = binary.BigEndian.AppendUint32(dst, p.number)
	for _, s := range []string{p.nonce, p.cluster, p.from, p.to} {
		dst = append(append(dst, byte(len(s))), s...)
	}
	return dst
}

// readPreamble reads exactly one preamble. Its error is ErrNotLockstep,
// ErrWrongVersion or r's.
func readPreamble(r io.Reader) (preamble, error) {
	var head [7]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return preamble{}, err
	}
	if err := checkHead(head[:5]); err != nil {
		return preamble{}, err
	}
	size := int(binary.BigEndian.Uint16(head[5:]))
	if size > maxBodyBytes {
		return preamble{}, fmt.Errorf("%w: preamble of %d bytes", ErrNotLockstep, size)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return preamble{}, err
	}
	return parseBody(body)
}

func checkHead(head []byte) error {
	if head[0] == 0x16 && head[1] == 3 {
		return fmt.Errorf("%w: it begins a TLS handshake, this node has peer TLS switched off", ErrNotLockstep)
	}
	if string(head[:4]) != preambleMagic {
		return fmt.Errorf("%w: it begins with %q", ErrNotLockstep, head[:4])
	}
	if head[4] != preambleVersion {
		return fmt.Errorf("%w: it speaks %d, this node %d", ErrWrongVersion, head[4], preambleVersion)
	}
	return nil
}

func parseBody(body []byte) (preamble, error) {
	if len(body) < 5 {
		return preamble{}, fmt.Errorf("%w: short preamble", ErrNotLockstep)
	}
	p := preamble{kind: connKind(body[0]), number: binary.BigEndian.Uint32(body[1:])}
	rest := body[5:]
	for _, field := range []*string{&p.nonce, &p.cluster, &p.from, &p.to} {
		if len(rest) == 0 || len(rest) < 1+int(rest[0]) {
			return preamble{}, fmt.Errorf("%w: short preamble", ErrNotLockstep)
		}
		n := int(rest[0])
		*field, rest = string(rest[1:1+n]), rest[1+n:]
	}
	if len(rest) != 0 || (p.kind != kindRaft && p.kind != kindRPC) {
		return preamble{}, fmt.Errorf("%w: malformed preamble", ErrNotLockstep)
	}
	return p, nil
}

func appendVerdict(dst []byte, code uint8, text string) []byte {
	text = text[:min(len(text), maxVerdictText)]
	dst = append(append(dst, preambleMagic...), preambleVersion, code)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(text)))
	return append(dst, text...)
}

// readVerdict returns a welcome or a challenge with its text; a refusal is an error.
func readVerdict(r io.Reader) (code uint8, text string, err error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, "", err
	}
	// A refusal because of the version comes from another version's node.
	if err := checkHead(head[:5]); err != nil && !errors.Is(err, ErrWrongVersion) {
		return 0, "", err
	}
	size := int(binary.BigEndian.Uint16(head[6:]))
	if size > maxVerdictText {
		return 0, "", fmt.Errorf("%w: verdict of %d bytes", ErrNotLockstep, size)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return 0, "", err
	}
	if head[5] == verdictWelcome || head[5] == verdictChallenge {
		return head[5], string(body), checkHead(head[:5])
	}
	reason, ok := verdictErrors[head[5]]
	if !ok {
		reason = ErrNotLockstep
	}
	if size == 0 {
		return 0, "", reason
	}
	return 0, "", fmt.Errorf("%w: it says: %s", reason, body)
}
