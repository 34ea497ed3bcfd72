// Package hangup tells whether the other end of a connection has gone while nobody reads
// from it.
package hangup

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// Seen reports whether the peer has closed its end, or the connection is broken. The
// kernel is asked, also with bytes that are still to be read. A peer that only ended its
// own direction counts as gone, as a client does for Redis. It is false for what is no
// connection of the system.
func Seen(nc net.Conn) bool {
	if wrapped, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc = wrapped.NetConn()
	}
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return true // closed by us
	}
	gone := false
	err = raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(fds, 0)
		gone = err == nil && n > 0 && fds[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
	})
	return gone || err != nil
}
