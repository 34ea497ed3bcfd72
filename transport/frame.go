package transport

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/lockstepkv/lockstep/internal/bulk"
)

// Calls travel in frames:
//
//	frame = size:u32 kind:1 code:1 id:u64 timeout:u32 payload
//
// size counts the payload alone. code is a request's method or a reply's
// status. id pairs a reply with its request. timeout is how long the caller
// still waits, in microseconds: relative, because nodes' clocks differ; 0 means
// that there is no limit. Numbers are big endian.
const (
	headerBytes = 18
	maxPayload  = 1 << 30

	// trustBytes is how much memory a frame's size alone can claim. Above it
	// memory grows with what really arrives.
	trustBytes = 1 << 20
	// stepBytes is how much is read before more memory is made ready.
	stepBytes = 1 << 20
)

type frameKind uint8

const (
	frameRequest frameKind = iota + 1
	frameReply
	framePing
	framePong
)

// Statuses of a reply. Values are part of the format.
const (
	statusOK         uint8 = iota
	statusError            // the payload is the handler's error text
	statusNoHandler        // not handled: no such method here
	statusOverloaded       // not handled: too much is running already
	statusParked           // the payload is the ticket of a large reply
	statusExpired          // the handler gave up when the caller's deadline passed
)

var errBadFrame = errors.New("malformed frame")

type header struct {
	size    int
	kind    frameKind
	code    uint8
	id      uint64
	timeout time.Duration
}

func appendHeader(dst []byte, h header) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(h.size))
	dst = append(dst, byte(h.kind), h.code)
	dst = binary.BigEndian.AppendUint64(dst, h.id)
	return binary.BigEndian.AppendUint32(dst, timeoutMicros(h.timeout))
}

// timeoutMicros rounds up, so that no limit and hardly any time are told apart.
func timeoutMicros(d time.Duration) uint32 {
	switch {
	case d <= 0:
		return 0
	case d > math.MaxUint32*time.Microsecond:
		return math.MaxUint32
	}
	return uint32((d-1)/time.Microsecond) + 1
}

// parseHeader decodes the first headerBytes of b.
func parseHeader(b []byte) (header, error) {
	h := header{
		size:    int(binary.BigEndian.Uint32(b)),
		kind:    frameKind(b[4]),
		code:    b[5],
		id:      binary.BigEndian.Uint64(b[6:]),
		timeout: time.Duration(binary.BigEndian.Uint32(b[14:])) * time.Microsecond,
	}
	if h.kind < frameRequest || h.kind > framePong {
		return h, fmt.Errorf("%w: kind %d", errBadFrame, h.kind)
	}
	if h.size > maxPayload {
		return h, fmt.Errorf("%w: payload of %d bytes", errBadFrame, h.size)
	}
	return h, nil
}

// readHeader reads the next frame's header.
func readHeader(br *bufio.Reader) (header, error) {
	b, err := br.Peek(headerBytes)
	if err != nil {
		return header{}, err
	}
	h, err := parseHeader(b)
	if err != nil {
		return h, err
	}
	_, err = br.Discard(headerBytes)
	return h, err
}

// readPayload reads n bytes into memory of their own.
func readPayload(r io.Reader, n int) ([]byte, error) {
	b := make([]byte, min(n, trustBytes))
	have := 0
	for {
		for have < len(b) {
			next := b[have:min(have+stepBytes, len(b))]
			bulk.Ready(next)
			if _, err := io.ReadFull(r, next); err != nil {
				return nil, err
			}
			have += len(next)
		}
		if have == n {
			return b, nil
		}
		grown := make([]byte, bulk.NextSize(n, have))
		bulk.Copy(grown, b)
		b = grown
	}
}
