package shard

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/store"
)

// TestKeysReadFromAFollowerAreNotEvicted: the leader, which chooses what to
// evict, never answers a read here.
func TestKeysReadFromAFollowerAreNotEvicted(t *testing.T) {
	for _, policy := range []store.Policy{store.AllKeysLRU, store.AllKeysLFU, store.AllKeysSieve} {
		t.Run(policy.String(), func(t *testing.T) {
			const hot = 10
			c := newCluster(t, 3, func(o *Options) {
				o.Memory = Memory{MaxBytes: 100_000, Eviction: store.Options{Policy: policy, Samples: 20}}
			})
			leader := c.leader()
			follower := c.others(leader)[0]
			c.eventually(func() error {
				if !c.group(follower).fsm.ReadLog().On() {
					return fmt.Errorf("%s does not remember reads", follower)
				}
				return nil
			})
			value := strings.Repeat("v", 1000)
			for i := range hot {
				c.want(follower, fmt.Sprintf("SET hot%d %s", i, value), "+OK\r\n")
			}
			for i := range 300 {
				c.want(follower, fmt.Sprintf("SET cold%d %s", i, value), "+OK\r\n")
				if i%5 == 0 {
					for j := range hot {
						c.want(follower, fmt.Sprintf("GET hot%d", j), fmt.Sprintf("$1000\r\n%s\r\n", value))
					}
				}
			}
			if c.leader() != leader {
				t.Fatal("the leader changed, this run shows nothing")
			}
			if c.group(leader).fsm.ReadLog().On() {
				t.Error("the leader remembers reads for nobody")
			}
			if evicted, _ := c.group(leader).fsm.Counters(); evicted < 200 {
				t.Errorf("only %d keys were evicted", evicted)
			}
		})
	}
}

func TestReportOfReadsIsNotTrusted(t *testing.T) {
	c := newCluster(t, 1, nil)
	c.want("n1", "SET k v", "+OK\r\n")
	for n := range 20 {
		c.group("n1").countReads(make([]byte, n))
	}
	c.want("n1", "GET k", "$1\r\nv\r\n")
}
