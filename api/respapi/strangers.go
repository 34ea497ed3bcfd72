package respapi

import (
	"crypto/tls"
	"time"
)

// A stranger is a connection that has yet to show a certificate or a password. It
// ends after Options.AuthTimeout, whatever it sends, and strangers cannot fill
// MaxClients: the oldest of them makes room for whoever comes.

// strangerShare is the part of MaxClients that strangers may take.
const strangerShare = 4

// encounter counts c among the strangers or takes it out. Only c's goroutine
// calls it, and admit before that runs.
func (s *Server) encounter(c *conn, stranger bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case stranger == (c.strange != nil) || s.conns == nil:
	case stranger:
		c.met = s.ticks.Load()
		c.strange = s.strangers.PushBack(c)
	default:
		s.strangers.Remove(c.strange)
		c.strange = nil
	}
}

// makeRoom ends the oldest stranger if there are as many as atLeast.
func (s *Server) makeRoom(atLeast int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.strangers.Len() < max(atLeast, 1) {
		return false
	}
	oldest := s.strangers.Remove(s.strangers.Front()).(*conn)
	oldest.strange = nil
	oldest.expel("it has not authenticated, and others want in")
	return true
}

// mayEnter decides about one more connection.
func (s *Server) mayEnter(maxClients int) bool {
	if maxClients <= 0 {
		return true
	}
	if s.opt.Backend.Clients() >= maxClients {
		return s.makeRoom(1)
	}
	s.makeRoom(max(maxClients/strangerShare, 1))
	return true
}

// greet does the handshake of TLS, for which a stranger has as much time as for
// its password.
func (c *conn) greet() error {
	secured, ok := c.nc.(*tls.Conn)
	if !ok {
		return nil
	}
	return secured.HandshakeContext(c.srv.ctx)
}

// late: a stranger's time is over. s.mu is held.
func (c *conn) late(now uint32, patience time.Duration) bool {
	return c.strange != nil && now-c.met >= c.srv.ticksOf(patience)
}
