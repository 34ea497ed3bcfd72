package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/cluster"
)

// starvers is how many processes a starved node shares its one processor with.
const starvers = 3

// leastWait is how long a node must have waited for its processor for the fault to
// have had an effect.
const leastWait = 50 * time.Millisecond

// starve leaves a node, most often the leader, a fraction of a processor: it is
// bound to one together with processes that are busy. Unlike one that is stopped
// it goes on with everything, late by milliseconds at each step, and differently
// for each of its threads.
func starve(ctx context.Context, n *Nemesis, rng *rand.Rand) (string, healFunc, error) {
	node := n.leader(ctx, rng)
	if rng.IntN(4) == 0 {
		node = n.some(rng, 1)[0]
	}
	cpu := rng.IntN(runtime.NumCPU())
	pid, before := node.Pid(), node.ProcessorWait()
	release, err := node.Starve(cpu, starvers)
	if errors.Is(err, cluster.ErrDown) {
		err = fmt.Errorf("%w: %w", errNoChance, err)
	}
	heal := func(context.Context) (string, error) {
		waited := node.ProcessorWait() - before
		if err := release(); err != nil {
			return "", err
		}
		switch {
		case node.Pid() != pid:
			return "", fmt.Errorf("%w: %s was started again", errNoChance, node.ID)
		case waited < leastWait:
			return "", fmt.Errorf("%w: %s waited for its processor for %v only", errNoChance, node.ID, waited)
		}
		return fmt.Sprintf("its threads waited %v for their processor", waited.Round(time.Millisecond)), nil
	}
	return fmt.Sprintf("%s shares processor %d with %d others", node.ID, cpu, starvers), heal, err
}
