package cluster

import (
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
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
	// Host is the address of a node.
	Host(node int) string
	// Command prepares a program to run at a node's place in the network.
	Command(node int, program string, args ...string) *exec.Cmd
	// OwnPorts reports whether every node has all ports to itself.
	OwnPorts() bool
	// Env is what a node's process needs to know of the network.
	Env(node int) []string
	// Apply replaces the rules; the zero Rules heal everything.
	Apply(Rules) error
	// Dropped returns how many packets the present rules have dropped or held up;
	// Pair.From is Everybody for those lost at random.
	Dropped() (map[Pair]int64, error)
	Close() error
}

// Everybody stands for all senders.
const Everybody = -1

// ErrNoLoss is returned where the nodes share one network.
var ErrNoLoss = errors.New("loss of packets needs network namespaces: run as root on Linux with the programs ip and nft")

// Kinds of networks.
const (
	AutoNetwork = "auto" // namespaces where they are to be had, else the seam
	Namespaces  = "namespaces"
	Seam        = "seam"
)

// ChooseNetwork returns what kind of network there will be here.
func ChooseNetwork(want string) (string, error) {
	switch want {
	case AutoNetwork, "":
		if namespacesPossible() {
			return Namespaces, nil
		}
		return Seam, nil
	case Namespaces:
		if !namespacesPossible() {
			return "", errors.New("there can be no network namespaces here: run as root on Linux with the programs ip and nft")
		}
		return want, nil
	case Seam:
		return want, nil
	}
	return "", fmt.Errorf("no network %q; there are %s, %s, %s", want, AutoNetwork, Namespaces, Seam)
}

// NewNetwork returns a network of a kind. dir is for files by which the harness
// tells nodes what to do.
func NewNetwork(kind, dir string, nodes int) (Network, error) {
	kind, err := ChooseNetwork(kind)
	if err != nil {
		return nil, err
	}
	if kind == Namespaces {
		return newNamespaces(nodes)
	}
	return newSeam(dir, nodes), nil
}

// takePorts returns three ports per node: fixed ones where each node has an address
// of its own, else the cluster's until it is closed: a node that restarts finds them free.
func (c *Cluster) takePorts(n Network, nodes int) ([][3]int, error) {
	out := make([][3]int, nodes)
	if n.OwnPorts() {
		for i := range out {
			out[i] = [3]int{8001, 7001, 9001}
		}
		return out, nil
	}
	free, err := c.ports.Addrs(3 * nodes)
	if err != nil {
		return nil, err
	}
	for i, addr := range free {
		_, port, _ := strings.Cut(addr, ":")
		if out[i/3][i%3], err = strconv.Atoi(port); err != nil {
			return nil, err
		}
	}
	return out, nil
}
