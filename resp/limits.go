package resp

import (
	"errors"
	"math"
)

// Limits bounds what a Reader accepts. The zero value of a field means Redis's
// own default.
type Limits struct {
	MaxBulk    int64   // bytes of one argument; Redis: proto-max-bulk-len, 512 MiB
	MaxArgs    int     // arguments of one command; Redis 7.0: 2^31-1
	MaxInline  int     // bytes of a line: an inline command or a length; Redis: 64 KiB
	MaxRequest int64   // bytes of one command in memory; Redis: client-query-buffer-limit, 1 GiB
	Budget     *Budget // bounds the bytes that all readers sharing it hold; nil: unbounded
}

func (l Limits) withDefaults() Limits {
	if l.MaxBulk <= 0 {
		l.MaxBulk = 512 << 20
	}
	if l.MaxArgs <= 0 || l.MaxArgs > math.MaxInt32 {
		l.MaxArgs = math.MaxInt32
	}
	if l.MaxInline <= 0 {
		l.MaxInline = 64 << 10
	}
	if l.MaxRequest <= 0 {
		l.MaxRequest = 1 << 30
	}
	return l
}

// What a client that has not authenticated yet may send (Redis 7.0,
// processMultibulkBuffer).
const (
	unauthMaxArgs = 10
	unauthMaxBulk = 16384
)

// ProtocolError means that the peer does not speak RESP, or exceeds a limit.
// What follows on the connection cannot be understood: answer and close.
type ProtocolError struct {
	Text string // the whole error reply, in Redis's words
}

func (e *ProtocolError) Error() string { return e.Text }

func protocolError(text string) *ProtocolError {
	return &ProtocolError{Text: "ERR Protocol error: " + text}
}

// ErrBudget means that a request was given up because the readers of this
// process already hold as many bytes as they may. Nothing was executed.
var ErrBudget = errors.New("too many bytes of requests are held")
