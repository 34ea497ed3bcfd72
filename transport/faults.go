package transport

// Direction tells from this node's view which way bytes travel.
type Direction uint8

const (
	Inbound  Direction = 1 << iota // from the peer to this node
	Outbound                       // from this node to the peer
	Both     = Inbound | Outbound
)

// Fault is what happens to the traffic with a peer.
type Fault uint8

const (
	// Healthy lets everything through.
	Healthy Fault = iota
	// Drop holds bytes back while connections stay, as a cable that was cut.
	Drop
	// Refuse breaks connections and refuses new ones, as a firewall that
	// answers or a process that died.
	Refuse
)
