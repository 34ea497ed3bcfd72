package transport

import (
	"container/list"
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// MaxStrangers is how many connections to the listener may be without a welcome. A
	// handshake takes milliseconds, so peers are rarely in each other's way; further ones
	// wait to be accepted.
	MaxStrangers = 64
	// strangerTime is what a stranger has for itself. After it, it makes room for the next;
	// if there is none, it has until handshakeTimeout.
	strangerTime = 500 * time.Millisecond
)

// strangers are the connections that have yet to show that they are a peer's.
type strangers struct {
	mu   sync.Mutex
	list list.List     // guarded by mu; of *stranger, the oldest first
	left chan struct{} // wakes enter

	displaced atomic.Int64
}

type stranger struct {
	nc    net.Conn
	since time.Time
	place *list.Element // guarded by strangers.mu; nil: not counted any more
}

func newStrangers() *strangers { return &strangers{left: make(chan struct{}, 1)} }

// enter counts a connection, as soon as there is room. Nil: ctx has ended.
func (s *strangers) enter(ctx context.Context, nc net.Conn) *stranger {
	for {
		st, wait := s.tryEnter(nc)
		if st != nil {
			return st
		}
		timer := time.NewTimer(wait)
		select {
		case <-s.left:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return nil
		}
	}
}

// tryEnter returns how long to wait when there is no room.
func (s *strangers) tryEnter(nc net.Conn) (*stranger, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.list.Len() >= MaxStrangers {
		oldest := s.list.Front().Value.(*stranger)
		if age := now.Sub(oldest.since); age < strangerTime {
			return nil, strangerTime - age
		}
		s.remove(oldest)
		s.displaced.Add(1)
		_ = oldest.nc.Close()
	}
	st := &stranger{nc: nc, since: now}
	st.place = s.list.PushBack(st)
	return st, 0
}

// leave follows the handshake, whatever came of it.
func (s *strangers) leave(st *stranger) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(st)
	select {
	case s.left <- struct{}{}:
	default:
	}
}

func (s *strangers) remove(st *stranger) {
	if st.place != nil {
		s.list.Remove(st.place)
		st.place = nil
	}
}

// Displaced counts the connections that had not finished their handshake when others
// wanted in.
func (t *Transport) Displaced() int64 { return t.strangers.displaced.Load() }

// Strangers may come as often as they like; the log must not grow with them.
const (
	refusalsTold  = 20 // in each period
	refusalPeriod = 10 * time.Second
)

// refusalLog bounds the lines about refused connections.
type refusalLog struct {
	mu       sync.Mutex
	began    time.Time // guarded by mu; of the period
	told     int       // guarded by mu; in it
	withheld int       // guarded by mu; since the last line
}

// may reports whether to write a line, and how many were withheld before it.
func (l *refusalLog) may(now time.Time) (withheld int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.began) >= refusalPeriod {
		l.began, l.told = now, 0
	}
	if l.told == refusalsTold {
		l.withheld++
		return 0, false
	}
	l.told++
	withheld, l.withheld = l.withheld, 0
	return withheld, true
}

func (t *Transport) tellRefusal(nc net.Conn, peer string, err error) {
	withheld, ok := t.refusals.may(time.Now())
	if !ok {
		return
	}
	attrs := []slog.Attr{slog.String("remote", nc.RemoteAddr().String()), slog.String("peer", peer), slog.Any("error", err)}
	if withheld > 0 {
		attrs = append(attrs, slog.Int("not_told_before", withheld))
	}
	t.log.LogAttrs(t.ctx, levelOf(err), "connection refused", attrs...)
}
