package procs

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
)

// Ports are ports on loopback that are this program's until it lets them go or ends, though nobody need listen on them
// all the time: a node that restarts must find its own free. Programs that take their ports by this type, such as the
// tests of several packages, do not take each other's. The sign is the UDP port of the same number, which nodes do not
// use: the system gives it to one process, and takes it back whatever becomes of that.
//
// They are also none that the system gives to outgoing connections.
type Ports struct {
	signs []net.PacketConn
}

// Close lets the ports go.
func (p *Ports) Close() {
	for _, sign := range p.signs {
		sign.Close()
	}
	p.signs = nil
}

// Addrs takes so many ports, on which nobody listens, and returns their addresses.
func (p *Ports) Addrs(n int) ([]string, error) {
	var addrs []string
	from, to := localPorts()
	for range 1000 {
		port := from + rand.IntN(to-from)
		if !p.take(port) {
			continue
		}
		if addrs = append(addrs, loopback(port)); len(addrs) == n {
			return addrs, nil
		}
	}
	return nil, errors.New("no free ports")
}

// Offset takes the ports that are so far from each of bases, for programs that count their ports from bases.
func (p *Ports) Offset(bases []int) (offset int, err error) {
	from, to := localPorts()
	low, high := slices.Min(bases), slices.Max(bases)
	if to-from <= high-low {
		return 0, errors.New("too few ports")
	}
	for range 1000 {
		offset = from - low + rand.IntN(to-from-(high-low))
		var all Ports
		if offset >= 0 && !slices.ContainsFunc(bases, func(base int) bool { return !all.take(base + offset) }) {
			p.signs = append(p.signs, all.signs...)
			return offset, nil
		}
		all.Close()
	}
	return 0, errors.New("no free ports")
}

// take takes a port if nobody has it and nobody listens on it.
func (p *Ports) take(port int) bool {
	sign, err := net.ListenPacket("udp", loopback(port))
	if err != nil {
		return false
	}
	l, err := net.Listen("tcp", loopback(port))
	if err != nil {
		sign.Close()
		return false
	}
	l.Close()
	p.signs = append(p.signs, sign)
	return true
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// localPorts are ports that the system does not give to outgoing connections: from, and before to.
func localPorts() (from, to int) {
	const usual, many = 20000, 12000 // below Linux's 32768
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	var first, last int
	if err == nil {
		_, err = fmt.Sscan(string(text), &first, &last)
	}
	switch {
	case err != nil || first >= usual+many || last < usual:
		return usual, usual + many
	case first > 2*1024+1000:
		return max(2*1024, first-many), first
	case last < 65536-1000:
		return last + 1, min(65536, last+1+many)
	}
	return usual, usual + many // there are no others
}
