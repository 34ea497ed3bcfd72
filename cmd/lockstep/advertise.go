package main

import (
	"fmt"
	"net"
)

// advertiseValue is a host:port that others reach this node by; empty: not given.
type advertiseValue string

func (v *advertiseValue) Set(s string) error {
	if s != "" {
		if err := checkAddr(s); err != nil {
			return err
		}
		if isWildcard(s) {
			return fmt.Errorf("%q stands for every address of a machine: name one by which others reach this node", s)
		}
	}
	*v = advertiseValue(s)
	return nil
}

func (v *advertiseValue) String() string { return string(*v) }
func (*advertiseValue) Type() string     { return "host:port" }

// isWildcard reports whether addr stands for every address of a machine.
func isWildcard(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

// checkAdvertised looks at what others are to dial: the members, and --advertise-peer.
func (c Config) checkAdvertised() error {
	if len(c.Node.Members) > 1 {
		for _, m := range c.Node.Members {
			if isWildcard(m.PeerAddr) {
				return mistake("initial-cluster", "%s=%s stands for every address of a machine: the other nodes cannot reach it", m.ID, m.PeerAddr)
			}
		}
	}
	entry, listed := c.Node.MemberMap()[c.Node.ID]
	if told := c.Advertise.Peer; listed && told != "" && told != entry {
		return mistake("advertise-peer", "%s is not %s's address in --initial-cluster, %s, which is what the other nodes use", told, c.Node.ID, entry)
	}
	return nil
}

// advertised returns the addresses that are told to clients and to the other nodes: what
// was given, else the listener's own, and where that is a wildcard the host of this node's
// entry in --initial-cluster. local names this machine when the entry is a wildcard too.
func (c Config) advertised(local func() string) ListenConfig {
	told := c.Advertise
	if told.Peer == "" {
		told.Peer = c.Node.MemberMap()[c.Node.ID]
	}
	if isWildcard(told.Peer) {
		told.Peer = net.JoinHostPort(local(), portOf(told.Peer))
	}
	host := hostOf(told.Peer)
	if len(c.Node.Members) <= 1 && isLoopback(told.Peer) {
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
			*a.told = net.JoinHostPort(host, portOf(a.listen))
		default:
			*a.told = a.listen
		}
	}
	return told
}

// localHost returns an address of this machine that others may reach, IPv4 before IPv6;
// if there is none, loopback.
func localHost() string {
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
