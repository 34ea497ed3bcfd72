package client

import (
	"crypto/tls"
	"time"
)

// Defaults of Options.
const (
	DefaultDialTimeout = 30 * time.Second
	// DefaultMaxAnswerBytes holds a JSON answer with the largest value, base64 and escapes.
	DefaultMaxAnswerBytes = 4 << 30
)

// Options say how to reach nodes. The zero Options fit a cluster without a password
// and TLS.
type Options struct {
	// Password of the cluster, empty for none.
	Password string
	// TLS is what to trust and which certificate to show. Over HTTP it is used for
	// endpoints with https://, where nil trusts what the system trusts. Over the Redis
	// protocol nil is a connection without TLS. ServerName is filled in.
	TLS *tls.Config
	// Timeout bounds each attempt over HTTP with the reading of its answer, and over
	// the Redis protocol each exchange, or each Send and each Receive. 0: only the
	// context does. It should be longer than the nodes' own, so that they can say what
	// happened.
	Timeout time.Duration
	// DialTimeout bounds the making of a connection; 0: DefaultDialTimeout.
	DialTimeout time.Duration

	// Over HTTP: MaxAnswerBytes bounds answers that are read whole (0:
	// DefaultMaxAnswerBytes), MaxConns the connections to one node (0: no bound).
	MaxAnswerBytes int64
	MaxConns       int

	// Over the Redis protocol: Version 2 or 3 is asked for with HELLO; 0: what the
	// node begins with, version 2.
	Version int
}

func (o Options) withDefaults() Options {
	if o.DialTimeout <= 0 {
		o.DialTimeout = DefaultDialTimeout
	}
	if o.MaxAnswerBytes <= 0 {
		o.MaxAnswerBytes = DefaultMaxAnswerBytes
	}
	return o
}
