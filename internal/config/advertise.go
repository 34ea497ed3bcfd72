package config

import (
	"fmt"
	"net"
)

// checkAdvertised refuses what others cannot reach this node by.
func checkAdvertised(s string) error {
	if err := CheckAddr(s); err != nil {
		return err
	}
	if isWildcard(s) {
		return fmt.Errorf("%q stands for every address of a machine: name one by which others reach this node", s)
	}
	return nil
}

// isWildcard reports whether addr stands for every address of a machine.
func isWildcard(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

// checkPeers looks at what others are to dial: the members, and --advertise-peer.
func (c Config) checkPeers() error {
	if len(c.Node.Members) > 1 {
		for _, m := range c.Node.Members {
			if isWildcard(m.PeerAddr) {
				return Mistake("initial-cluster", "%s=%s stands for every address of a machine: the other nodes cannot reach it", m.ID, m.PeerAddr)
			}
		}
	}
	entry, listed := c.Node.MemberMap()[c.Node.ID]
	if told := c.Advertise.Peer; listed && told != "" && told != entry {
		return Mistake("advertise-peer", "%s is not %s's address in --initial-cluster, %s, which is what the other nodes use", told, c.Node.ID, entry)
	}
	return nil
}

// Advertised returns the addresses that are told to clients and to the other nodes: what
// was given, else the listener's own, and where that is a wildcard the host of this node's
// entry in --initial-cluster. local names this machine when the entry is a wildcard too.
func (c Config) Advertised(local func() string) Listen {
	told := c.Advertise
	if told.Peer == "" {
		told.Peer = c.Node.MemberMap()[c.Node.ID]
	}
	if isWildcard(told.Peer) {
		told.Peer = net.JoinHostPort(local(), PortOf(told.Peer))
	}
	host := HostOf(told.Peer)
	if len(c.Node.Members) <= 1 && IsLoopback(told.Peer) {
		host = "" // where nobody dials this node's peer address, it says nothing of where clients are
	}
	for _, a := range []struct {
		told   *string
		listen string
	}{{&told.HTTP, c.Listen.HTTP}, {&told.RESP, c.Listen.RESP}} {
		switch {
		case *a.told != "":
		case isWildcard(a.listen):
			if host == "" {
				host = local()
			}
			*a.told = net.JoinHostPort(host, PortOf(a.listen))
		default:
			*a.told = a.listen
		}
	}
	return told
}

// LocalHost returns an address of this machine that others may reach, IPv4 before IPv6;
// if there is none, loopback.
func LocalHost() string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return "127.0.0.1"
	}
	best := ""
	for _, a := range addrs {
		n, ok := a.(*net.IPNet)
		switch {
		case !ok || !n.IP.IsGlobalUnicast():
		case n.IP.To4() != nil:
			return n.IP.String()
		case best == "":
			best = n.IP.String()
		}
	}
	if best == "" {
		return "127.0.0.1"
	}
	return best
}

// PortOf is the port of a checked host:port.
func PortOf(addr string) string { _, port, _ := net.SplitHostPort(addr); return port }

// HostOf is the host of a checked host:port.
func HostOf(addr string) string { host, _, _ := net.SplitHostPort(addr); return host }
