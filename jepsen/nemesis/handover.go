package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/cluster"
)

// bystanders picks, besides the leader of a random shard, two of the other nodes.
func (n *Nemesis) bystanders(ctx context.Context, rng *rand.Rand) (shard int, leader, a, b *cluster.Node, err error) {
	shard = rng.IntN(n.opt.Cluster.Shards)
	if leader, err = n.opt.Cluster.Leader(ctx, shard); err != nil {
		return 0, nil, nil, nil, fmt.Errorf("%w: %w", errSkipped, err)
	}
	others := n.opt.Cluster.Others(leader)
	rng.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	return shard, leader, others[0], others[1], nil
}

// transferPaused hands the leadership to one node while that one is asked to hand
// it to another, which is paused. Raft takes no entry while it waits for a target,
// and the first one that a new leader needs meets just that.
func transferPaused(ctx context.Context, n *Nemesis, rng *rand.Rand) (string, healFunc, error) {
	shard, leader, next, paused, err := n.bystanders(ctx, rng)
	if err != nil {
		return "", nil, err
	}
	n.touch([]*cluster.Node{paused})
	if err := paused.Pause(); err != nil {
		if errors.Is(err, cluster.ErrDown) {
			err = fmt.Errorf("%w: %w", errSkipped, err)
		}
		return "", nil, err
	}
	asking, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	answers := 0
	wg.Go(func() {
		for asking.Err() == nil {
			if err := next.Transfer(asking, shard, paused.ID); asking.Err() == nil && err != nil {
				answers++ // refused, or failed: it cannot succeed
			}
			sleep(asking, 10*time.Millisecond)
		}
	})
	_ = leader.Transfer(ctx, shard, next.ID) // may fail among other faults
	heal := func(context.Context) (string, error) {
		stop()
		wg.Wait()
		n.touch([]*cluster.Node{paused})
		if err := paused.Resume(); err != nil {
			return "", err
		}
		if answers == 0 {
			return "", fmt.Errorf("%w: %s never answered", errNoChance, next.ID)
		}
		return fmt.Sprintf("%d requests were refused", answers), nil
	}
	return fmt.Sprintf("%s to %s to %s, which is paused", leader.ID, next.ID, paused.ID), heal, nil
}

// transferDown hands the leadership to a node that is being started again.
func transferDown(ctx context.Context, n *Nemesis, rng *rand.Rand) (string, healFunc, error) {
	shard, leader, down, _, err := n.bystanders(ctx, rng)
	if err != nil {
		return "", nil, err
	}
	_, restart, err := n.kill([]*cluster.Node{down})
	asked := 0
	ask := func(d time.Duration) {
		for until := time.Now().Add(d); ctx.Err() == nil && time.Now().Before(until); sleep(ctx, 20*time.Millisecond) {
			if leader.State() == cluster.Up {
				_ = leader.Transfer(ctx, shard, down.ID) // refused, or not; the cluster must bear both
				asked++
			}
		}
	}
	ask(300 * time.Millisecond)
	heal := func(ctx context.Context) (string, error) {
		shows, err := restart(ctx)
		ask(500 * time.Millisecond)
		if err == nil && asked == 0 {
			err = errNoChance
		}
		return fmt.Sprintf("asked %d times while it was down and came back; %s", asked, shows), err
	}
	return leader.ID + " to " + down.ID, heal, err
}

// transferTwice asks for two hand-overs of one leadership at once.
func transferTwice(ctx context.Context, n *Nemesis, rng *rand.Rand) (string, healFunc, error) {
	shard, leader, a, b, err := n.bystanders(ctx, rng)
	if err != nil {
		return "", nil, err
	}
	var wg sync.WaitGroup
	results := make([]error, 2)
	for i, to := range []*cluster.Node{a, b} {
		wg.Go(func() { results[i] = leader.Transfer(ctx, shard, to.ID) })
	}
	heal := func(context.Context) (string, error) {
		wg.Wait()
		done := 0
		for _, err := range results {
			if err == nil {
				done++
			}
		}
		if done == 0 {
			return "", fmt.Errorf("%w: %w", errNoChance, errors.Join(results...))
		}
		return fmt.Sprintf("%d of 2 succeeded", done), nil
	}
	return fmt.Sprintf("%s to %s and to %s", leader.ID, a.ID, b.ID), heal, nil
}

// transferCut asks a leader to hand over to a node that is cut off from everybody.
func transferCut(ctx context.Context, n *Nemesis, rng *rand.Rand) (string, healFunc, error) {
	shard, leader, away, _, err := n.bystanders(ctx, rng)
	if err != nil {
		return "", nil, err
	}
	c := cut{}
	for _, o := range n.opt.Cluster.Others(away) {
		c.between(away, o)
	}
	detail, heal, err := n.partition(fmt.Sprintf("%s to %s, which is cut off", leader.ID, away.ID), c)
	for range 5 {
		if err == nil && leader.State() == cluster.Up {
			_ = leader.Transfer(ctx, shard, away.ID) // it cannot succeed
		}
		sleep(ctx, 100*time.Millisecond)
	}
	return detail, heal, err
}
