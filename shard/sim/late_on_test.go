//go:build failpoints

package sim

import (
	"math/rand/v2"
	"time"

	"github.com/lockstepkv/lockstep/internal/failpoint"
)

// corrupt lets the data of a node's replica go wrong, unless another one's may be.
func corrupt(c *Cluster, j *Judge, id string) {
	n := c.Node(id)
	if n == nil || !j.Suspect(id) {
		return
	}
	c.Note("the data of %s go wrong", id)
	n.Groups()[0].Corrupt()
}

// applyLate lets a node's state machine take a moment for some entries.
func applyLate(c *Cluster, id string, hold time.Duration) {
	c.Note("%s applies late", id)
	rng := rand.New(rand.NewPCG(c.Rng.Uint64(), 5))
	disable := failpoint.Enable("fsm/apply/"+id, func() error {
		if rng.IntN(3) == 0 { // one goroutine applies
			time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond)
		}
		return nil
	})
	time.Sleep(hold)
	disable()
}
