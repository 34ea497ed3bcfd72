package sim

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestReplicasTakeTurnsWithSnapshots: they apply the same log, and would all be due at
// the same index.
func TestReplicasTakeTurnsWithSnapshots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := led(t, 3)
		defer c.Close()
		var taken = map[string]int{}
		was := map[string]bool{}
		for end, i := time.Now().Add(time.Minute), 0; time.Now().Before(end); i++ {
			if i%50 == 0 {
				check(t, c, write(t, c, "n2", fmt.Sprint("k", i%1000)))
			}
			var writing []string
			for _, id := range c.IDs {
				is := c.Node(id).Groups()[0].Info().WritesSnapshot()
				if is {
					writing = append(writing, id)
				}
				if is && !was[id] {
					taken[id]++
				}
				was[id] = is
			}
			if len(writing) > 1 {
				t.Fatalf("%v write snapshots at the same time, after %v", writing, taken)
			}
			time.Sleep(time.Millisecond)
		}
		for _, id := range c.IDs {
			if taken[id] < 5 {
				t.Errorf("snapshots taken: %v", taken)
			}
		}
		t.Log(taken)
	})
}
