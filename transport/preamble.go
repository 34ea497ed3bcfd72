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
//	body     = kind:1 number:u32 str8(cluster) str8(from) str8(to)
//	verdict  = magic:4 version:1 code:1 str16(text)
//	strN     = length:N bits octets
//
// Both begin alike in every version, so that versions can refuse each other
// by name. Numbers are big endian.
const (
	preambleMagic   = "LSTP"
	preambleVersion = 1
	maxIDBytes      = 255
	maxBodyBytes    = 5 + 3*(1+maxIDBytes)
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
)

var verdictErrors = map[uint8]error{
	verdictVersion:  ErrWrongVersion,
	verdictCluster:  ErrWrongCluster,
	verdictNode:     ErrWrongNode,
	verdictStranger: ErrUnknownPeer,
	verdictGroup:    ErrUnknownGroup,
}

func verdictOf(err error) uint8 {
	for code, e := range verdictErrors {
		if errors.Is(err, e) {
			return code
		}
	}
	return verdictVersion
}

func appendPreamble(dst []byte, p preamble) []byte {
	dst = append(append(dst, preambleMagic...), preambleVersion)
	size := 5 + 3 + len(p.cluster) + len(p.from) + len(p.to)
	dst = binary.BigEndian.AppendUint16(dst, uint16(size))
	dst = append(dst, byte(p.kind))
	dst = binary.BigEndian.AppendUint32(dst, p.number)
	for _, s := range []string{p.cluster, p.from, p.to} {
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
	for _, field := range []*string{&p.cluster, &p.from, &p.to} {
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

// readVerdict returns nil when the acceptor takes the connection.
func readVerdict(r io.Reader) error {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	// A refusal because of the version comes from another version's node.
	if err := checkHead(head[:5]); err != nil && !errors.Is(err, ErrWrongVersion) {
		return err
	}
	size := int(binary.BigEndian.Uint16(head[6:]))
	if size > maxVerdictText {
		return fmt.Errorf("%w: verdict of %d bytes", ErrNotLockstep, size)
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(r, text); err != nil {
		return err
	}
	if head[5] == verdictWelcome {
		return checkHead(head[:5])
	}
	reason, ok := verdictErrors[head[5]]
	if !ok {
		reason = ErrNotLockstep
	}
	return fmt.Errorf("%w: it says: %s", reason, text)
}
