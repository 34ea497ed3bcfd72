// Package accept keeps listeners going. When connections cannot be accepted, since
// descriptors or memory have run out, accepting pauses and is tried again: what ends a
// listener is Close alone.
package accept

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	firstPause = 5 * time.Millisecond
	lastPause  = time.Second
)

// Listener is a net.Listener whose Accept fails only once it is closed.
type Listener struct {
	net.Listener
	name     string
	log      *slog.Logger
	failures atomic.Int64
	paused   atomic.Bool
	closing  sync.Once
	closed   chan struct{}
}

// New returns a Listener that tells in the log, under its name, when it pauses and when
// it goes on.
func New(l net.Listener, name string, log *slog.Logger) *Listener {
	return &Listener{Listener: l, name: name, log: log, closed: make(chan struct{})}
}

// Accept waits for the next connection, through any number of failures.
func (l *Listener) Accept() (net.Conn, error) {
	var wait time.Duration
	for {
		c, err := l.Listener.Accept()
		if err == nil {
			l.resumed()
			return c, nil
		}
		if errors.Is(err, net.ErrClosed) || l.isClosed() {
			return nil, err
		}
		l.failed(err)
		wait = min(max(2*wait, firstPause), lastPause)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-l.closed:
			timer.Stop()
			return nil, net.ErrClosed
		}
	}
}

// Close ends the listener, also while it pauses.
func (l *Listener) Close() error {
	l.closing.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// Failures counts the times that accepting has failed.
func (l *Listener) Failures() int64 { return l.failures.Load() }

// Paused reports whether accepting failed the last time.
func (l *Listener) Paused() bool { return l.paused.Load() }

func (l *Listener) isClosed() bool {
	select {
	case <-l.closed:
		return true
	default:
		return false
	}
}

// failed tells of a pause once, however long it lasts.
func (l *Listener) failed(err error) {
	l.failures.Add(1)
	if !l.paused.Swap(true) {
		l.log.Error("no connection can be accepted, trying again until it works", "listener", l.name, "error", err)
	}
}

func (l *Listener) resumed() {
	if l.paused.Swap(false) {
		l.log.Info("connections are accepted again", "listener", l.name, "failures", l.failures.Load())
	}
}
