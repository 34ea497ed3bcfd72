package nemesis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/cluster"
)

// stutter lets a node run for moments only, as on a machine that is far too busy.
// What it asks is answered while it stands still, and what it knows of the others
// is old each time, but not so old that its own timers tell it.
func stutter(ctx context.Context, n *Nemesis, rng *rand.Rand) (string, healFunc, error) {
	ctx, end := context.WithCancel(ctx)
	var wg sync.WaitGroup
	stops, seen := 0, map[string]bool{}
	var failed error
	wg.Go(func() {
		for ctx.Err() == nil && failed == nil {
			node := n.leader(ctx, rng)
			if rng.IntN(2) == 0 {
				node = n.some(rng, 1)[0]
			}
			for range 10 {
				n.touch([]*cluster.Node{node})
				err := node.Pause()
				if errors.Is(err, cluster.ErrDown) {
					sleep(ctx, 30*time.Millisecond)
					break // another fault made it end itself
				}
				failed = errors.Join(failed, err)
				sleep(ctx, time.Duration(30+rng.IntN(300))*time.Millisecond)
				failed = errors.Join(failed, node.Resume())
				sleep(ctx, time.Duration(1+rng.IntN(20))*time.Millisecond)
				seen[node.ID] = true
				stops++
			}
		}
	})
	heal := func(context.Context) (string, error) {
		end()
		wg.Wait()
		if failed == nil && stops == 0 {
			failed = errNoChance
		}
		return fmt.Sprintf("stopped %d times: %v", stops, slices.Sorted(maps.Keys(seen))), failed
	}
	return "leaders and others in turn", heal, nil
}
