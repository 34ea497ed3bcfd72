package nemesis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/cluster"
)

// transfer hands leaderships over, several times in a row. Single handovers may
// fail among other faults; one must have succeeded.
func transfer(ctx context.Context, n *Nemesis, rng *rand.Rand) (string, healFunc, error) {
	shard := rng.IntN(n.opt.Cluster.Shards)
	wanted := 1 + rng.IntN(4)
	var moved []string
	last := errors.New("nobody took over")
	for try := 0; try < 12 && len(moved) < wanted && ctx.Err() == nil; try++ {
		from := n.leader(ctx, rng)
		others := n.opt.Cluster.Others(from)
		to := others[rng.IntN(len(others))]
		asked := n.nodes[rng.IntN(len(n.nodes))] // any node passes it on
		if err := asked.Transfer(ctx, shard, to.ID); err != nil {
			last = err
		} else if v, err := to.View(ctx); err == nil && v.Shards[shard].Leader == to.ID {
			moved = append(moved, to.ID)
		}
		sleep(ctx, time.Duration(100+rng.IntN(300))*time.Millisecond)
	}
	heal := func(context.Context) (string, error) {
		if len(moved) == 0 {
			return "", fmt.Errorf("%w: no handover succeeded: %w", errNoChance, last)
		}
		return fmt.Sprintf("leaders in turn: %s", strings.Join(moved, " ")), nil
	}
	return fmt.Sprintf("shard %d", shard), heal, nil
}

// MaxClockJump is how far a clock is set wrong at most. It is further than
// --max-clock-offset allows, and still less than the lives of keys and locks:
// what a node with a wrong clock may do while nobody can tell is bounded by it.
const MaxClockJump = 900 * time.Millisecond

// clockJump sets the wall clock of a minority wrong, sometimes by more than
// --max-clock-offset allows.
func clockJump(ctx context.Context, n *Nemesis, rng *rand.Rand) (string, healFunc, error) {
	offset := 100*time.Millisecond + time.Duration(rng.Int64N(int64(MaxClockJump-100*time.Millisecond)))
	offset = offset.Truncate(time.Millisecond)
	if rng.IntN(2) == 0 {
		offset = -offset
	}
	return n.distort(ctx, rng, offset, 1)
}

// clockDay sets the clock of a node wrong by a day.
func clockDay(ctx context.Context, n *Nemesis, rng *rand.Rand) (string, healFunc, error) {
	offset := 24 * time.Hour
	if rng.IntN(2) == 0 {
		offset = -offset
	}
	return n.distort(ctx, rng, offset, 1)
}

// ClocksSet is the fault that sets the clocks of all nodes at once, as time
// synchronization does after it was away.
const ClocksSet = "clock-all"

func clocksSet(_ context.Context, n *Nemesis, rng *rand.Rand) (string, healFunc, error) {
	offset := 5 * time.Second
	if rng.IntN(2) == 0 {
		offset = -offset
	}
	set := func(offset time.Duration) error {
		var errs []error
		for _, node := range n.nodes {
			errs = append(errs, node.SetClock(offset, 1))
		}
		return errors.Join(errs...)
	}
	before := 0
	for _, node := range n.nodes {
		before += countInLog(node, clockWord)
	}
	err := set(offset)
	heal := func(context.Context) (string, error) {
		seen := -before
		for _, node := range n.nodes {
			seen += countInLog(node, clockWord)
		}
		if err := set(0); err != nil {
			return "", err
		}
		if seen == 0 {
			return "", fmt.Errorf("%w: no node noticed", errNoChance)
		}
		return fmt.Sprintf("%d nodes logged the change", seen), nil
	}
	return fmt.Sprintf("all by %v", offset), heal, err
}

// clockDrift lets the clock of a minority run too fast or too slow, within what
// leases allow for.
func clockDrift(ctx context.Context, n *Nemesis, rng *rand.Rand) (string, healFunc, error) {
	return n.distort(ctx, rng, 0, []float64{0.96, 0.98, 1.02, 1.04}[rng.IntN(4)])
}

// clockWord is what a node logs when its clock was changed; a harness build does.
const clockWord = "clock changed by the harness"

func (n *Nemesis) distort(ctx context.Context, rng *rand.Rand, offset time.Duration, rate float64) (string, healFunc, error) {
	node := n.leader(ctx, rng)
	if rng.IntN(3) == 0 {
		node = n.some(rng, 1)[0]
	}
	before := countInLog(node, clockWord)
	err := node.SetClock(offset, rate)
	heal := func(context.Context) (string, error) {
		seen := countInLog(node, clockWord) > before
		if err := node.SetClock(0, 1); err != nil {
			return "", err
		}
		if !seen {
			return "", fmt.Errorf("%w: %s (%s) did not notice", errNoChance, node.ID, node.State())
		}
		return "the node logged the change", nil
	}
	return fmt.Sprintf("%s: offset %v, rate %g", node.ID, offset, rate), heal, err
}

func countInLog(node *cluster.Node, word string) int {
	text, err := os.ReadFile(node.LogFile)
	if err != nil {
		return 0
	}
	return bytes.Count(text, []byte(word))
}
