package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/lockstepkv/lockstep/internal/procs"
	"github.com/lockstepkv/lockstep/jepsen/faultfs"
)

// Password is what clients of the nodes must give: nodes insist on one when they
// listen elsewhere than on loopback.
const Password = "jepsen"

// Options of a cluster.
type Options struct {
	Binary string // what the nodes run
	Dir    string // for data and logs
	Nodes  int
	Shards int
	Flags  []string // for `lockstep serve` on every node
	Env    []string
	Disks  bool // the nodes' data is on disks that can fail

	Network string // one of the kinds of networks
}

// Cluster is a set of nodes on a network of their own.
type Cluster struct {
	Net    Network
	Nodes  []*Node
	Shards int

	ports procs.Ports
}

// New prepares a cluster and starts no node. Close removes its network.
func New(o Options) (*Cluster, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	// Nodes run in dir, where a relative path would mean something else.
	if o.Binary, err = filepath.Abs(o.Binary); err != nil {
		return nil, err
	}
	if _, err := os.Stat(o.Binary); err != nil {
		return nil, err
	}
	if CanFailDisks() {
		if err := faultfs.RemoveStale(); err != nil {
			return nil, err
		}
	}
	network, err := NewNetwork(o.Network, filepath.Join(dir, "data"), o.Nodes)
	if err != nil {
		return nil, err
	}
	c := &Cluster{Net: network, Shards: max(o.Shards, 1)}
	err = c.prepare(o, dir)
	for _, n := range c.Nodes {
		if err == nil && o.Disks {
			err = n.mountDisk()
		}
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Cluster) prepare(o Options, dir string) error {
	ports, err := c.takePorts(c.Net, o.Nodes)
	if err != nil {
		return err
	}
	var members []string
	for i := range o.Nodes {
		addr := func(port int) string { return fmt.Sprintf("%s:%d", c.Net.Host(i), port) }
		id := nodeID(i)
		n := &Node{
			Node:  procs.Node{ID: id, DataDir: filepath.Join(dir, "data", id), HTTP: addr(ports[i][0]), RESP: addr(ports[i][1]), Peer: addr(ports[i][2])},
			Index: i, LogFile: filepath.Join(dir, id+".log"), ClockFile: filepath.Join(dir, "data", id+".clock"),
		}
		n.admin = newAdmin(n.HTTP)
		members = append(members, n.Member())
		c.Nodes = append(c.Nodes, n)
	}
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o700); err != nil {
		return err
	}
	for _, n := range c.Nodes {
		args := append(n.ServeArgs(), "--insecure-peers", "--shards", fmt.Sprint(c.Shards), "--redirect", "forward")
		if o.Nodes > 1 {
			args = append(args, "--initial-cluster", strings.Join(members, ","))
		}
		args = append(args, o.Flags...)
		n.command = func() *exec.Cmd {
			cmd := c.Net.Command(n.Index, o.Binary, args...)
			cmd.Dir = dir
			cmd.Env = append(append(procs.CleanEnv(), c.Net.Env(n.Index)...), append([]string{"LOCKSTEP_HARNESS_CLOCK=" + n.ClockFile, "LOCKSTEP_REQUIREPASS=" + Password}, o.Env...)...)
			return cmd
		}
	}
	return nil
}

// Start starts every node that is down.
func (c *Cluster) Start() error {
	var errs []error
	for _, n := range c.Nodes {
		errs = append(errs, n.Start())
	}
	return errors.Join(errs...)
}

// Heal ends every fault: nodes resumed and started, network whole, clocks right.
func (c *Cluster) Heal() error {
	errs := []error{c.Net.Apply(Rules{})}
	for _, n := range c.Nodes {
		if n.Disk != nil {
			n.Disk.Set(faultfs.Trouble{})
		}
		errs = append(errs, n.Resume(), n.Start())
		if _, err := os.Stat(n.ClockFile); err == nil {
			errs = append(errs, n.SetClock(0, 1))
		}
	}
	return errors.Join(errs...)
}

