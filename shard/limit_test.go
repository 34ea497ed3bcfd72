package shard

import (
	"fmt"
	"testing"
)

// TestValuesGrowToTheLeadersLimit: the nodes are configured differently, and all
// replicas hold the value that the leader's limit allows.
func TestValuesGrowToTheLeadersLimit(t *testing.T) {
	limits := map[string]int64{"n1": 1000, "n2": 2000, "n3": 3000}
	c := newCluster(t, 3, func(o *Options) { o.MaxValueBytes = limits[o.NodeID] })
	leader := c.leader()
	full := fmt.Sprintf(":%d\r\n", limits[leader])
	c.want(leader, fmt.Sprintf("SETRANGE k %d x", limits[leader]-1), full)
	const tooLong = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n"
	for _, id := range c.ids {
		c.want(id, "APPEND k x", tooLong)
		c.want(id, "SETRANGE k 536870911 x", tooLong)
		c.want(id, "STRLEN k", full)
	}
	c.agree()
}
