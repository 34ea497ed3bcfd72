package cluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
)

// Pair is a direction between two nodes, by their indexes.
type Pair struct{ From, To int }

// Rules say what the network drops.
type Rules struct {
	Cut         map[Pair]bool
	LossPercent int // of all packets that reach a node, those of clients included
}

// Network connects the nodes with each other and with the clients.
type Network interface {
	Kind() string
	// Partitions reports whether Apply works.
	Partitions() bool
	// Host is the address of a node.
	Host(node int) string
	// Command prepares a program to run at a node's place in the network.
	Command(node int, program string, args ...string) *exec.Cmd
	// Apply replaces the rules; the zero Rules heal everything.
	Apply(Rules) error
	// Dropped returns how many packets the present rules have dropped; Pair.From
	// is Everybody for those lost at random.
	Dropped() (map[Pair]int64, error)
	Close() error
}

// Everybody stands for all senders.
const Everybody = -1

// ErrNoPartitions is returned where the nodes share one network.
var ErrNoPartitions = errors.New("partitions need network namespaces: run as root on Linux with the programs ip and nft")

// CanPartition reports whether there can be namespaces here.
func CanPartition() bool { return namespacesPossible() }

// NewNetwork returns namespaces where they are to be had, else loopback.
func NewNetwork(nodes int) (Network, error) {
	if namespacesPossible() {
		return newNamespaces(nodes)
	}
	return loopback{}, nil
}

// loopback is the machine's own network.
type loopback struct{}

func (loopback) Kind() string {
	return "loopback, without namespaces: faults of processes and disks only"
}
func (loopback) Partitions() bool { return false }
func (loopback) Host(int) string  { return "127.0.0.1" }
func (loopback) Close() error     { return nil }

func (loopback) Command(_ int, program string, args ...string) *exec.Cmd {
	return exec.Command(program, args...)
}

func (loopback) Apply(r Rules) error {
	if len(r.Cut) == 0 && r.LossPercent == 0 {
		return nil
	}
	return ErrNoPartitions
}

func (loopback) Dropped() (map[Pair]int64, error) { return nil, ErrNoPartitions }

// ports returns three ports per node: fixed ones where each node has an address
// of its own, else free ones below those that the system gives to outgoing
// connections, so that a node that restarts finds them free.
func ports(n Network, nodes int) ([][3]int, error) {
	out := make([][3]int, nodes)
	if n.Partitions() {
		for i := range out {
			out[i] = [3]int{8001, 7001, 9001}
		}
		return out, nil
	}
	var free []int
	for tries := 0; len(free) < 3*nodes; tries++ {
		if tries == 1000 {
			return nil, errors.New("no free ports")
		}
		port := 20000 + rand.IntN(12000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		defer l.Close() // all are held until all are found
		free = append(free, port)
	}
	for i := range out {
		out[i] = [3]int(free[3*i : 3*i+3])
	}
	return out, nil
}
