package shard

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/internal/clock"
	"github.com/lockstepkv/lockstep/store"
)

// A node that starts again with a log does not take a snapshot before it has applied it:
// the data that make a snapshot due, or not, are not there yet.
func TestNoSnapshotBeforeTheLogIsApplied(t *testing.T) {
	c := newCluster(t, 3, nil)
	for i := range 100 {
		c.want(c.leader(), fmt.Sprintf("SET key%d value", i), "+OK\r\n")
	}
	c.agree() // n1 has all of it
	for _, id := range c.ids {
		c.stop(id)
	}
	c.modify = func(o *Options) { o.SnapshotLogBytes = 1 }
	c.start("n1") // alone, it cannot know what of its log is committed
	g := c.group("n1")
	if last := g.raft.LastIndex(); last < 50 || g.raft.AppliedIndex() >= last {
		t.Fatalf("the log ends at %d, and %d of it are applied", last, g.raft.AppliedIndex())
	}
	if g.compactor.Due() {
		t.Error("a snapshot is due before anything is applied")
	}
	c.start("n2", "n3")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	clock.Every(ctx, 10*time.Millisecond, func() {
		if g.compactor.At() >= g.openedWith {
			cancel()
		}
	})
	g.fsm.Inspect(func(s *store.Store, _ int64) {
		if g.compactor.At() < g.openedWith || s.Len() != 100 {
			t.Errorf("once all is applied, the snapshot is of %d, and there are %d keys", g.compactor.At(), s.Len())
		}
	})
}
