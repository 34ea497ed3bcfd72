package respapi

import (
	"net"
	"time"
)

// source is the connection as the Reader sees it.
type source struct{ c *conn }

func (s source) Read(p []byte) (int, error) {
	c := s.c
	phase := phaseWait
	if c.r.Partial() {
		phase = phaseRead
	}
	c.noteMemory(0, 0)
	c.since.Store(c.srv.ticks.Load())
	c.phase.Store(phase)
	n, err := c.nc.Read(p)
	c.phase.Store(phaseRun)
	c.bytesIn += int64(n)
	return n, err
}

// keepAlive has the kernel find out that a silent client is gone. The pauses
// are Redis's: a third of the interval between three probes.
func keepAlive(nc net.Conn, idle time.Duration) {
	if wrapped, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc = wrapped.NetConn()
	}
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return
	}
	_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{
		Enable: idle > 0, Idle: idle, Interval: max(idle/3, time.Second), Count: 3,
	})
}