// Close ends the nodes and removes the network.
func (c *Cluster) Close() error {
	var errs []error
	for _, n := range c.Nodes {
		errs = append(errs, n.close())
	}
	c.ports.Close()
	return errors.Join(append(errs, c.Net.Close())...)
}

// Leader returns the node that leads a shard: of those that say so of themselves
// the one with the highest term.
func (c *Cluster) Leader(ctx context.Context, shard int) (*Node, error) {
	var leader *Node
	var term uint64
	for _, n := range c.Nodes {
		if n.State() != Up {
			continue
		}
		v, err := n.View(ctx)
		if err != nil || shard >= len(v.Shards) {
			continue
		}
		if s := v.Shards[shard]; s.Leader == n.ID && s.Term >= term {
			leader, term = n, s.Term
		}
	}
	if leader == nil {
		return nil, fmt.Errorf("shard %d has no leader", shard)
	}
	return leader, nil
}

// Others returns all nodes but n.
func (c *Cluster) Others(n *Node) []*Node {
	return slices.DeleteFunc(slices.Clone(c.Nodes), func(o *Node) bool { return o == n })
}

// WaitWhole waits until every node is ready and all name the same leaders.
func (c *Cluster) WaitWhole(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return procs.Poll(ctx, 50*time.Millisecond, func() error {
		var first []string
		for i, n := range c.Nodes {
			if e := n.unexpected(); e != nil && e.Code == exitUsage {
				return fmt.Errorf("%w: the node refuses its settings: see %s", procs.ErrGiveUp, n.LogFile)
			}
			if err := n.Ready(ctx); err != nil {
				return fmt.Errorf("%s: %w", n.ID, err)
			}
			v, err := n.View(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", n.ID, err)
			}
			var leaders []string
			for _, s := range v.Shards {
				leaders = append(leaders, s.Leader)
			}
			if i == 0 {
				first = leaders
			}
			if !slices.Equal(first, leaders) || slices.Contains(leaders, "") {
				return fmt.Errorf("leaders by %s are %v, by %s %v", c.Nodes[0].ID, first, n.ID, leaders)
			}
		}
		return nil
	})
}

// Agree waits until all replicas of each shard are at the same index, and
// compares them there: replica agreement.
func (c *Cluster) Agree(ctx context.Context, patience time.Duration) ([][]Digest, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var all [][]Digest
	err := procs.Poll(ctx, 50*time.Millisecond, func() error {
		all = nil
		for shard := range c.Shards {
			digests, err := c.digests(ctx, shard)
			if err != nil {
				return err
			}
			all = append(all, digests)
			for _, d := range digests {
				if d.Index != digests[0].Index {
					return fmt.Errorf("shard %d: replicas at different indexes: %v", shard, digests)
				}
			}
		}
		return nil
	})
	if err != nil {
		return all, err
	}
	for shard, digests := range all {
		for i, d := range digests {
			if d != digests[0] {
				err = errors.Join(err, fmt.Errorf("%w: shard %d at index %d: %s has %v, %s has %v", ErrDiverged,
					shard, d.Index, c.Nodes[0].ID, digests[0], c.Nodes[i].ID, d))
			}
		}
	}
	return all, err
}

// Sentence says that replicas agree.
func Sentence(digests [][]Digest) string {
	var list []string
	for shard, replicas := range digests {
		if len(replicas) > 0 {
			list = append(list, fmt.Sprintf("the %d replicas of shard %d are equal at index %d, with %d keys", len(replicas), shard, replicas[0].Index, replicas[0].Keys))
		}
	}
	return strings.Join(list, "; ")
}

// ErrDiverged is returned when replicas at the same index differ.
var ErrDiverged = errors.New("replicas differ")

func (c *Cluster) digests(ctx context.Context, shard int) ([]Digest, error) {
	var out []Digest
	for _, n := range c.Nodes {
		d, err := n.Digest(ctx, shard)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", n.ID, err)
		}
		out = append(out, d)
	}
	return out, nil
}
