package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/cluster"
)

// leader is the leader of a random shard, or a random node when there is none.
func (n *Nemesis) leader(ctx context.Context, rng *rand.Rand) *cluster.Node {
	shard := rng.IntN(n.opt.Cluster.Shards)
	if l, err := n.opt.Cluster.Leader(ctx, shard); err == nil {
		return l
	}
	return n.some(rng, 1)[0]
}

// leaderPatience is how long a fault that is about a leader waits for one.
const leaderPatience = 2 * time.Second

// elected is the leader of a random shard. Without one the fault is skipped: done
// to any other node it would be another fault.
func (n *Nemesis) elected(ctx context.Context, rng *rand.Rand) (*cluster.Node, error) {
	shard := rng.IntN(n.opt.Cluster.Shards)
	until := time.Now().Add(leaderPatience)
	for {
		leader, err := n.opt.Cluster.Leader(ctx, shard)
		if err == nil {
			return leader, nil
		}
		if ctx.Err() != nil || time.Now().After(until) {
			return nil, fmt.Errorf("%w: %w", errSkipped, err)
		}
		sleep(ctx, 50*time.Millisecond)
	}
}

// some picks different nodes at random.
func (n *Nemesis) some(rng *rand.Rand, count int) []*cluster.Node {
	var out []*cluster.Node
	for _, i := range rng.Perm(len(n.nodes))[:count] {
		out = append(out, n.nodes[i])
	}
	return out
}

func ids(nodes []*cluster.Node) string {
	var list []string
	for _, node := range nodes {
		list = append(list, node.ID)
	}
	return strings.Join(list, " ")
}

func (n *Nemesis) touch(nodes []*cluster.Node) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, node := range nodes {
		n.touched[node.Index] = time.Now()
	}
}

func (n *Nemesis) minority() int { return (len(n.nodes) - 1) / 2 }

func killLeader(ctx context.Context, n *Nemesis, rng *rand.Rand) (string, healFunc, error) {
	leader, err := n.elected(ctx, rng)
	if err != nil {
		return "", nil, err
	}
	return n.kill([]*cluster.Node{leader})
}

func killMinority(_ context.Context, n *Nemesis, rng *rand.Rand) (string, healFunc, error) {
	return n.kill(n.some(rng, max(n.minority(), 1)))
}

func killMajority(_ context.Context, n *Nemesis, rng *rand.Rand) (string, healFunc, error) {
	return n.kill(n.some(rng, len(n.nodes)/2+1))
}

func killAll(_ context.Context, n *Nemesis, _ *rand.Rand) (string, healFunc, error) {
	return n.kill(n.nodes)
}

// kill is kill -9 of nodes; healing starts them again.
func (n *Nemesis) kill(nodes []*cluster.Node) (string, healFunc, error) {
	n.touch(nodes)
	pids := make([]int, len(nodes))
	done := make(chan error, len(nodes))
	for i, node := range nodes {
		pids[i] = node.Pid()
		go func() { done <- node.Kill() }()
	}
	var errs []error
	for range nodes {
		errs = append(errs, <-done)
	}
	n.touch(nodes)
	heal := func(context.Context) (string, error) {
		defer n.touch(nodes)
		errs := []error{}
		for i, node := range nodes {
			if node.State() != cluster.Down {
				errs = append(errs, fmt.Errorf("%s was not down", node.ID))
			}
			errs = append(errs, node.Start())
			if node.Pid() == pids[i] {
				errs = append(errs, fmt.Errorf("%s is still process %d", node.ID, pids[i]))
			}
		}
		return "processes were gone and new ones run", errors.Join(errs...)
	}
	return ids(nodes), heal, errors.Join(errs...)
}

// pause freezes the leader, another node or a minority, with requests and
// replies in flight.
func pause(ctx context.Context, n *Nemesis, rng *rand.Rand) (string, healFunc, error) {
	nodes := []*cluster.Node{n.leader(ctx, rng)}
	if rng.IntN(3) == 0 {
		nodes = n.some(rng, max(n.minority(), 1))
	}
	n.touch(nodes)
	var errs []error
	for _, node := range nodes {
		err := node.Pause()
		if errors.Is(err, cluster.ErrDown) {
			err = fmt.Errorf("%w: %w", errNoChance, err) // another fault made it end itself
		}
		errs = append(errs, err)
	}
	n.touch(nodes)
	heal := func(context.Context) (string, error) {
		defer n.touch(nodes)
		var errs []error
		for _, node := range nodes {
			if node.State() != cluster.Stopped {
				errs = append(errs, fmt.Errorf("%s was not paused", node.ID))
			}
			errs = append(errs, node.Resume())
		}
		return "the kernel showed the processes stopped", errors.Join(errs...)
	}
	return ids(nodes), heal, errors.Join(errs...)
}

// claim makes a node the one that may lack data. It is refused while another one
// may, or while one of the others is not well. The caller says by deprived when
// the node has lost it: until then it still looks well.
func (n *Nemesis) claim(ctx context.Context, node *cluster.Node) (err error) {
	n.mu.Lock()
	before, depriving := n.damaged, n.depriving
	n.depriving = true
	n.mu.Unlock()
	if depriving {
		return fmt.Errorf("%w: another node is about to lose data", errSkipped)
	}
	defer func() {
		if err != nil {
			n.deprived()
		}
	}()
	if before != nil && before.Ready(ctx) != nil {
		return fmt.Errorf("%w: %s is not repaired yet", errSkipped, before.ID)
	}
	for _, other := range n.nodes {
		if err := other.Ready(ctx); err != nil {
			return fmt.Errorf("%w: %s: %w", errSkipped, other.ID, err)
		}
	}
	n.mu.Lock()
	n.damaged = node
	n.mu.Unlock()
	return nil
}

func (n *Nemesis) deprived() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.depriving = false
}

// repairPatience is how long a node that lost data may take to be whole again,
// with other faults going on.
const repairPatience = 20 * time.Second

// wipe removes the directory of a node and brings it back empty.
func wipe(ctx context.Context, n *Nemesis, rng *rand.Rand) (string, healFunc, error) {
	node := n.some(rng, 1)[0]
	if err := n.claim(ctx, node); err != nil {
		return "", nil, err
	}
	n.touch([]*cluster.Node{node})
	err := errors.Join(node.Kill(), node.Wipe())
	n.deprived()
	heal := func(ctx context.Context) (string, error) {
		defer n.touch([]*cluster.Node{node})
		if err := node.Start(); err != nil {
			return "", err
		}
		return "the node came back empty" + waitReady(ctx, node), nil
	}
	return node.ID, heal, err
}

// waitReady waits for a node. A cluster that is in the middle of other faults
// may not let it get ready; that is not the fault's failure.
func waitReady(ctx context.Context, node *cluster.Node) string {
	ctx, cancel := context.WithTimeout(ctx, repairPatience)
	defer cancel()
	for ctx.Err() == nil {
		if node.Ready(ctx) == nil {
			return " and was repaired"
		}
		sleep(ctx, 100*time.Millisecond)
	}
	return "; it was not whole again soon"
}
