package shard

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/store"
)

// fillTo writes keys of 1000 bytes each, a batch of them.
func (c *cluster) fillTo(keys int, options string) {
	c.t.Helper()
	var b command.Batch
	value := strings.Repeat("v", 1000)
	for i := range keys {
		var args command.Args
		for _, w := range strings.Fields(fmt.Sprintf("SET k%d %s %s", i, value, options)) {
			args = append(args, []byte(w))
		}
		b.Add(args)
	}
	if _, err := c.group(c.leader()).Propose(c.t.Context(), b); err != nil {
		c.t.Fatal(err)
	}
}

// staysWithin waits until every replica keeps to the limit, without a write.
func (c *cluster) staysWithin(limit int64) {
	c.t.Helper()
	for _, id := range c.ids {
		c.eventually(func() (err error) {
			c.group(id).fsm.Inspect(func(s *store.Store, _ int64) {
				if used := s.Used(); used > limit || used < limit/2 { // less: not applied yet, or too much evicted
					err = fmt.Errorf("%s uses %d bytes, limit %d", id, used, limit)
				}
			})
			return err
		})
	}
}

func lru(bytes int64) Memory {
	return Memory{MaxBytes: bytes, Eviction: store.Options{Policy: store.AllKeysLRU}}
}

func TestLowerLimitEvictsWithoutAWrite(t *testing.T) {
	c := newCluster(t, 3, func(o *Options) { o.Memory = lru(100 << 20) })
	c.fillTo(10_000, "") // more than one entry evicts
	c.node(c.others(c.leader())[0]).SetMemory(lru(1_000_000))
	c.staysWithin(1_000_000)
}

func TestChosenPolicyEvictsWithoutAWrite(t *testing.T) {
	c := newCluster(t, 1, func(o *Options) { o.Memory.MaxBytes = 1 << 20 })
	c.fillTo(500, "")
	none := lru(50_000)
	none.Eviction.Policy = store.NoEviction
	c.node("n1").SetMemory(none)
	c.node("n1").SetMemory(lru(50_000))
	c.staysWithin(50_000)
}

func TestRestartWithALowerLimitEvictsWithoutAWrite(t *testing.T) {
	limit := int64(10 << 20)
	c := newCluster(t, 1, func(o *Options) { o.Memory = lru(limit) })
	c.fillTo(500, "")
	c.stopAll()
	limit = 50_000
	c.start(c.ids...)
	c.staysWithin(limit)
}

// TestNothingToEvictWritesNothing: a policy that has no candidates must not fill the log.
func TestNothingToEvictWritesNothing(t *testing.T) {
	c := newCluster(t, 1, func(o *Options) {
		o.Memory = Memory{MaxBytes: 1 << 20, Eviction: store.Options{Policy: store.VolatileLRU}}
	})
	c.fillTo(500, "")
	m := c.node("n1").Memory()
	m.MaxBytes = 50_000
	c.node("n1").SetMemory(m)
	g := c.group("n1")
	if g.mustEvict() {
		t.Fatal("wants to evict keys that its policy leaves alone")
	}
	before := g.raft.LastIndex()
	g.relieve(t.Context())
	if after := g.raft.LastIndex(); after != before {
		t.Errorf("%d entries for nothing", after-before)
	}
	c.fillTo(100, "PX 1000000") // refused or not, what expires is what goes
	c.eventually(func() error {
		if g.mustEvict() {
			return fmt.Errorf("keys that expire are left")
		}
		return nil
	})
}
