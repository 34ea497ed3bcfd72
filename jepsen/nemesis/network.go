package nemesis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/cluster"
)

// cut is a set of directions; a partition of nodes cuts both between two.
type cut map[cluster.Pair]bool

func (c cut) oneWay(from, to *cluster.Node) { c[cluster.Pair{From: from.Index, To: to.Index}] = true }

func (c cut) between(a, b *cluster.Node) {
	c.oneWay(a, b)
	c.oneWay(b, a)
}

// partitionLeader cuts a leader off from everybody.
func partitionLeader(ctx context.Context, n *Nemesis, rng *rand.Rand) (string, healFunc, error) {
	c := cut{}
	leader, err := n.elected(ctx, rng)
	if err != nil {
		return "", nil, err
	}
	for _, o := range n.opt.Cluster.Others(leader) {
		c.between(leader, o)
	}
	return n.partition("alone: "+leader.ID, c)
}

// partitionHalves makes two groups that do not hear of each other.
func partitionHalves(_ context.Context, n *Nemesis, rng *rand.Rand) (string, healFunc, error) {
	c := cut{}
	mixed := n.some(rng, len(n.nodes))
	small, large := mixed[:len(mixed)/2], mixed[len(mixed)/2:]
	for _, a := range small {
		for _, b := range large {
			c.between(a, b)
		}
	}
	return n.partition(ids(small)+" | "+ids(large), c)
}

// partitionRing lets every node see a majority, and no two nodes the same one
// (with three nodes: one of the links is cut).
func partitionRing(_ context.Context, n *Nemesis, rng *rand.Rand) (string, healFunc, error) {
	c := cut{}
	ring := n.some(rng, len(n.nodes))
	if len(ring) == 3 {
		c.between(ring[0], ring[1])
		return n.partition("cut between "+ids(ring[:2]), c)
	}
	reach := len(ring) / 4 // neighbours on each side; the node itself makes it a majority
	for i, a := range ring {
		for d := reach + 1; d < len(ring)-reach; d++ {
			c.between(a, ring[(i+d)%len(ring)])
		}
	}
	return n.partition("ring "+ids(ring), c)
}

// partitionBridge makes two halves that only one node in the middle sees both of.
func partitionBridge(_ context.Context, n *Nemesis, rng *rand.Rand) (string, healFunc, error) {
	c := cut{}
	mixed := n.some(rng, len(n.nodes))
	bridge, rest := mixed[0], mixed[1:]
	left, right := rest[:len(rest)/2], rest[len(rest)/2:]
	for _, a := range left {
		for _, b := range right {
			c.between(a, b)
		}
	}
	return n.partition(fmt.Sprintf("%s - %s - %s", ids(left), bridge.ID, ids(right)), c)
}

// partitionOneWay lets a node be heard and not hear, or hear and not be heard.
func partitionOneWay(ctx context.Context, n *Nemesis, rng *rand.Rand) (string, healFunc, error) {
	c, node := cut{}, n.leader(ctx, rng)
	if rng.IntN(3) == 0 {
		node = n.some(rng, 1)[0]
	}
	deaf := rng.IntN(2) == 0
	for _, o := range n.opt.Cluster.Others(node) {
		if deaf {
			c.oneWay(o, node)
		} else {
			c.oneWay(node, o)
		}
	}
	if deaf {
		return n.partition(node.ID+" hears nobody", c)
	}
	return n.partition("nobody hears "+node.ID, c)
}

// partition cuts connections. It took effect when packets were dropped between
// any two nodes that were alive all the time.
func (n *Nemesis) partition(detail string, c cut) (string, healFunc, error) {
	n.cutting.Lock()
	start := time.Now()
	up := make([]bool, len(n.nodes))
	for i, node := range n.nodes {
		up[i] = node.State() == cluster.Up
	}
	before, err := n.rule(func(r *cluster.Rules) { r.Cut = c })
	if err != nil {
		n.cutting.Unlock()
	}
	heal := func(context.Context) (string, error) {
		after, err := n.rule(func(r *cluster.Rules) { r.Cut = nil })
		n.cutting.Unlock()
		return n.judge(c, since(before, after), n.alive(up, start), err)
	}
	return detail, heal, err
}

// since is how many packets were dropped between two counts.
func since(before, after map[cluster.Pair]int64) map[cluster.Pair]int64 {
	diff := map[cluster.Pair]int64{}
	for pair, packets := range after {
		diff[pair] = packets - before[pair]
	}
	return diff
}

// settled is how long a node must have run undisturbed to be sure to speak to
// the others.
const settled = 2 * time.Second

// alive tells which nodes ran all the time since start.
func (n *Nemesis) alive(up []bool, start time.Time) []bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := make([]bool, len(up))
	for i, node := range n.nodes {
		out[i] = up[i] && node.State() == cluster.Up && n.touched[i].Before(start.Add(-settled))
	}
	return out
}

func (n *Nemesis) judge(c cut, dropped map[cluster.Pair]int64, alive []bool, err error) (string, error) {
	if err != nil {
		return "", err
	}
	total := int64(0)
	for pair := range c {
		total += dropped[pair]
		back := cluster.Pair{From: pair.To, To: pair.From}
		silent := dropped[pair] == 0 && (!c[back] || dropped[back] == 0)
		if silent && alive[pair.From] && alive[pair.To] {
			err = errors.Join(err, fmt.Errorf("nothing was dropped from %s to %s", n.nodes[pair.From].ID, n.nodes[pair.To].ID))
		}
	}
	if err == nil && total == 0 {
		err = errNoChance
	}
	return fmt.Sprintf("%d packets dropped", total), err
}

// lossy drops a part of all packets, those of clients included.
func lossy(_ context.Context, n *Nemesis, rng *rand.Rand) (string, healFunc, error) {
	percent := 2 + rng.IntN(18)
	before, err := n.rule(func(r *cluster.Rules) { r.LossPercent = percent })
	heal := func(context.Context) (string, error) {
		after, err := n.rule(func(r *cluster.Rules) { r.LossPercent = 0 })
		total := int64(0)
		for pair, packets := range since(before, after) {
			if pair.From == cluster.Everybody {
				total += packets
			}
		}
		if err == nil && total == 0 {
			err = errors.New("no packet was lost")
		}
		return fmt.Sprintf("%d packets lost", total), err
	}
	return fmt.Sprintf("%d %%", percent), heal, err
}

// rule changes the network's rules, which several faults share, and returns how
// many packets all rules had dropped until then.
func (n *Nemesis) rule(change func(*cluster.Rules)) (map[cluster.Pair]int64, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	counted, err := n.opt.Cluster.Net.Dropped()
	if err != nil {
		return nil, err
	}
	for pair, packets := range counted { // the counters start anew with the new rules
		n.dropped[pair] += packets
	}
	next := cluster.Rules{Cut: maps.Clone(n.rules.Cut), LossPercent: n.rules.LossPercent}
	change(&next)
	n.rules = next
	return maps.Clone(n.dropped), n.opt.Cluster.Net.Apply(next)
}
