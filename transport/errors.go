package transport

import (
	"errors"
	"fmt"
)

var (
	// ErrNotSent means that no handler has seen the request, nor will: it is
	// safe to send it again, here or elsewhere.
	ErrNotSent = errors.New("request not sent")

	// ErrInDoubt means that the request may have been handled, but its reply
	// did not arrive.
	ErrInDoubt = errors.New("outcome unknown")

	// ErrClosed means that this node's transport, or the Raft group, is closed.
	ErrClosed = errors.New("transport closed")

	// ErrUnknownPeer means that a node is not among Options.Peers.
	ErrUnknownPeer = errors.New("unknown node")

	// ErrPeerDown means that there is no connection to a peer right now.
	ErrPeerDown = errors.New("node is not connected")

	// ErrSilent means that a peer left probes or requests unanswered.
	ErrSilent = errors.New("node does not answer")

	// ErrQuarantined refuses elections on a node that lost its log. Its text
	// must not contain "unexpected command", which the Raft library takes for
	// a granted pre-vote.
	ErrQuarantined = errors.New("node lost its log and takes no part in elections until it is repaired")
)

// Reasons for refusing a connection. They reach the log of both ends and the
// error of whoever calls the peer.
var (
	ErrWrongVersion = errors.New("peer speaks another format version")
	ErrWrongCluster = errors.New("peer belongs to another cluster")
	ErrWrongNode    = errors.New("another node answers at this address")
	ErrUnknownGroup = errors.New("peer does not serve this Raft group")
	ErrRefused      = errors.New("peer refuses this node; the peer's own log says why")
	ErrSecret       = errors.New("no proof of a common cluster secret")
	ErrNotLockstep  = errors.New("peer does not speak Lockstep's peer protocol")
)

// RemoteError is the error that a peer's handler returned.
type RemoteError struct {
	Peer   string
	Method Method
	Text   string
}

func (e *RemoteError) Error() string {
	return fmt.Sprintf("node %s: %s", e.Peer, e.Text)
}
