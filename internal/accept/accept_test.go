package accept

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// short is a listener that has run out of something.
type short struct {
	net.Listener
	left  atomic.Int64 // failures to come; negative: for ever
	cause syscall.Errno
}

func (s *short) Accept() (net.Conn, error) {
	if left := s.left.Load(); left != 0 {
		s.left.CompareAndSwap(left, max(left-1, -1))
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", s.cause)}
	}
	return s.Listener.Accept()
}

func listen(t *testing.T, failures int64, cause syscall.Errno) (*short, *Listener, *strings.Builder) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &short{Listener: inner, cause: cause}
	s.left.Store(failures)
	var log strings.Builder
	l := New(s, "test", slog.New(slog.NewTextHandler(&log, nil)))
	t.Cleanup(func() { l.Close() })
	return s, l, &log
}

// Whatever is short, the connection that waited comes in once it is there again, and the
// log has one line for the pause and one for its end.
func TestAcceptGoesOn(t *testing.T) {
	for _, cause := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EPERM} {
		_, l, log := listen(t, 3, cause)
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		in, err := l.Accept()
		if err != nil {
			t.Fatalf("%v ended the listener: %v", cause, err)
		}
		in.Close()
		if l.Failures() != 3 || l.Paused() {
			t.Errorf("%v: %d failures, paused %v", cause, l.Failures(), l.Paused())
		}
		if got := strings.Count(log.String(), "\n"); got != 2 {
			t.Errorf("%v: %d lines in the log:\n%s", cause, got, log)
		}
	}
}

// Close does not wait for descriptors.
func TestCloseEndsAPause(t *testing.T) {
	_, l, _ := listen(t, -1, syscall.EMFILE)
	done := make(chan error, 1)
	go func() {
		_, err := l.Accept()
		done <- err
	}()
	for deadline := time.Now().Add(time.Minute); !l.Paused(); {
		if time.Now().After(deadline) {
			t.Fatal("it does not pause")
		}
	}
	l.Close()
	select {
	case err := <-done:
		if err == nil || errors.Is(err, syscall.EINVAL) {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("Accept goes on after Close")
	}
}
