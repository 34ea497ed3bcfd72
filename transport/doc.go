// Package transport joins the nodes of a cluster: one TCP listener per node
// carries the Raft traffic of every group and the calls between nodes.
//
// # Connections
//
// Each connection begins with a preamble that names the format version, the
// cluster, the sender, the receiver and what the connection is for. A node
// refuses a stranger (another cluster, a node it was not told of, a format it
// does not know) by name, on both ends' logs and in the caller's error. With
// Options.TLS all of it runs inside mutual TLS.
//
// # Calls
//
// Call sends a request to a peer's Handler and waits for the reply. Calls are
// multiplexed over four connections per peer and direction: one for methods
// whose handlers never block (see HandleInline), one for the rest, one for
// messages above 256 KiB in either direction, which would delay others, and one
// for requests above 2 MiB.
// An error of Call is one of three kinds and never mistaken for another:
// ErrNotSent (no handler has seen the request), *RemoteError (the handler's
// own error), ErrInDoubt (the handler may have run).
//
// # Dead peers
//
// Connections are kept up in the background and probed every 250 ms. A peer
// that refuses or resets is known to be down at once, one that falls silent
// after 1.5 s; calls in flight then fail in doubt, and new ones fail
// immediately with ErrNotSent until it is back.
//
// # Raft
//
// Group is the raft.Transport of one Raft group, see its comment. Peers are
// addressed by node id throughout (raft.ServerAddress = raft.ServerID = node
// id), so that a node may move to another address.
//
// # Limits
//
// Delivery is at most once and calls are not ordered among each other. A
// message is at most 1 GiB. With TLS a certificate stands for the nodes whose
// host or id it names, or for all if it has one of Options.TLSNames.
package transport
