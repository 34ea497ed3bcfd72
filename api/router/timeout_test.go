package router_test

import (
	"context"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/api/rooms"
	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// timedNode notes how much time the shard gets for each proposal.
type timedNode struct {
	*routertest.Node
	given    time.Duration
	patience time.Duration
	parts    int
}

type timedShard struct {
	router.Shard
	n *timedNode
}

func (n *timedNode) Shards() []router.Shard { return []router.Shard{timedShard{n.Node.Shards()[0], n}} }

func (s timedShard) Propose(ctx context.Context, b command.Batch) ([]resp.Value, error) {
	until, _ := ctx.Deadline()
	s.n.given, s.n.patience, s.n.parts = time.Until(until), b.Patience, len(b.Parts)
	return s.Shard.Propose(ctx, b)
}

// TestLargeRequestsHaveMoreTime: a second for each 4 MiB, alone and within a transaction; but
// not to wait for a leader. Long arguments are not copied.
func TestLargeRequestsHaveMoreTime(t *testing.T) {
	table := rooms.Table()
	n := &timedNode{Node: routertest.New(table, routertest.Options{})}
	const usual = 5 * time.Second
	r := routertest.Open(t, n, table, router.Config{RequestTimeout: usual})
	s := r.NewSession("127.0.0.1:1234", router.KindRESP)
	defer s.Close()
	set := func(size int) {
		if got := show(r.Do(t.Context(), s, command.Args{[]byte("SET"), []byte("k"), make([]byte, size)})); got != "+OK" && got != "+QUEUED" {
			t.Fatalf("SET of %d bytes: %s", size, got)
		}
	}
	check := func(what string, more time.Duration) {
		t.Helper()
		if n.given > usual+more+time.Second/10 || n.given < usual+more-2*time.Second {
			t.Errorf("%s has %v", what, n.given)
		}
		if want := more > 0; (n.patience == usual) != want || (n.parts > 0) != want {
			t.Errorf("%s: patience %v, %d parts", what, n.patience, n.parts)
		}
	}
	set(100)
	check("a small value", 0)
	set(64 << 20)
	check("64 MiB", 16*time.Second)
	r.Do(t.Context(), s, cmd("MULTI"))
	set(40 << 20)
	r.Do(t.Context(), s, cmd("INCR n"))
	r.Do(t.Context(), s, cmd("EXEC"))
	check("a transaction of 40 MiB", 10*time.Second)
}
