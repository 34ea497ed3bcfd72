package cluster

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// device is the name of a node's interface within its namespace.
const device = "eth0"

func namespacesPossible() bool {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		return false
	}
	for _, program := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(program); err != nil {
			return false
		}
	}
	// In a container root may not be allowed to.
	probe := fmt.Sprintf("lsj%d-probe", os.Getpid())
	if run("ip", "netns", "add", probe) != nil {
		return false
	}
	return run("ip", "netns", "del", probe) == nil
}

// namespaces gives each node a network namespace on a common bridge.
type namespaces struct {
	prefix string // of all names
	net24  [3]byte
	nodes  int
}

func newNamespaces(nodes int) (_ *namespaces, err error) {
	// Two harnesses that begin together would find the same subnet free, and
	// the one would remove what the other is removing.
	unlock, err := lockSetup()
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := removeStale(); err != nil {
		return nil, err
	}
	n := &namespaces{prefix: fmt.Sprintf("lsj%d", os.Getpid()), nodes: nodes}
	if n.net24, err = freeSubnet(); err != nil {
		return nil, err
	}
	if err := n.create(); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// setupLock is held by the one harness of the machine that makes namespaces.
const setupLock = "/run/lockstep-jepsen.lock"

func lockSetup() (unlock func(), err error) {
	f, err := os.OpenFile(setupLock, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", setupLock, err)
	}
	return func() { f.Close() }, nil // the kernel's lock goes with the file
}

func (n *namespaces) bridge() string        { return n.prefix + "b" }
func (n *namespaces) space(node int) string { return fmt.Sprintf("%s-n%d", n.prefix, node+1) }
func (n *namespaces) addr(last int) string {
	return fmt.Sprintf("%d.%d.%d.%d", n.net24[0], n.net24[1], n.net24[2], last)
}

func (n *namespaces) create() error {
	steps := [][]string{
		{"link", "add", n.bridge(), "type", "bridge"},
		{"addr", "add", n.addr(254) + "/24", "dev", n.bridge()},
		{"link", "set", n.bridge(), "up"},
	}
	for i := range n.nodes {
		space, outer, inner := n.space(i), fmt.Sprintf("%sv%d", n.prefix, i+1), fmt.Sprintf("%sw%d", n.prefix, i+1)
		steps = append(steps,
			[]string{"netns", "add", space},
			[]string{"link", "add", outer, "type", "veth", "peer", "name", inner},
			[]string{"link", "set", inner, "netns", space, "name", device},
			[]string{"link", "set", outer, "master", n.bridge(), "up"},
			[]string{"-n", space, "link", "set", "lo", "up"},
			[]string{"-n", space, "addr", "add", n.Host(i) + "/24", "dev", device},
			[]string{"-n", space, "link", "set", device, "up"},
		)
	}
	for _, step := range steps {
		if err := run("ip", step...); err != nil {
			return err
		}
	}
	return n.Apply(Rules{})
}

func (n *namespaces) Kind() string {
	return fmt.Sprintf("network namespaces %s to %s on bridge %s, %s/24", n.space(0), n.space(n.nodes-1), n.bridge(), n.addr(0))
}
func (n *namespaces) OwnPorts() bool       { return true }
func (n *namespaces) Env(int) []string     { return nil }
func (n *namespaces) Host(node int) string { return n.addr(node + 1) }

// Command implements Network. ip replaces itself by the program, so the process
// is the program's.
func (n *namespaces) Command(node int, program string, args ...string) *exec.Cmd {
	// Not "ip netns exec": that gives the program mounts of its own too, which keep
	// disks of other nodes busy when they are to be taken away.
	return exec.Command("nsenter", append([]string{"--net=/run/netns/" + n.space(node), "--", program}, args...)...)
}

// Close removes everything; a veth pair goes with its namespace.
func (n *namespaces) Close() error {
	return removeNamed(func(name string) bool { return name == n.prefix })
}

var ourName = regexp.MustCompile(`^(lsj(\d+))(b|v\d+|-n\d+|-probe)$`)

// removeStale removes what harnesses that no longer run have left.
func removeStale() error {
	return removeNamed(func(prefix string) bool {
		pid, err := strconv.Atoi(strings.TrimPrefix(prefix, "lsj"))
		return err == nil && (pid == os.Getpid() || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH))
	})
}

// removeNamed deletes the namespaces and links whose prefix is wanted gone.
func removeNamed(gone func(prefix string) bool) error {
	var errs []error
	spaces, err := os.ReadDir("/run/netns")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		errs = append(errs, err)
	}
	for _, e := range spaces {
		if m := ourName.FindStringSubmatch(e.Name()); m != nil && gone(m[1]) {
			errs = append(errs, run("ip", "netns", "del", e.Name()))
		}
	}
	links, err := net.Interfaces()
	errs = append(errs, err)
	for _, l := range links {
		if m := ourName.FindStringSubmatch(l.Name); m != nil && gone(m[1]) {
			// A veth end may just be vanishing with its namespace.
			if err := run("ip", "link", "del", l.Name); err != nil && m[3] == "b" {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// freeSubnet returns a /24 of the private space in which this machine has no
// address and to which it has no route of its own.
func freeSubnet() ([3]byte, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return [3]byte{}, err
	}
	start := os.Getpid()
	for i := range 200 {
		third := byte((start + i) % 250)
		want := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 213, third, 0}), 24)
		taken := false
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Overlaps(want) && p.Bits() > 0 {
				taken = true
			}
		}
		if !taken {
			return [3]byte{10, 213, third}, nil
		}
	}
	return [3]byte{}, errors.New("no free subnet in 10.213.0.0/16")
}

func run(program string, args ...string) error {
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
