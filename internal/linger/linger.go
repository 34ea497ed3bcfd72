// Package linger ends connections in such a way that the client reads the last answer. A
// socket that is closed while its client still sends resets the connection, and the client
// finds a broken pipe where the reason should be.
package linger

import (
	"io"
	"net"
	"time"
)

// step is how much must come within Bounds.Pause.
const step = 64 << 10

// Bounds are how much a client may send that nobody wants, and for how long.
type Bounds struct {
	Bytes        int64
	Pause, Total time.Duration
}

// Least are the bounds with as much time, if that is more.
func (b Bounds) Least(d time.Duration) Bounds {
	b.Pause, b.Total = max(b.Pause, d), max(b.Total, d)
	return b
}

// Client are the bounds of who may use the node: the largest value of any request passes.
func Client() Bounds { return Bounds{Bytes: 513 << 20, Pause: time.Second, Total: 30 * time.Second} }

// Stranger are those of anybody.
func Stranger() Bounds { return Bounds{Bytes: 64 << 20, Pause: time.Second, Total: time.Second} }

// End ends the node's direction of a connection, and throws away what the client still
// sends until it ends its own, a bound is reached or stop says so. It returns how much that
// was. The caller closes the connection.
func End(nc net.Conn, b Bounds, stop func() bool) (discarded int64) {
	half, ok := nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return 0
	}
	over := time.Now().Add(b.Total)
	for discarded < b.Bytes && !stop() {
		deadline := time.Now().Add(b.Pause)
		if deadline.After(over) {
			deadline = over
		}
		if nc.SetReadDeadline(deadline) != nil {
			return discarded
		}
		n, err := io.CopyN(io.Discard, nc, min(step, b.Bytes-discarded))
		discarded += n
		if err != nil {
			return discarded
		}
	}
	return discarded
}
