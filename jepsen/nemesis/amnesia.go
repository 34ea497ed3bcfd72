package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/cluster"
)

const amnesiaName = "amnesia"

// amnesia takes the data of a node whose word others relied on, and brings it
// back among those who do not know: a minority is cut off and misses what the
// others acknowledge; then one of the others loses its directory and comes back
// with that minority, while those who still know are cut off. Together the
// minority and the node without memory are a majority. They must elect nobody.
func amnesia(ctx context.Context, n *Nemesis, rng *rand.Rand) (string, healFunc, error) {
	victim, rest := n.besideLeader(ctx, rng)
	ignorant, knowing := rest[:n.minority()], rest[n.minority():]
	n.cutting.Lock()
	if err := n.claim(ctx, victim); err != nil {
		n.cutting.Unlock()
		return "", nil, err
	}
	defer n.deprived()
	before, err := n.rule(func(r *cluster.Rules) { r.Cut = apart(ignorant, append(knowing[:len(knowing):len(knowing)], victim)) })
	sleep(ctx, time.Second)
	n.touch([]*cluster.Node{victim})
	err = errors.Join(err, victim.Kill(), victim.Wipe())
	_, cutErr := n.rule(func(r *cluster.Rules) { r.Cut = apart(knowing, append(ignorant[:len(ignorant):len(ignorant)], victim)) })
	err = errors.Join(err, cutErr, victim.Start())
	n.touch([]*cluster.Node{victim})
	heal := func(ctx context.Context) (string, error) {
		after, err := n.rule(func(r *cluster.Rules) { r.Cut = nil })
		n.cutting.Unlock()
		total := int64(0)
		for _, packets := range since(before, after) {
			total += packets
		}
		if err == nil && total == 0 {
			err = errNoChance
		}
		return fmt.Sprintf("%d packets dropped; the node came back empty%s", total, waitReady(ctx, victim)), err
	}
	if err != nil {
		n.cutting.Unlock()
	}
	return fmt.Sprintf("%s without data | ignorant: %s | knowing: %s", victim.ID, ids(ignorant), ids(knowing)), heal, err
}

// besideLeader picks a node that does not lead, and returns the others in a
// random order, the leader last.
func (n *Nemesis) besideLeader(ctx context.Context, rng *rand.Rand) (picked *cluster.Node, rest []*cluster.Node) {
	leader := n.leader(ctx, rng)
	for _, node := range n.some(rng, len(n.nodes)) {
		switch {
		case node == leader:
		case picked == nil:
			picked = node
		default:
			rest = append(rest, node)
		}
	}
	return picked, append(rest, leader)
}

// apart cuts everything between two groups.
func apart(a, b []*cluster.Node) cut {
	c := cut{}
	for _, x := range a {
		for _, y := range b {
			c.between(x, y)
		}
	}
	return c
}
